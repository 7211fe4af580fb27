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

cdef enum:
    RECORD_BYTES = 262144  # MAX_RECORD_BYTES
    TEXT_BYTES = 65536  # MAX_TEXT_BYTES
    ID_BYTES = 256  # MAX_ID_BYTES
    REVISION_MAX = 2147483647  # MAX_REVISION
    MAX_NESTING = 24  # levels read here; slow_path takes up to 32
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

NO_NODE.element = -1

include "json_values.pxi"
include "captures.pxi"
include "times.pxi"
include "markup.pxi"
include "sources.pxi"


# --- Fields --------------------------------------------------------------------------------------

cdef bint set_id(Reader* r, const Found* found, Text* out) noexcept nogil:
    """Take a string of 1 to 256 bytes, or an integer of at most 18 digits as its digits."""
    cdef const Value* value = found.value
    if found.form == FOUND_VALUE and value.kind == VALUE_NUMBER:
        if value.marks & VALUE_REAL or value.size > 18 or (
            value.data[0] == 0x2D and value.data[1] == 0x30  # -0 is the id 0
        ):
            return refuse(r, READ_TYPE)
        out.data = value.data
        out.size = value.size
        return True
    if not text_of_found(r, found, out):
        return False
    return True if 1 <= out.size <= ID_BYTES else refuse(r, READ_TYPE)


cdef bint set_whole(Reader* r, const Found* found, int64_t highest, int64_t* out) noexcept nogil:
    """Take an integer from 0 to `highest`."""
    cdef int64_t whole = found.whole
    if found.form == FOUND_TEXT or (
        found.form == FOUND_VALUE and not whole_of(found.value, &whole)
    ):
        return refuse(r, READ_TYPE)
    out[0] = whole
    return True if 0 <= whole <= highest else refuse(r, READ_TYPE)


cdef bint set_time(Reader* r, const Found* found, int64_t* out) noexcept nogil:
    """Take RFC 3339 or epoch milliseconds."""
    cdef Text text
    if found.form == FOUND_WHOLE or (
        found.form == FOUND_VALUE and found.value.kind == VALUE_NUMBER
    ):
        return set_whole(r, found, MAX_TIME, out)
    if not text_of_found(r, found, &text):
        return False
    return True if rfc3339(text.data, text.size, out) else refuse(r, READ_TYPE)


cdef bint set_op(Reader* r, const Found* found, Post* out) noexcept nogil:
    cdef Text text
    if not text_of_found(r, found, &text):
        return False
    out.op = OP_CREATE
    while out.op <= OP_DELETE:
        if same_text(&text, &OP_NAMES[out.op]):
            return True
        out.op += 1
    return refuse(r, READ_TYPE)


cdef bint set_text(Reader* r, const Found* found, Post* out) noexcept nogil:
    out.has_content = True
    if not text_of_found(r, found, &out.text):
        return False
    if out.text.size > TEXT_BYTES:
        return refuse(r, READ_SIZE)
    if found.form == FOUND_VALUE and not found.value.marks & VALUE_ESCAPED:
        return True
    return show_nuls(r, &out.text)


cdef bint set_digest(Reader* r, const Found* found, size_t size, Text* out) noexcept nogil:
    """Take hex digits, in lower case."""
    cdef uint8_t* lower
    cdef bint upper = False
    cdef size_t i
    if not text_of_found(r, found, out):
        return False
    if out.size != size:
        return refuse(r, READ_TYPE)
    for i in range(size):
        if json_hex(out.data[i]) < 0:
            return refuse(r, READ_TYPE)
        upper |= 0x41 <= out.data[i] <= 0x46
    if upper:
        lower = take_bytes(r, size)
        if lower == NULL:
            return False
        for i in range(size):
            lower[i] = out.data[i] | 0x20
        out.data = lower
    return True


cdef bint read_medium(
    Reader* r, const Value* element, const Value* root, MediumDigests* out
) noexcept nogil:
    """Ask the sources of media.* over one element."""
    cdef const Program* program = r.program
    cdef const Target* target
    cdef Sink sink
    cdef uint32_t i, t
    out.pdq_quality = -1
    for t in range(program.target_count):
        target = &program.targets[t]
        if target.code < TO_SHA256 or target.code > TO_PDQ_QUALITY:
            continue
        memset(&sink, 0, sizeof(Sink))
        for i in range(target.first, target.end):
            ask(r, &program.sources[program.order[i]], element, root, &sink)
            if sink.done or r.failed:
                break
        if r.failed:
            return False
        if not sink.done:
            continue
        if target.code == TO_SHA256:
            set_digest(r, &sink.found, 64, &out.sha256)
        elif target.code == TO_MD5:
            set_digest(r, &sink.found, 32, &out.md5)
        elif target.code == TO_PDQ:
            set_digest(r, &sink.found, 64, &out.pdq)
        else:
            set_whole(r, &sink.found, 100, &out.pdq_quality)
    return r.failed == READ_OK


