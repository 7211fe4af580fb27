"""Turn a post's text into lanes in one forward pass without allocation.

The folded lane is NFKC_Casefold (The Unicode Standard 15.0, section 3.13, R5) with runs of
non-starters capped (Stream-Safe, UAX #15); `fastpath.reference.text` defines it. Each code point
is mapped and decomposed by table, marks wait in a 30-entry buffer in canonical order, and when the
next starter comes they are composed with theirs and written. ASCII goes eight bytes at a time,
and the folded lane of a text that holds nothing else 32 (ascii_lane.h).

All `cdef` functions here are total: they trust `text` to be valid UTF-8, which posts checks.
Little-endian machines only: bytes are taken eight at a time and bit i of a word is lane byte i.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memmove, memset

from fastpath.arena cimport Arena, Bump, bump_alloc, bump_commit, bump_reserve
from fastpath.isa cimport isa_level
from fastpath.utf8 cimport decode, is_ascii

from fastpath.lanes import LaneView, LetterView, NormalisedText

UNICODE_VERSION = "15.0.0"

cdef int LEVEL = isa_level()

include "code_points.pxi"
include "lane_writer.pxi"
include "folding.pxi"


# The raw lane.


cdef void write_raw(Writer* w, const uint8_t* text, size_t size) noexcept nogil:
    cdef size_t at = 0
    cdef uint32_t source = 0, length, code_point
    while at < size:
        if text[at] and text[at] < 0x80:
            length = put_ascii(w, text + at, size - at, False, source)
            source += length
        else:
            code_point = decode(text + at, &length)
            put(w, as_item(code_point if code_point else 0xFFFDu), source, source + 1)
            source += 1
        at += length


cdef inline size_t raw_growth(const uint8_t* text, size_t size) noexcept nogil:
    """Return how many bytes a byte can become: U+FFFD has three."""
    return 3 if size and memchr(text, 0, size) != NULL else 1


cdef int raw_lane(Bump* bump, const uint8_t* text, size_t size, Lane* out) noexcept nogil:
    """Make the raw lane of a text."""
    cdef Writer w
    if open_writer(bump, size, raw_growth(text, size), &w):
        return -1
    write_raw(&w, text, size)
    close_writer(bump, &w, out)
    out.source = text
    out.source_size = <uint32_t> size
    out.marks_dropped = 0
    return 0


cdef int map_raw_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil:
    """Write the raw lane again, with offsets, in scratch."""
    cdef Writer w
    cdef size_t growth = raw_growth(lane.source, lane.source_size)
    if open_map(bump, lane, out) or open_writer(bump, lane.source_size, growth, &w):
        return -1
    w.map_start = <uint32_t*> out.start
    w.map_end = <uint32_t*> out.end
    write_raw(&w, lane.source, lane.source_size)
    return 0


include "loose_words.pxi"
include "squeezed.pxi"
include "normalised.pxi"


# What other modules ask of a lane.


cdef inline bint space_at(const uint8_t* at, uint32_t* length) noexcept nogil:
    """Say whether a code point is white space; nearly all that are asked about are plain ASCII."""
    if c" " < at[0] < 0x7F:
        length[0] = 1
        return False
    return code_point_class(decode(at, length)) & CLASS_SPACE != 0


cdef ByteSpan trim(const uint8_t* data, size_t size) noexcept nogil:
    """Return the part between leading and trailing white space."""
    cdef ByteSpan span
    cdef uint32_t start = 0, end = <uint32_t> size, length, at
    while start < end and space_at(data + start, &length):
        start += length
    while end > start:
        at = end - 1
        while data[at] & 0xC0 == 0x80:
            at -= 1
        if not space_at(data + at, &length):
            break
        end = at
    span.start = start
    span.end = end
    return span


cdef size_t count_code_points(const uint8_t* data, size_t size) noexcept nogil:
    """Count the bytes that begin a code point."""
    cdef size_t i, count = 0
    for i in range(size):
        count += (data[i] & 0xC0) != 0x80
    return count


# What Python sees, for explain and tests: one text at a time.


cdef object view_of(const Lane* lane):
    return LaneView(
        lane.data[:lane.size],
        bits_of(lane.word, lane.size),
        lane.marks_dropped,
        lane.truncated != 0,
    )


cdef bytes bits_of(const uint8_t* bits, uint32_t size):
    cdef uint32_t i
    return bytes([bits[i >> 3] >> (i & 7) & 1 for i in range(size)])


cdef int make_lane_of(
    Bump* bump, const uint8_t* data, size_t size, int wanted, Lane* below, Lane* out
) noexcept nogil:
    """Make a lane; where it does not run, an empty one."""
    if wanted == LANE_RAW:
        return raw_lane(bump, data, size, out)
    if fold(bump, data, size, below):
        return -1
    if wanted == LANE_FOLDED:
        out[0] = below[0]
        return 0
    memset(out, 0, sizeof(Lane))
    out.data = data
    if wanted == LANE_SKELETON:
        return skeleton_lane(bump, data, size, out) if below.disguised else 0
    if not opens_squeezed_lane(below):
        return 0
    if below.disguised and skeleton_lane(bump, data, size, below):
        return -1
    return squeezed_lane(bump, below, out)


cdef Lane make_lane(Arena arena, bytes text, int wanted) except *:
    cdef Lane* below = <Lane*> bump_alloc(&arena.bump, sizeof(Lane))
    cdef Lane lane
    cdef int failed = below == NULL
    cdef const uint8_t* data = <const uint8_t*> <const char*> text
    cdef size_t size = len(text)
    with nogil:
        failed = failed or make_lane_of(&arena.bump, data, size, wanted, below, &lane)
    if failed:
        raise MemoryError("no memory for a lane")
    return lane


cdef object map_lane(bytes text, int wanted):
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, text, wanted)
    cdef LaneMap spans
    cdef int failed
    if lane.size == 0:
        return ()
    with nogil:
        if wanted == LANE_RAW:
            failed = map_raw_lane(&arena.bump, &lane, &spans)
        elif wanted == LANE_SQUEEZED:
            failed = map_squeezed_lane(&arena.bump, &lane, &spans)
        else:
            failed = map_folded_lane(&arena.bump, &lane, &spans)
    if failed:
        raise MemoryError("no memory for the offsets of a lane")
    return tuple([(spans.start[i], spans.end[i]) for i in range(lane.size)])


def view_raw(str text not None):
    """Return the raw lane of a text."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_RAW)
    return view_of(&lane)


