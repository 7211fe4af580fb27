"""Extract the fields of a post from canonical JSON in one forward pass, without the GIL.

The reader accepts only what it is sure of: strict grammar (RFC 8259) also inside values that
nobody reads, valid UTF-8, keys once, no more than MAX_NESTING levels, numbers that fit. Everything
else is READ_SLOW, and slow_path decides with orjson whether and as what it is accepted; so a
false "slow" costs time and nothing else, and a false accept is a bug.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from fastpath.arena cimport Arena, bump_alloc

from fastpath.spec import MAX_ID_BYTES, MAX_MEDIA, MAX_TEXT_BYTES, MAX_URLS

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

cdef enum:
    TEXT_BYTES = 65536  # MAX_TEXT_BYTES
    ID_BYTES = 256  # MAX_ID_BYTES
    MAX_NESTING = 24  # levels read here; slow_path takes up to 32
    MAX_NUMBER_BYTES = 40  # longer literals are slow: orjson's rounding and range decide
    MAX_SCORES = 32  # members of scores compared for repeats; more are slow

    # Bits of Post.members.
    HAS_ID = 1
    HAS_OP = 2
    HAS_REVISION = 4
    HAS_ACCOUNT = 8
    HAS_CREATED_AT = 16
    HAS_TEXT = 32
    HAS_LANG = 64
    HAS_URLS = 128
    HAS_HASHTAGS = 256
    HAS_MEDIA = 512
    HAS_REPOST_OF = 1024
    HAS_REPLY_TO = 2048
    HAS_CLIENT = 4096
    HAS_SCORES = 8192
    # Set when the value is not null; one of them makes a create or edit a post.
    CONTENT = 1073741824

cdef int64_t MAX_TIME = 253402300799999  # the year 9999 ends; slow_path refuses what is later
cdef locale_t C_LOCALE = newlocale(LC_ALL_MASK, "C", NULL)

if (MAX_TEXT_BYTES, MAX_ID_BYTES, MAX_URLS, MAX_MEDIA) != (
    TEXT_BYTES, ID_BYTES, POST_URLS, POST_MEDIA
):
    raise ImportError("fastpath.posts was compiled with other limits than fastpath.spec has")

include "json_values.pxi"
include "times.pxi"


# --- Objects -------------------------------------------------------------------------------------

cdef inline bint is_key(const Literal* key, const char* name, size_t size) noexcept nogil:
    return key.size == size and memcmp(key.data, name, size) == 0


cdef bint has_member(Reader* r, bint first, Literal* key) noexcept nogil:
    """Read the next key and its colon; false at the closing brace, which is taken, or failed.

    Keys with escapes are slow where members are read: `"\\u0069d"` is the key `id`.
    """
    if peek(r) == 0x7D:
        r.at += 1
        return False
    if not first and not take(r, 0x2C):
        return False
    if not read_string(r, key) or not take(r, 0x3A):
        return False
    return True if r.trusted or not key.escaped else slow(r)


cdef inline bint mark(Reader* r, uint32_t* members, uint32_t bit) noexcept nogil:
    """Note a member that is read; a repeated one is slow."""
    if members[0] & bit:
        return slow(r)
    members[0] |= bit
    return True


cdef bint read_account(Reader* r, Post* out) noexcept nogil:
    cdef Literal key
    cdef uint32_t members = 0
    cdef bint first = True
    if not take(r, 0x7B):
        return False
    while has_member(r, first, &key):
        first = False
        if is_key(&key, b"id", 2):
            if not mark(r, &members, 1) or not read_id(r, &out.account):
                return False
        elif is_key(&key, b"created_at", 10):
            if not mark(r, &members, 2):
                return False
            if not at_null(r) and (r.failed or not read_time(r, &out.account_created_at)):
                return False
        elif is_key(&key, b"followers", 9):
            if not mark(r, &members, 4):
                return False
            if not at_null(r) and (r.failed or not read_whole(r, INT64_MAX, &out.followers)):
                return False
        elif not skip_value(r, 2):
            return False
    return not r.failed


cdef bint read_client(Reader* r, Post* out) noexcept nogil:
    cdef Literal key
    cdef Text ip
    cdef uint32_t members = 0
    cdef bint first = True
    if not take(r, 0x7B):
        return False
    while has_member(r, first, &key):
        first = False
        if is_key(&key, b"device", 6):
            if not mark(r, &members, 1):
                return False
            if not at_null(r) and (r.failed or not read_id(r, &out.device)):
                return False
        elif is_key(&key, b"ip", 2):
            if not mark(r, &members, 2):
                return False
            if not at_null(r) and (r.failed or not read_text(r, &ip)):
                return False
        elif not skip_value(r, 2):
            return False
    return not r.failed


cdef bint at_array_end(Reader* r, bint* first) noexcept nogil:
    """Step over what stands before the next element; true at the end, or where reading failed."""
    if peek(r) == 0x5D:
        r.at += 1
        return True
    if not first[0] and not take(r, 0x2C):
        return True
    first[0] = False
    return False


cdef bint read_strings(Reader* r, Text* kept, uint32_t room, uint32_t* count) noexcept nogil:
    """Read an array of strings and nulls; count the strings and keep the first `room`."""
    cdef Literal literal
    cdef bint first = True
    if not take(r, 0x5B):
        return False
    while True:
        if at_array_end(r, &first):
            return not r.failed
        if at_null(r):
            continue
        if r.failed or not read_string(r, &literal):
            return False
        if count[0] < room and not decode(r, &literal, &kept[count[0]]):
            return False
        count[0] += 1


cdef bint read_digest(Reader* r, size_t size, Text* out) noexcept nogil:
    """Read hex digits in lower case."""
    cdef Literal literal
    cdef uint8_t* lower
    cdef bint upper = False
    cdef size_t i
    if not read_string(r, &literal):
        return False
    if literal.escaped or literal.size != size:
        return slow(r)
    for i in range(size):
        if hex_digit(literal.data[i]) < 0:
            return slow(r)
        if literal.data[i] >= 0x41 and literal.data[i] <= 0x46:
            upper = True
    out.data = literal.data
    out.size = size
    if upper:
        lower = <uint8_t*>bump_alloc(r.bump, size)
        if lower == NULL:
            r.failed = READ_NO_MEMORY
            return False
        for i in range(size):
            lower[i] = literal.data[i] | 0x20
        out.data = lower
    return True


cdef bint read_medium(Reader* r, MediumDigests* out) noexcept nogil:
    cdef Literal key
    cdef uint32_t members = 0, bit
    cdef size_t size
    cdef Text* digest
    cdef int64_t quality
    cdef bint first = True
    memset(out, 0, sizeof(MediumDigests))
    if not take(r, 0x7B):
        return False
    while has_member(r, first, &key):
        first = False
        digest = NULL
        size = 64
        bit = 0
        if is_key(&key, b"sha256", 6):
            digest = &out.sha256
            bit = 1
        elif is_key(&key, b"md5", 3):
            digest = &out.md5
            size = 32
            bit = 2
        elif is_key(&key, b"pdq", 3):
            digest = &out.pdq
            bit = 4
        elif is_key(&key, b"pdq_quality", 11):
            bit = 8
        if bit == 0:
            if not skip_value(r, 3):
                return False
            continue
        if not mark(r, &members, bit):
            return False
        if at_null(r):
            continue
        if r.failed:
            return False
        if digest != NULL:
            if not read_digest(r, size, digest):
                return False
        elif not read_whole(r, 100, &quality):
            return False
    return not r.failed


cdef bint read_media(Reader* r, Post* out) noexcept nogil:
    """Read an array of objects and nulls; keep the first POST_MEDIA."""
    cdef MediumDigests beyond
    cdef bint first = True
    if not take(r, 0x5B):
        return False
    while True:
        if at_array_end(r, &first):
            return not r.failed
        if at_null(r):
            continue
        if r.failed:
            return False
        if not read_medium(
            r, &out.media[out.media_count] if out.media_count < POST_MEDIA else &beyond
        ):
            return False
        out.media_count += 1


cdef bint make_scores(Reader* r, const ScoreNames* names, Post* out) noexcept nogil:
    cdef uint32_t i
    if names.count == 0 or out.scores != NULL:
        return True
    out.scores = <double*>bump_alloc(r.bump, names.count * sizeof(double))
    if out.scores == NULL:
        r.failed = READ_NO_MEMORY
        return False
    for i in range(names.count):
        out.scores[i] = NAN
    return True


cdef bint read_scores(Reader* r, const ScoreNames* names, Post* out) noexcept nogil:
    cdef Literal key
    cdef Literal[32] met
    cdef Text name
    cdef uint32_t count = 0, i
    cdef double value
    cdef bint first = True
    if not take(r, 0x7B) or not make_scores(r, names, out):
        return False
    while has_member(r, first, &key):
        first = False
        if not r.trusted:
            for i in range(count):
                if met[i].size == key.size and memcmp(met[i].data, key.data, key.size) == 0:
                    return slow(r)
            if count == MAX_SCORES:
                return slow(r)
            met[count] = key
            count += 1
        if at_null(r):
            continue
        if r.failed or not read_double(r, &value) or not decode(r, &key, &name):
            return False
        for i in range(names.count):
            if names.names[i].size == name.size and (
                memcmp(names.names[i].data, name.data, name.size) == 0
            ):
                out.scores[i] = value
    return not r.failed


cdef bint read_op(Reader* r, Post* out) noexcept nogil:
    cdef Literal literal
    if not read_string(r, &literal):
        return False
    if is_key(&literal, b"create", 6):
        out.op = OP_CREATE
    elif is_key(&literal, b"edit", 4):
        out.op = OP_EDIT
    elif is_key(&literal, b"delete", 6):
        out.op = OP_DELETE
    else:
        return slow(r)
    return True


cdef uint32_t member_of(const Literal* key) noexcept nogil:
    """Return the bit of a key of the document, 0 for one that nobody reads."""
    if key.size == 2:
        if is_key(key, b"id", 2):
            return HAS_ID
        return HAS_OP if is_key(key, b"op", 2) else 0
    if key.size == 4:
        if is_key(key, b"text", 4):
            return HAS_TEXT
        if is_key(key, b"lang", 4):
            return HAS_LANG
        return HAS_URLS if is_key(key, b"urls", 4) else 0
    if key.size == 5:
        return HAS_MEDIA if is_key(key, b"media", 5) else 0
    if key.size == 6:
        if is_key(key, b"client", 6):
            return HAS_CLIENT
        return HAS_SCORES if is_key(key, b"scores", 6) else 0
    if key.size == 7:
        return HAS_ACCOUNT if is_key(key, b"account", 7) else 0
    if key.size == 8:
        if is_key(key, b"revision", 8):
            return HAS_REVISION
        if is_key(key, b"hashtags", 8):
            return HAS_HASHTAGS
        return HAS_REPLY_TO if is_key(key, b"reply_to", 8) else 0
    if key.size == 9:
        return HAS_REPOST_OF if is_key(key, b"repost_of", 9) else 0
    return HAS_CREATED_AT if is_key(key, b"created_at", 10) else 0


cdef bint read_member(
    Reader* r, const ScoreNames* names, uint32_t member, Post* out
) noexcept nogil:
    """Read the value, which is not null, of one key of the document."""
    cdef int64_t whole
    if member == HAS_ID:
        return read_id(r, &out.id)
    if member == HAS_TEXT:
        out.members |= <uint32_t>CONTENT
        return read_post_text(r, &out.text)
    if member == HAS_ACCOUNT:
        return read_account(r, out)
    if member == HAS_CREATED_AT:
        return read_time(r, &out.created_at)
    if member == HAS_LANG:
        return read_text(r, &out.lang)
    if member == HAS_URLS:
        out.members |= <uint32_t>CONTENT
        return read_strings(r, out.urls, POST_URLS, &out.url_count)
    if member == HAS_HASHTAGS:
        return read_strings(r, NULL, 0, &out.hashtag_count)
    if member == HAS_MEDIA:
        out.members |= <uint32_t>CONTENT
        return read_media(r, out)
    if member == HAS_REPOST_OF:
        out.members |= <uint32_t>CONTENT
        return read_id(r, &out.repost_of)
    if member == HAS_REPLY_TO:
        return read_id(r, &out.reply_to)
    if member == HAS_CLIENT:
        return read_client(r, out)
    if member == HAS_SCORES:
        return read_scores(r, names, out)
    if member == HAS_OP:
        return read_op(r, out)
    if not read_whole(r, 2147483647, &whole):
        return False
    out.revision = <uint32_t>whole
    return True


cdef bint read_document(Reader* r, const ScoreNames* names, Post* out) noexcept nogil:
    cdef Literal key
    cdef uint32_t member
    cdef bint first = True
    if not take(r, 0x7B):
        return False
    while has_member(r, first, &key):
        first = False
        member = member_of(&key)
        if member == 0:
            if not skip_value(r, 1):
                return False
            continue
        if not mark(r, &out.members, member):
            return False
        if at_null(r):
            continue
        if r.failed or not read_member(r, names, member, out):
            return False
    if r.failed or peek(r) != 0 or r.at != r.end:
        return slow(r) if not r.failed else False
    if out.id.size == 0 or out.account.size == 0:
        return slow(r)
    if out.op != OP_DELETE and not out.members & <uint32_t>CONTENT:
        return slow(r)
    return True


cdef int read_post(
    Bump* bump, const ScoreNames* names, const uint8_t* value, size_t size, bint trusted, Post* out
) noexcept nogil:
    """Read one record value; READ_OK, READ_SLOW or READ_NO_MEMORY. `out` is whole on READ_OK."""
    cdef Reader reader
    # The two arrays at the end are filled as counted and need no clearing.
    memset(out, 0, <size_t>(<uint8_t*>out.urls - <uint8_t*>out))
    out.created_at = INT64_MIN
    out.account_created_at = INT64_MIN
    out.followers = -1
    reader.at = value
    reader.end = value + size
    reader.bump = bump
    reader.trusted = trusted
    reader.failed = READ_OK
    if not is_utf8(value, size):
        return READ_SLOW
    read_document(&reader, names, out)
    return reader.failed


# --- For tests -----------------------------------------------------------------------------------

cdef str text_of(const Text* text):
    return PyBytes_FromStringAndSize(<const char*>text.data, <Py_ssize_t>text.size).decode()


def fields_of(bytes value not None, bint trusted, tuple score_names=()):
    """Return the fields read from one value, or None where it is slow; for tests."""
    cdef Arena arena = Arena()
    cdef Post* post = <Post*>malloc(sizeof(Post))
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
        status = read_post(
            &arena.bump, &wanted, <const uint8_t*>PyBytes_AS_STRING(value),
            <size_t>PyBytes_GET_SIZE(value), trusted, post,
        )
        if status == READ_NO_MEMORY:
            raise MemoryError
        return None if status == READ_SLOW else fields_dict(post, score_names)
    finally:
        free(post)
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
