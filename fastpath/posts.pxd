# Fields of a post, extracted from the bytes of JSON: layout and signatures for screen.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.arena cimport Arena, Bump

cdef enum:
    POST_URLS = 64  # kept of urls[]; all are counted
    POST_MEDIA = 16

    READ_NO_MEMORY = -1
    READ_OK = 0
    # Why slow_path decides whether it is a post at all; by place in SLOW_CAUSES.
    READ_SYNTAX = 1
    READ_NESTING = 2
    READ_NUMBER = 3
    READ_ESCAPED_KEY = 4
    READ_REPEATED_KEY = 5
    READ_TYPE = 6
    READ_INCOMPLETE = 7
    READ_SIZE = 8
    READ_MARKUP = 9
    SLOW_CAUSE_COUNT = 9

    OP_CREATE = 0
    OP_EDIT = 1
    OP_DELETE = 2


cdef struct Text:  # decoded UTF-8, in the record's bytes or in the arena
    const uint8_t* data
    size_t size


cdef struct MediumDigests:  # lower-case hex, size 0 where absent
    Text sha256
    Text md5
    Text pdq
    int64_t pdq_quality  # 0 to 100, -1 where unknown


cdef struct ScoreNames:  # the scores that gates read
    uint32_t count
    const Text* names


cdef struct Post:
    Text id
    Text account
    Text text  # U+0000 as U+FFFD
    Text lang
    Text repost_of
    Text reply_to
    Text device
    int64_t created_at  # ms; INT64_MIN where absent, as below
    int64_t account_created_at
    int64_t followers  # -1 where absent
    uint32_t revision
    uint32_t op
    uint32_t url_count
    uint32_t hashtag_count
    uint32_t media_count
    bint has_content  # one of text, media, urls, repost_of stands
    double* scores  # per ScoreNames.names, NaN where absent; NULL where all are
    Text* urls  # min(url_count, POST_URLS)
    MediumDigests* media  # min(media_count, POST_MEDIA)


cdef struct Program  # the tables of a field map
cdef struct Value
cdef struct Shapes


cdef class PostReader:
    """Read record values by one field map, None for canonical posts. One thread at a time."""

    cdef readonly object field_map
    cdef object tables  # owns the program
    cdef Arena arena  # of count()
    cdef const Program* program
    cdef uint32_t* quotes  # of the document at hand
    cdef uint64_t* escapes
    cdef size_t room
    cdef Value* values  # the root first
    cdef Shapes* shapes
    cdef int level

    # READ_OK, READ_NO_MEMORY, or a cause. `out` is whole on READ_OK. `trusted`: it is slow_path's
    # canonical form, whose keys stand once.
    cdef int read(
        self, Bump* bump, const ScoreNames* names, const uint8_t* value, size_t size,
        bint trusted, Post* out
    ) noexcept nogil

    # Forget the shapes of documents, so that the next one is read as the first; for tests.
    cdef void forget_shapes(self) noexcept nogil


# Well-formed UTF-8 (The Unicode Standard, table 3-7).
cdef bint is_utf8(const uint8_t* at, size_t size) noexcept nogil