def view_folded(str text not None):
    """Return the folded lane of a text."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    return view_of(&lane)


def fold_text(str text not None):
    """Return the folded lane of a text as a string."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    return lane.data[:lane.size].decode()


def folding_work(str text not None):
    """Return the steps that folding a text takes: linear in its length, whatever it holds."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    return make_lane(arena, encoded, LANE_FOLDED).work


def spans_raw(str text not None):
    """Return per byte of the raw lane the source code point [start, end) it belongs to."""
    return map_lane(text.encode(), LANE_RAW)


def spans_folded(str text not None):
    """Return per byte of the folded lane the source code points [start, end) of its cluster."""
    return map_lane(text.encode(), LANE_FOLDED)


def view_skeleton(str text not None):
    """Return the skeleton lane of a text; empty where it does not run."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_SKELETON)
    return view_of(&lane)


def view_squeezed(str text not None):
    """Return the squeezed lane of a text; empty where it does not run."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_SQUEEZED)
    if lane.size == 0:
        return LetterView(b"", (), lane.truncated != 0)
    letters = tuple([lane.letters[i] for i in range(lane.size)])
    return LetterView(lane.data[:lane.size], letters, lane.truncated != 0)


def opens_skeleton(str text not None):
    """Say whether the skeleton lane of a text runs."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    return make_lane(arena, encoded, LANE_FOLDED).disguised != 0


def opens_squeezed(str text not None):
    """Say whether the squeezed lane of a text runs."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    return opens_squeezed_lane(&lane) != 0


def squeezing_work(str text not None):
    """Return the steps that squeezing a text takes: linear in its length, whatever it holds."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    return make_lane(arena, encoded, LANE_SQUEEZED).work


def spans_skeleton(str text not None):
    """Return per byte of the skeleton lane the source code points [start, end) of its cluster."""
    return map_lane(text.encode(), LANE_SKELETON)


def spans_squeezed(str text not None):
    """Return per byte of the squeezed lane the source code points [start, end) of its letter."""
    return map_lane(text.encode(), LANE_SQUEEZED)


def normalised_text(str text not None):
    """Return the form under which texts are compared across accounts."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    cdef Normalised normal
    cdef int failed
    with nogil:
        failed = normalise(&arena.bump, &lane, &normal)
    if failed:
        raise MemoryError("no memory for a normalised text")
    return NormalisedText(normal.data[:normal.size], normal.content != 0)


def trim_text(str text not None):
    """Return a text without leading and trailing white space (property White_Space)."""
    cdef bytes encoded = text.encode()
    cdef ByteSpan span = trim(<const uint8_t*> <const char*> encoded, len(encoded))
    return encoded[span.start:span.end].decode()