cdef bint clear_scores(Reader* r, const ScoreNames* names, Post* out) noexcept nogil:
    cdef uint32_t i
    if names.count == 0:
        return True
    if out.scores == NULL:
        out.scores = <double*>take_bytes(r, names.count * sizeof(double))
        if out.scores == NULL:
            return False
    for i in range(names.count):
        out.scores[i] = NAN
    return True


cdef bint set_score(
    Reader* r, const ScoreNames* names, const Text* name, const Value* value, Post* out
) noexcept nogil:
    cdef double score
    cdef uint32_t i
    if not double_of(r, value, &score):
        return False
    for i in range(names.count):
        if same_text(&names.names[i], name):
            out.scores[i] = score
    return True


cdef bint set_scores(
    Reader* r, const ScoreNames* names, const Found* found, Post* out
) noexcept nogil:
    """Take an object of numbers and nulls."""
    cdef const Value* key
    cdef Text name
    if found.form != FOUND_VALUE or found.value.kind != VALUE_OBJECT:
        return refuse(r, READ_TYPE)
    if not clear_scores(r, names, out):
        return False
    key = found.value.below
    while key != NULL:
        if key.below.kind != VALUE_NULL:
            if not decode(r, key, &name) or not set_score(r, names, &name, key.below, out):
                return False
        key = key.next
    return True


cdef bint set_target(
    Reader* r, const ScoreNames* names, const Target* target, const Found* found, Post* out
) noexcept nogil:
    """Check what was found for a single value by the rules of its field, and keep it."""
    cdef uint32_t code = target.code
    cdef int64_t whole = 0
    cdef Text ip
    if code == TO_ID:
        return set_id(r, found, &out.id)
    if code == TO_TEXT:
        return set_text(r, found, out)
    if code == TO_ACCOUNT:
        return set_id(r, found, &out.account)
    if code == TO_CREATED_AT:
        return set_time(r, found, &out.created_at)
    if code == TO_ACCOUNT_CREATED_AT:
        return set_time(r, found, &out.account_created_at)
    if code == TO_FOLLOWERS:
        return set_whole(r, found, INT64_MAX, &out.followers)
    if code == TO_LANG:
        return text_of_found(r, found, &out.lang)
    if code == TO_REPOST_OF:
        out.has_content = True
        return set_id(r, found, &out.repost_of)
    if code == TO_REPLY_TO:
        return set_id(r, found, &out.reply_to)
    if code == TO_DEVICE:
        return set_id(r, found, &out.device)
    if code == TO_IP:
        return text_of_found(r, found, &ip)
    if code == TO_OP:
        return set_op(r, found, out)
    if code == TO_SCORES:
        return set_scores(r, names, found, out)
    if code == TO_SCORE:
        if found.form != FOUND_VALUE:
            return refuse(r, READ_TYPE)
        if out.scores == NULL and not clear_scores(r, names, out):
            return False
        return set_score(r, names, &r.program.texts[target.score], found.value, out)
    if not set_whole(r, found, REVISION_MAX, &whole):
        return False
    out.revision = <uint32_t>whole
    return True


cdef bint set_directly(Reader* r, const Node* node, const Value* value) noexcept nogil:
    """Set the target that is this value; a canonical object may be nothing else."""
    cdef Found found
    if node.direct >= 0:
        found.form = FOUND_VALUE
        found.value = value
        return set_target(r, r.names, &r.program.targets[node.direct], &found, r.out)
    if node.members > 0 and value.kind != VALUE_OBJECT:
        return refuse(r, READ_TYPE)
    return True


cdef bint set_list(Reader* r, const Target* target, const Value* root, Post* out) noexcept nogil:
    """Gather what every source of urls, hashtags or media finds."""
    cdef Sink sink
    cdef Text[64] tags
    cdef uint32_t i, before = out.url_count + out.media_count
    memset(&sink, 0, sizeof(Sink))
    sink.into = <int>(target.code - TO_URLS) + INTO_URLS
    sink.out = out
    sink.tags = tags
    for i in range(target.first, target.end):
        ask(r, &r.program.sources[r.program.order[i]], root, root, &sink)
        if r.failed:
            return False
    if target.code != TO_HASHTAGS and (
        out.url_count + out.media_count > before or (sink.stood and r.program.strict)
    ):
        out.has_content = True
    return True


