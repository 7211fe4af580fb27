"""Turn a post's text into lanes: layouts and signatures for the other compiled modules."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.arena cimport Bump

cdef enum:
    LANE_RAW = 0                # index in fastpath.spec.LANES
    LANE_FOLDED = 1
    LANE_SKELETON = 2
    LANE_SQUEEZED = 3
    LANE_COUNT = 4

    MAX_LANE_BYTES = 262144     # a longer lane is cut at a code point and marked `truncated`

    # Classes of a code point (general categories of Unicode 15.0).
    CLASS_ALNUM = 1             # letter or number: L*, N*
    CLASS_MARK = 2              # M*
    CLASS_DIGIT = 4             # Nd (CLASS_ALNUM is set too)
    CLASS_CONNECTOR = 8         # Pc
    CLASS_SPACE = 16            # White_Space
    CLASS_UNSPACED = 32         # Han, kana, Thai, Lao, Khmer, Myanmar
    CLASS_WORD = 11             # ALNUM | MARK | CONNECTOR

    # What the squeezed lane knows of a letter (fastpath.lanes).
    LETTER_STARTS = 1
    LETTER_ENDS = 2
    LETTER_GAP = 4
    LETTER_PARTED = 8
    LETTER_OWN_FIRST = 16
    LETTER_OWN_LAST = 32
    LETTER_DOT_FIRST = 64
    LETTER_DOT_LAST = 128
    LETTER_SELF = 240           # these four
    LETTER_DRAWN = 256
    LETTER_RUN = 512
    MIN_DRAWN = 3               # fastpath.reference.squeezed


cdef struct Lane:                # all zero but `data` where a lane did not run
    const uint8_t* data         # UTF-8 in the arena, or the text itself; never NULL once made
    uint32_t size               # bytes
    const uint8_t* word         # bitset: bit i & 7 of byte i >> 3 is set where lane byte i
    #                             belongs to a word character; bit `size` is readable and 0;
    #                             NULL in the squeezed lane
    const uint16_t* letters     # squeezed lane: LETTER_* and run per lane byte; else NULL
    const Lane* below           # squeezed lane: the lane it was made from; must outlive it
    const uint8_t* source       # the text the lane was made from; must outlive the lane
    uint32_t source_size
    uint32_t marks_dropped      # non-starters beyond the 30th in a row
    uint32_t work               # steps taken: code points, reorderings, composition look-ups
    bint truncated              # the lane would be longer than MAX_LANE_BYTES
    bint prototypes             # this is a skeleton
    bint disguised              # folded lane: the skeleton lane runs
    bint opening                # folded lane: the squeezed lane runs, whatever its ASCII holds


cdef struct LaneMap:
    const uint32_t* start       # per lane byte: first code point of its source cluster
    const uint32_t* end         # per lane byte: one past the last one


cdef struct Normalised:
    const uint8_t* data         # letters, marks, numbers; 0x01 URL, 0x02 mention, "0" digit run
    uint32_t size
    bint content                # a letter or number stands in it that is no placeholder


cdef struct ByteSpan:
    uint32_t start
    uint32_t end


# All return 0, or -1 when the arena has no memory. `text` is valid UTF-8 of `size` bytes (posts
# checks that); a NULL text is allowed where size is 0. `size` is below 2**31.
cdef int raw_lane(Bump* bump, const uint8_t* text, size_t size, Lane* out) noexcept nogil
cdef int fold(Bump* bump, const uint8_t* text, size_t size, Lane* out) noexcept nogil
# Both without regard to whether the lane runs; `below` is a skeleton or folded lane.
cdef int skeleton_lane(Bump* bump, const uint8_t* text, size_t size, Lane* out) noexcept nogil
cdef int squeezed_lane(Bump* bump, const Lane* below, Lane* out) noexcept nogil
cdef int squeezed_pattern(
    Bump* bump, const Lane* below, bint as_latin, Lane* out
) noexcept nogil
cdef bint opens_squeezed_lane(const Lane* folded) noexcept nogil

# For posts with a match: which code points of the source each lane byte came from.
cdef int map_raw_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil
cdef int map_folded_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil  # or skeleton
cdef int map_squeezed_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil

# The form under which texts are compared across accounts; needs the folded lane.
cdef int normalise(Bump* bump, const Lane* folded, Normalised* out) noexcept nogil

# The part of UTF-8 bytes between leading and trailing white space.
cdef ByteSpan trim(const uint8_t* data, size_t size) noexcept nogil

cdef uint32_t code_point_class(uint32_t code_point) noexcept nogil   # CLASS_* bits

# Number of code points of valid UTF-8 (atom `text_length`).
cdef size_t count_code_points(const uint8_t* data, size_t size) noexcept nogil
