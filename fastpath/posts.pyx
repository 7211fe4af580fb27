"""Extract the fields of a post from JSON in one forward pass, without the GIL.

json_index.h finds the strings, 64 bytes at a time; the pass keeps what the field map reads and
checks everything else by grammar; then the map's sources are asked, and what they find becomes a
Post. The reader accepts only what it is sure of: strict grammar (RFC 8259) also inside values that
nobody reads, valid UTF-8, keys once, no more than MAX_NESTING levels, numbers that fit. Everything
else has a cause, and slow_path decides with orjson whether and as what it is accepted; so a false
cause costs time and nothing else, and a false accept is a bug.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, SIZE_MAX, int16_t, int32_t, uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy, memset

from fastpath.arena cimport Arena, bump_alloc, bump_reset
from fastpath.isa cimport isa_level
from fastpath.records cimport BatchView, RecordRef

from fastpath.errors import BuildError
from fastpath.field_maps import TARGETS
from fastpath.field_programs import KINDS, SCORE_CODE, compile_program
from fastpath.isa import ISA, LEVELS
from fastpath.slow_path import MAX_REVISION
from fastpath.spec import (
    MAX_ID_BYTES, MAX_MEDIA, MAX_RECORD_BYTES, MAX_TEXT_BYTES, MAX_URLS, SLOW_CAUSES,
)

cdef extern from "<locale.h>" nogil:
    ctypedef void* locale_t
    locale_t newlocale(int mask, const char* name, locale_t base)
    int LC_ALL_MASK

cdef extern from "<stdlib.h>" nogil:
    double strtod_l(const char* text, char** end, locale_t locale)

cdef extern from "<math.h>" nogil:
    double NAN
    bint isfinite(double value)

cdef extern from *:
    int __builtin_ctzll(unsigned long long value) nogil

cdef extern from "json_index.h" nogil:
    ctypedef struct JsonIndex:
        uint32_t* quotes
        uint64_t* escapes
        size_t count
        int any_escape
    int INDEX_OK
    int json_index(int level, const uint8_t* data, size_t size, JsonIndex* index)
    int json_utf8(int level, const uint8_t* data, size_t size)
    int json_hex(uint8_t c)
    int json_hex4(const uint8_t* at, size_t left)

cdef extern from "json_strings.h" nogil:
    size_t json_stop(const uint8_t* data, size_t size, size_t at, uint32_t* high)
    bint json_hex16(const uint8_t* at, int* upper)

cdef enum:
    RECORD_BYTES = 262144  # MAX_RECORD_BYTES
    TEXT_BYTES = 65536  # MAX_TEXT_BYTES
    ID_BYTES = 256  # MAX_ID_BYTES
    REVISION_MAX = 2147483647  # MAX_REVISION
    MAX_NESTING = 32  # levels of a value: MAX_DEPTH, beyond which slow_path refuses
    MAX_NUMBER_BYTES = 40  # longer literals are slow: orjson's rounding and range decide
    MAX_SCORES = 32  # members of scores compared for repeats; more are slow
    POOL_VALUES = 512  # kept values of an ordinary post; more are taken from the arena
    MAX_VALUES = 16384  # of one record: 512 KiB; more are slow

    MAX_WORK = 1048576  # four times the largest record; what costs more is slow

    VALUE_NULL = 0  # absent, too
    VALUE_BOOLEAN = 1
    VALUE_NUMBER = 2
    VALUE_STRING = 3
    VALUE_ARRAY = 4
    VALUE_OBJECT = 5

    VALUE_ESCAPED = 1
    VALUE_REAL = 2  # a number with a fraction or an exponent

    TO_ID = 0  # by place in TARGETS
    TO_OP = 1
    TO_REVISION = 2
    TO_ACCOUNT = 3
    TO_ACCOUNT_CREATED_AT = 4
    TO_FOLLOWERS = 5
    TO_CREATED_AT = 6
    TO_TEXT = 7
    TO_LANG = 8
    TO_URLS = 9
    TO_HASHTAGS = 10
    TO_MEDIA = 11
    TO_SHA256 = 12
    TO_MD5 = 13
    TO_PDQ = 14
    TO_PDQ_QUALITY = 15
    TO_REPOST_OF = 16
    TO_REPLY_TO = 17
    TO_DEVICE = 18
    TO_IP = 19
    TO_SCORES = 20
    TO_SCORE = 21  # SCORE_CODE

cdef int64_t MAX_TIME = 253402300799999  # the year 9999 ends; slow_path refuses what is later
cdef locale_t C_LOCALE = newlocale(LC_ALL_MASK, "C", NULL)
cdef Text[3] OP_NAMES

OP_NAMES[0].data, OP_NAMES[0].size = <const uint8_t*>b"create", 6
OP_NAMES[1].data, OP_NAMES[1].size = <const uint8_t*>b"edit", 4
OP_NAMES[2].data, OP_NAMES[2].size = <const uint8_t*>b"delete", 6

if (
    MAX_RECORD_BYTES, MAX_TEXT_BYTES, MAX_ID_BYTES, MAX_URLS, MAX_MEDIA, MAX_REVISION, SCORE_CODE,
    len(SLOW_CAUSES),
) != (
    RECORD_BYTES, TEXT_BYTES, ID_BYTES, POST_URLS, POST_MEDIA, REVISION_MAX, TO_SCORE,
    SLOW_CAUSE_COUNT,
):
    raise ImportError("fastpath.posts was compiled with other limits than fastpath.spec has")
if TARGETS != (
    "id", "op", "revision", "account.id", "account.created_at", "account.followers", "created_at",
    "text", "lang", "urls", "hashtags", "media", "media.sha256", "media.md5", "media.pdq",
    "media.pdq_quality", "repost_of", "reply_to", "client.device", "client.ip", "scores",
):
    raise ImportError("fastpath.posts was compiled with other targets than field maps have")

include "program_tables.pxi"

cdef Node NO_NODE  # of values that are kept as they are
cdef Source PLAIN  # a pointer without a function
cdef Post NO_POST  # nothing was read

NO_NODE.element = -1
NO_POST.created_at = INT64_MIN
NO_POST.account_created_at = INT64_MIN
NO_POST.followers = -1

include "json_values.pxi"
include "captures.pxi"
include "times.pxi"
include "markup.pxi"
include "sources.pxi"
include "schema_functions.pxi"
include "found_values.pxi"
include "post_fields.pxi"
include "shapes.pxi"
include "shape_reading.pxi"
include "shape_learning.pxi"


# --- The reader ----------------------------------------------------------------------------------

cdef bint room_for(PostReader self, size_t size) noexcept nogil:
    """Make room for the index of a document; false when memory ran out."""
    if size <= self.room:
        return True
    free(self.quotes)
    free(self.escapes)
    self.room = 0
    self.quotes = <uint32_t*>malloc((size + 128) * sizeof(uint32_t))
    self.escapes = <uint64_t*>malloc((size // 64 + 2) * sizeof(uint64_t))
    if self.quotes == NULL or self.escapes == NULL:
        return False
    self.room = size
    return True


cdef inline void start(PostReader self, Reader* r) noexcept nogil:
    """Begin a record: the first of the values is the root."""
    r.values = self.values + 1
    r.values_left = POOL_VALUES - 1
    r.values_taken = 0
    r.work = 0
    r.failed = READ_OK


cdef bint open_document(
    PostReader self, Reader* r, const uint8_t* data, size_t size, Value* root
) noexcept nogil:
    """Index a document and keep what the map reads of it."""
    cdef JsonIndex index
    if not room_for(self, size):
        r.failed = READ_NO_MEMORY
        return False
    index.quotes = self.quotes
    index.escapes = self.escapes
    if json_index(self.level, data, size, &index) != INDEX_OK:
        return refuse(r, READ_SYNTAX)
    r.data = data
    r.size = size
    r.quote = self.quotes
    r.escapes = self.escapes if index.any_escape else NULL
    memset(root, 0, sizeof(Value))
    r.out[0] = NO_POST
    return read_document(r, root)


cdef bint open_text(PostReader self, Reader* r, Value* root) noexcept nogil:
    """Go on with the JSON text that some streams carry as a string member of the event."""
    cdef const Value* member
    cdef int16_t place
    cdef Text text
    cdef size_t i = 0
    if self.program.json_text < 0 or root.below == NULL:
        return True
    place = self.program.nodes[0].places[self.program.json_text]
    member = &root.below[place]
    if member.kind != VALUE_STRING or not decode(r, member, &text):
        return r.failed == READ_OK
    while i < text.size and (
        text.data[i] == 0x20 or 0x09 <= text.data[i] <= 0x0A or text.data[i] == 0x0D
    ):
        i += 1
    if i == text.size or text.data[i] != 0x7B:
        return True
    return open_document(self, r, text.data, text.size, root)


cdef int add_up(
    PostReader self, Bump* bump, const RecordRef* refs, size_t count, uint64_t* sums
) noexcept nogil:
    cdef ScoreNames names
    cdef Post post
    cdef size_t i
    cdef int status
    names.count = 0
    memset(sums, 0, 16 * sizeof(uint64_t))
    for i in range(count):
        if i % 256 == 0:
            bump_reset(bump, SIZE_MAX)
        status = READ_SIZE
        if 0 <= refs[i].value_size <= RECORD_BYTES:
            status = self.read(
                bump, &names, refs[i].value, <size_t>refs[i].value_size, False, &post
            )
        if status == READ_NO_MEMORY:
            return status
        sums[status] += 1
        if status == READ_OK:
            sums[10] += post.text.size
            sums[11] += post.url_count
            sums[12] += post.hashtag_count
            sums[13] += post.media_count
            sums[14] += <uint64_t>max(post.followers, <int64_t>0)
            sums[15] += <uint64_t>max(post.created_at, <int64_t>0)
    return READ_OK


cdef class PostReader:
    def __cinit__(self, field_map=None, str isa=ISA):
        cdef Tables tables = Tables(field_map)
        self.field_map = field_map
        self.tables = tables
        self.program = &tables.program
        self.arena = Arena()
        if isa not in LEVELS or LEVELS.index(isa) > isa_level():
            raise BuildError("instructions", ", ".join(LEVELS[:isa_level() + 1]), isa)
        self.level = LEVELS.index(isa)
        self.values = <Value*>malloc(POOL_VALUES * sizeof(Value))
        self.shapes = <Shapes*>malloc(sizeof(Shapes))
        if self.values == NULL or self.shapes == NULL or not room_for(self, RECORD_BYTES):
            raise MemoryError
        self.shapes.hits = 0
        self.forget()

    def __dealloc__(self):
        free(self.quotes)
        free(self.escapes)
        free(self.values)
        free(self.shapes)

    cdef int read(
        self, Bump* bump, const ScoreNames* names, const uint8_t* value, size_t size,
        bint trusted, Post* out
    ) noexcept nogil:
        """Read one record value; READ_OK, READ_NO_MEMORY or a cause. `out` is whole on READ_OK."""
        cdef Reader r
        cdef Shapes* shapes = self.shapes
        cdef bint tried = not trusted and may_try(shapes)
        r.names = names
        r.out = out
        r.program = self.program
        r.bump = bump
        r.trusted = trusted
        if self.program.slow:
            return READ_TYPE
        if tried:
            start(self, &r)
            if read_by_shape(self, &r, value, size):
                shapes.doubt = max(0, shapes.doubt - HIT_TRUST)
                shapes.hits += 1
                return READ_OK
        start(self, &r)
        if (
            open_document(self, &r, value, size, self.values)
            and open_text(self, &r, self.values)
        ):
            read_fields(&r, names, self.values, out)
        if tried:
            miss(self, &r)
        return r.failed

    cdef void forget_shapes(self) noexcept nogil:
        forget(self.shapes, self.program.json_text < 0)

    def forget(self):
        """Forget the shapes of documents, so that the next one is read as the first; for tests."""
        self.forget_shapes()

    @property
    def shaped(self):
        """Return how many documents were read by a remembered shape; for tests."""
        return self.shapes.hits

    @property
    def held_bytes(self):
        """Return the bytes of arena that the last call of count() needed."""
        return self.arena.held_bytes

    def count(self, BatchView view not None):
        """Read every record of a batch and return what was found, as sums; for measurements.

        The names are posts, the causes of SLOW_CAUSES, and sums over posts: text_bytes, urls,
        hashtags, media, followers, time_ms. Releases the GIL; raises MemoryError.
        """
        cdef uint64_t[16] sums
        cdef int failed
        with nogil:
            failed = add_up(self, &self.arena.bump, view.refs, <size_t>view.count, sums)
        if failed != READ_OK:
            raise MemoryError
        names = (
            "posts", *SLOW_CAUSES, "text_bytes", "urls", "hashtags", "media", "followers", "time_ms"
        )
        return {name: sums[place] for place, name in enumerate(names)}


cdef bint is_utf8(const uint8_t* at, size_t size) noexcept nogil:
    """Check well-formed UTF-8 (The Unicode Standard, table 3-7)."""
    return json_utf8(isa_level(), at, size)


include "post_dicts.pxi"
