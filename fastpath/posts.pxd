# Fields of a post, extracted from the bytes of canonical JSON: layout and signatures for screen.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t

from fastpath.arena cimport Bump

cdef enum:
    POST_URLS = 64  # kept of urls[]; all are counted
    POST_MEDIA = 16

    READ_OK = 0
    READ_SLOW = 1  # slow_path decides whether it is a post at all
    READ_NO_MEMORY = -1

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
    uint32_t members  # bits of the keys of the document that were met
    double* scores  # per ScoreNames.names, NaN where absent; NULL where all are
    Text[64] urls  # min(url_count, POST_URLS)
    MediumDigests[16] media


# Read one record value. `trusted`: it is slow_path's canonical form, keys stand once.
cdef int read_post(
    Bump* bump, const ScoreNames* names, const uint8_t* value, size_t size, bint trusted, Post* out
) noexcept nogil


# Well-formed UTF-8 (The Unicode Standard, table 3-7).
cdef bint is_utf8(const uint8_t* at, size_t size) noexcept nogil