cdef bint read_fields(
    Reader* r, const ScoreNames* names, const Value* root, Post* out
) noexcept nogil:
    cdef const Program* program = r.program
    cdef const Target* target
    cdef Sink sink
    cdef uint32_t i, t
    for t in range(program.asked):
        target = &program.targets[t]
        if target.place >= 0 and (
            root.below == NULL or root.below[target.place].kind == VALUE_NULL
        ):
            continue
        if TO_URLS <= target.code <= TO_PDQ_QUALITY:
            if target.code <= TO_MEDIA and not set_list(r, target, root, out):
                return False
            continue
        memset(&sink, 0, sizeof(Sink))
        for i in range(target.first, target.end):
            ask(r, &program.sources[program.order[i]], root, root, &sink)
            if sink.done or r.failed:
                break
        if r.failed:
            return False
        if sink.done and not set_target(r, names, target, &sink.found, out):
            return False
    if out.id.size == 0 or out.account.size == 0:
        return refuse(r, READ_INCOMPLETE)
    return True if out.op == OP_DELETE or out.has_content else refuse(r, READ_INCOMPLETE)


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
    memset(r.out, 0, sizeof(Post))
    r.out.created_at = INT64_MIN
    r.out.account_created_at = INT64_MIN
    r.out.followers = -1
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
        if self.values == NULL or not room_for(self, RECORD_BYTES):
            raise MemoryError

    def __dealloc__(self):
        free(self.quotes)
        free(self.escapes)
        free(self.values)

    cdef int read(
        self, Bump* bump, const ScoreNames* names, const uint8_t* value, size_t size,
        bint trusted, Post* out
    ) noexcept nogil:
        """Read one record value; READ_OK, READ_NO_MEMORY or a cause. `out` is whole on READ_OK."""
        cdef Reader r
        cdef Value root
        r.names = names
        r.out = out
        r.program = self.program
        r.bump = bump
        r.values = self.values
        r.values_left = POOL_VALUES
        r.values_taken = 0
        r.work = 0
        r.trusted = trusted
        r.failed = READ_OK
        if self.program.slow:
            return READ_TYPE
        if open_document(self, &r, value, size, &root) and open_text(self, &r, &root):
            read_fields(&r, names, &root, out)
        return r.failed

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


# --- For tests -----------------------------------------------------------------------------------

cdef str text_of(const Text* text):
    return PyBytes_FromStringAndSize(<const char*>text.data, <Py_ssize_t>text.size).decode()


def fields_of(
    PostReader reader not None, bytes value not None, bint trusted=False, tuple score_names=()
):
    """Return the fields read from one value, or the cause why it is slow; for tests."""
    cdef Arena arena = Arena()
    cdef Post post
    cdef Text* names = <Text*>malloc((len(score_names) + 1) * sizeof(Text))
    cdef ScoreNames wanted
    cdef list held = [name.encode() for name in score_names]
    cdef uint32_t i
    cdef int status
    try:
        for i, name in enumerate(held):
            names[i].data = <const uint8_t*>PyBytes_AS_STRING(name)
            names[i].size = <size_t>PyBytes_GET_SIZE(name)
        wanted.count = <uint32_t>len(held)
        wanted.names = names
        status = reader.read(
            &arena.bump, &wanted, <const uint8_t*>PyBytes_AS_STRING(value),
            <size_t>PyBytes_GET_SIZE(value), trusted, &post,
        )
        if status == READ_NO_MEMORY:
            raise MemoryError
        return SLOW_CAUSES[status - 1] if status != READ_OK else fields_dict(&post, score_names)
    finally:
        free(names)


cdef dict fields_dict(const Post* post, tuple score_names):
    cdef uint32_t i
    media = [
        tuple([
            text_of(&post.media[i].sha256),
            text_of(&post.media[i].md5),
            text_of(&post.media[i].pdq),
        ])
        for i in range(min(post.media_count, <uint32_t>POST_MEDIA))
    ]
    scores = {}
    if post.scores != NULL:
        for i, name in enumerate(score_names):
            if post.scores[i] == post.scores[i]:
                scores[name] = post.scores[i]
    return {
        "id": text_of(&post.id),
        "op": ("create", "edit", "delete")[post.op],
        "revision": post.revision,
        "account": text_of(&post.account),
        "account_created_at": (
            None if post.account_created_at == INT64_MIN else post.account_created_at
        ),
        "followers": post.followers,
        "created_at": None if post.created_at == INT64_MIN else post.created_at,
        "text": text_of(&post.text),
        "lang": text_of(&post.lang),
        "urls": [
            text_of(&post.urls[i])
            for i in range(min(post.url_count, <uint32_t>POST_URLS))
        ],
        "url_count": post.url_count,
        "hashtags": post.hashtag_count,
        "media": media,
        "media_count": post.media_count,
        "repost_of": text_of(&post.repost_of),
        "reply_to": text_of(&post.reply_to),
        "device": text_of(&post.device),
        "scores": scores,
    }
