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

cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    Bump* bump
    bint trusted
    int failed  # READ_SLOW or READ_NO_MEMORY once something gave up


cdef struct Literal:  # a JSON string before decoding
    const uint8_t* data
    size_t size
    bint escaped


# --- Bytes ---------------------------------------------------------------------------------------

cdef inline uint64_t load8(const uint8_t* at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return value


cdef bint is_utf8(const uint8_t* at, size_t size) noexcept nogil:
    """Check well-formed UTF-8 (The Unicode Standard, table 3-7)."""
    cdef const uint8_t* end = at + size
    cdef uint8_t c, low, high
    cdef int more
    while at < end:
        while end - at >= 8 and (load8(at) & <uint64_t>0x8080808080808080) == 0:
            at += 8
        if at == end:
            return True
        c = at[0]
        at += 1
        if c < 0x80:
            continue
        low = 0x80
        high = 0xBF
        if c >= 0xC2 and c <= 0xDF:
            more = 1
        elif c >= 0xE0 and c <= 0xEF:
            more = 2
            if c == 0xE0:
                low = 0xA0
            elif c == 0xED:
                high = 0x9F
        elif c >= 0xF0 and c <= 0xF4:
            more = 3
            if c == 0xF0:
                low = 0x90
            elif c == 0xF4:
                high = 0x8F
        else:
            return False
        if end - at < more or at[0] < low or at[0] > high:
            return False
        if more > 1 and (at[1] & 0xC0) != 0x80:
            return False
        if more > 2 and (at[2] & 0xC0) != 0x80:
            return False
        at += more
    return True


cdef inline bint slow(Reader* r) noexcept nogil:
    r.failed = READ_SLOW
    return False


cdef inline void skip_space(Reader* r) noexcept nogil:
    while r.at < r.end and (
        r.at[0] == 0x20 or r.at[0] == 0x0A or r.at[0] == 0x0D or r.at[0] == 0x09
    ):
        r.at += 1


cdef inline uint8_t peek(Reader* r) noexcept nogil:
    """Return the next byte that is no white space, 0 at the end."""
    skip_space(r)
    return r.at[0] if r.at < r.end else 0


cdef inline bint take(Reader* r, uint8_t c) noexcept nogil:
    if peek(r) != c:
        return slow(r)
    r.at += 1
    return True


cdef inline bint take_word(Reader* r, const char* word, size_t size) noexcept nogil:
    if <size_t>(r.end - r.at) < size or memcmp(r.at, word, size) != 0:
        return slow(r)
    r.at += size
    return True


cdef inline bint at_null(Reader* r) noexcept nogil:
    """Take a null if one stands here; a broken one fails the reader."""
    return peek(r) == 0x6E and take_word(r, b"null", 4)


# --- Strings -------------------------------------------------------------------------------------

cdef inline int hex_digit(uint8_t c) noexcept nogil:
    if c >= 0x30 and c <= 0x39:
        return c - 0x30
    c |= 0x20
    return c - 0x57 if c >= 0x61 and c <= 0x66 else -1


cdef inline int hex4(const uint8_t* at, size_t left) noexcept nogil:
    """Return the value of four hex digits, -1 where they are not."""
    cdef int value = 0, digit, i
    if left < 4:
        return -1
    for i in range(4):
        digit = hex_digit(at[i])
        if digit < 0:
            return -1
        value = value * 16 + digit
    return value


cdef bint check_escape(Reader* r) noexcept nogil:
    """Step over one escape; r.at stands on the backslash. Lone surrogates are slow."""
    cdef size_t left = <size_t>(r.end - r.at)
    cdef int unit, low
    cdef uint8_t c
    if left < 2:
        return slow(r)
    c = r.at[1]
    if c != 0x75:
        if (
            c != 0x22 and c != 0x5C and c != 0x2F and c != 0x62 and c != 0x66 and c != 0x6E
            and c != 0x72 and c != 0x74
        ):
            return slow(r)
        r.at += 2
        return True
    unit = hex4(r.at + 2, left - 2)
    if unit < 0 or (unit >= 0xDC00 and unit <= 0xDFFF):
        return slow(r)
    r.at += 6
    if unit < 0xD800 or unit > 0xDBFF:
        return True
    left -= 6
    if left < 6 or r.at[0] != 0x5C or r.at[1] != 0x75:
        return slow(r)
    low = hex4(r.at + 2, left - 2)
    if low < 0xDC00 or low > 0xDFFF:
        return slow(r)
    r.at += 6
    return True


cdef bint read_string(Reader* r, Literal* out) noexcept nogil:
    """Step over a string and remember where it lies; its escapes are checked."""
    cdef uint64_t word, quote, back, control
    cdef uint64_t ones = <uint64_t>0x0101010101010101, tops = <uint64_t>0x8080808080808080
    cdef uint8_t c
    if not take(r, 0x22):
        return False
    out.data = r.at
    out.escaped = False
    while True:
        while r.end - r.at >= 8:
            word = load8(r.at)
            quote = word ^ (ones * 0x22)
            back = word ^ (ones * 0x5C)
            control = (
                ((quote - ones) & ~quote) | ((back - ones) & ~back)
                | ((word - ones * 0x20) & ~word)
            ) & tops
            if control != 0:
                r.at += __builtin_ctzll(control) >> 3
                break
            r.at += 8
        if r.at >= r.end:
            return slow(r)
        c = r.at[0]
        if c == 0x22:
            out.size = <size_t>(r.at - out.data)
            r.at += 1
            return True
        if c == 0x5C:
            out.escaped = True
            if not check_escape(r):
                return False
        elif c < 0x20:
            return slow(r)
        else:
            r.at += 1


cdef inline size_t put_utf8(uint8_t* out, uint32_t code_point) noexcept nogil:
    if code_point < 0x80:
        out[0] = <uint8_t>code_point
        return 1
    if code_point < 0x800:
        out[0] = <uint8_t>(0xC0 | (code_point >> 6))
        out[1] = <uint8_t>(0x80 | (code_point & 0x3F))
        return 2
    if code_point < 0x10000:
        out[0] = <uint8_t>(0xE0 | (code_point >> 12))
        out[1] = <uint8_t>(0x80 | ((code_point >> 6) & 0x3F))
        out[2] = <uint8_t>(0x80 | (code_point & 0x3F))
        return 3
    out[0] = <uint8_t>(0xF0 | (code_point >> 18))
    out[1] = <uint8_t>(0x80 | ((code_point >> 12) & 0x3F))
    out[2] = <uint8_t>(0x80 | ((code_point >> 6) & 0x3F))
    out[3] = <uint8_t>(0x80 | (code_point & 0x3F))
    return 4


cdef inline uint8_t plain_escape(uint8_t c) noexcept nogil:
    if c == 0x6E:
        return 0x0A
    if c == 0x74:
        return 0x09
    if c == 0x72:
        return 0x0D
    if c == 0x62:
        return 0x08
    return 0x0C if c == 0x66 else c


cdef size_t decode_escape(const uint8_t* at, uint8_t* out, size_t* written) noexcept nogil:
    """Decode one checked escape; return the bytes read."""
    cdef uint32_t unit
    if at[1] != 0x75:
        out[0] = plain_escape(at[1])
        written[0] = 1
        return 2
    unit = <uint32_t>hex4(at + 2, 4)
    if unit < 0xD800 or unit > 0xDBFF:
        written[0] = put_utf8(out, unit)
        return 6
    unit = 0x10000 + ((unit - 0xD800) << 10) + (<uint32_t>hex4(at + 8, 4) - 0xDC00)
    written[0] = put_utf8(out, unit)
    return 12


cdef bint decode(Reader* r, const Literal* literal, Text* out) noexcept nogil:
    """Give the decoded bytes of a string; they lie in the record where nothing was escaped."""
    cdef uint8_t* buffer
    cdef size_t i = 0, n = 0, written
    out.data = literal.data
    out.size = literal.size
    if not literal.escaped:
        return True
    buffer = <uint8_t*>bump_alloc(r.bump, literal.size)
    if buffer == NULL:
        r.failed = READ_NO_MEMORY
        return False
    while i < literal.size:
        if literal.data[i] != 0x5C:
            buffer[n] = literal.data[i]
            i += 1
            n += 1
        else:
            i += decode_escape(literal.data + i, buffer + n, &written)
            n += written
    out.data = buffer
    out.size = n
    return True


cdef bint read_text(Reader* r, Text* out) noexcept nogil:
    cdef Literal literal
    return read_string(r, &literal) and decode(r, &literal, out)


cdef bint read_id(Reader* r, Text* out) noexcept nogil:
    """Read an id of 1 to 256 bytes."""
    if not read_text(r, out):
        return False
    return True if 1 <= out.size <= ID_BYTES else slow(r)


cdef bint show_nuls(Reader* r, Text* text) noexcept nogil:
    """Replace U+0000 by U+FFFD, which an unescaped text cannot hold."""
    cdef size_t i, n = 0, nuls = 0
    cdef uint8_t* buffer
    for i in range(text.size):
        if text.data[i] == 0:
            nuls += 1
    if nuls == 0:
        return True
    buffer = <uint8_t*>bump_alloc(r.bump, text.size + 2 * nuls)
    if buffer == NULL:
        r.failed = READ_NO_MEMORY
        return False
    for i in range(text.size):
        if text.data[i] == 0:
            n += put_utf8(buffer + n, 0xFFFD)
        else:
            buffer[n] = text.data[i]
            n += 1
    text.data = buffer
    text.size = n
    return True


cdef bint read_post_text(Reader* r, Text* out) noexcept nogil:
    cdef Literal literal
    if not read_string(r, &literal) or not decode(r, &literal, out):
        return False
    if out.size > TEXT_BYTES:
        return slow(r)
    return show_nuls(r, out) if literal.escaped else True


# --- Numbers -------------------------------------------------------------------------------------

cdef inline size_t digits(Reader* r) noexcept nogil:
    cdef const uint8_t* start = r.at
    while r.at < r.end and r.at[0] >= 0x30 and r.at[0] <= 0x39:
        r.at += 1
    return <size_t>(r.at - start)


cdef bint read_number(Reader* r, Literal* out) noexcept nogil:
    """Step over a number by the grammar; long ones, and exponents of foreign posts, are slow."""
    cdef size_t whole
    skip_space(r)
    out.data = r.at
    out.escaped = False  # here: has a fraction or exponent
    if r.at < r.end and r.at[0] == 0x2D:
        r.at += 1
    whole = digits(r)
    if whole == 0 or (whole > 1 and (r.at - whole)[0] == 0x30):
        return slow(r)
    if r.at < r.end and r.at[0] == 0x2E:
        out.escaped = True
        r.at += 1
        if digits(r) == 0:
            return slow(r)
    if r.at < r.end and (r.at[0] | 0x20) == 0x65:
        if not r.trusted:
            return slow(r)
        out.escaped = True
        r.at += 1
        if r.at < r.end and (r.at[0] == 0x2B or r.at[0] == 0x2D):
            r.at += 1
        if digits(r) == 0:
            return slow(r)
    out.size = <size_t>(r.at - out.data)
    return True if out.size <= MAX_NUMBER_BYTES else slow(r)


cdef bint read_whole(Reader* r, int64_t highest, int64_t* out) noexcept nogil:
    """Read an integer from 0 to `highest`."""
    cdef Literal literal
    cdef uint64_t value = 0
    cdef size_t i
    if not read_number(r, &literal):
        return False
    if literal.escaped or literal.size > 19 or literal.data[0] == 0x2D:
        return slow(r)
    for i in range(literal.size):
        value = value * 10 + (literal.data[i] - 0x30)
    if value > <uint64_t>highest:
        return slow(r)
    out[0] = <int64_t>value
    return True


cdef bint read_double(Reader* r, double* out) noexcept nogil:
    """Read a number as the nearest double (strtod of the C locale rounds correctly)."""
    cdef Literal literal
    cdef char[48] buffer
    if not read_number(r, &literal):
        return False
    memcpy(buffer, literal.data, literal.size)
    buffer[literal.size] = 0
    out[0] = strtod_l(buffer, NULL, C_LOCALE)
    return True if isfinite(out[0]) else slow(r)


# --- Times ---------------------------------------------------------------------------------------

cdef inline int two_digits(const uint8_t* at) noexcept nogil:
    """Return the value of two digits, or a number far below zero."""
    if at[0] < 0x30 or at[0] > 0x39 or at[1] < 0x30 or at[1] > 0x39:
        return -100000
    return 10 * (at[0] - 0x30) + (at[1] - 0x30)


cdef int64_t days_from_epoch(int year, int month, int day) noexcept nogil:
    """Count days since 1970-01-01 in the Gregorian calendar; the year begins in March."""
    cdef int shifted = year - 1 if month <= 2 else year
    cdef int era = shifted // 400
    cdef int of_era = shifted - era * 400
    cdef int of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    cdef int day_of_era = of_era * 365 + of_era // 4 - of_era // 100 + of_year
    return <int64_t>era * 146097 + day_of_era - 719468


cdef inline int days_in(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef bint read_rfc3339(Reader* r, int64_t* out) noexcept nogil:
    """Read an RFC 3339 time from 1970 on; leap seconds and what else is odd are slow."""
    cdef Literal literal
    cdef const uint8_t* t
    cdef const uint8_t* end
    cdef int year, month, day, hour, minute, second, fraction = 0, scale = 100, offset = 0
    cdef int sign
    cdef int64_t time
    if not read_string(r, &literal):
        return False
    t = literal.data
    end = t + literal.size
    if literal.escaped or literal.size < 20:
        return slow(r)
    year = two_digits(t) * 100 + two_digits(t + 2)
    month = two_digits(t + 5)
    day = two_digits(t + 8)
    hour = two_digits(t + 11)
    minute = two_digits(t + 14)
    second = two_digits(t + 17)
    if (
        t[4] != 0x2D or t[7] != 0x2D or (t[10] | 0x20) != 0x74 or t[13] != 0x3A or t[16] != 0x3A
        or year < 1970 or month < 1 or month > 12 or day < 1 or day > days_in(year, month)
        or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59
    ):
        return slow(r)
    t += 19
    if t[0] == 0x2E:
        t += 1
        if t >= end or t[0] < 0x30 or t[0] > 0x39:
            return slow(r)
        while t < end and t[0] >= 0x30 and t[0] <= 0x39:
            fraction += scale * (t[0] - 0x30)
            scale = scale // 10
            t += 1
    if t >= end:
        return slow(r)
    if (t[0] | 0x20) == 0x7A:
        t += 1
    elif end - t == 6 and (t[0] == 0x2B or t[0] == 0x2D) and t[3] == 0x3A:
        sign = 1 if t[0] == 0x2B else -1
        if two_digits(t + 1) < 0 or two_digits(t + 1) > 23:
            return slow(r)
        if two_digits(t + 4) < 0 or two_digits(t + 4) > 59:
            return slow(r)
        offset = sign * (60 * two_digits(t + 1) + two_digits(t + 4))
        t += 6
    if t != end:
        return slow(r)
    time = (days_from_epoch(year, month, day) * 1440 + hour * 60 + minute - offset) * 60000
    time += second * 1000 + fraction
    if time < 0 or time > MAX_TIME:
        return slow(r)
    out[0] = time
    return True


cdef bint read_time(Reader* r, int64_t* out) noexcept nogil:
    """Read RFC 3339 or epoch milliseconds."""
    if peek(r) == 0x22:
        return read_rfc3339(r, out)
    return read_whole(r, MAX_TIME, out)


# --- Values that nobody reads --------------------------------------------------------------------

cdef bint skip_value(Reader* r, int depth) noexcept nogil:
    """Step over any value with full grammar checks."""
    cdef Literal literal
    cdef uint8_t c = peek(r)
    if c == 0x22:
        return read_string(r, &literal)
    if c == 0x7B:
        return skip_object(r, depth + 1)
    if c == 0x5B:
        return skip_array(r, depth + 1)
    if c == 0x74:
        return take_word(r, b"true", 4)
    if c == 0x66:
        return take_word(r, b"false", 5)
    if c == 0x6E:
        return take_word(r, b"null", 4)
    return read_number(r, &literal)


cdef bint skip_array(Reader* r, int depth) noexcept nogil:
    if depth > MAX_NESTING or not take(r, 0x5B):
        return slow(r)
    if peek(r) == 0x5D:
        r.at += 1
        return True
    while skip_value(r, depth):
        if peek(r) == 0x5D:
            r.at += 1
            return True
        if not take(r, 0x2C):
            return False
    return False


cdef bint skip_object(Reader* r, int depth) noexcept nogil:
    cdef Literal key
    if depth > MAX_NESTING or not take(r, 0x7B):
        return slow(r)
    if peek(r) == 0x7D:
        r.at += 1
        return True
    while read_string(r, &key) and take(r, 0x3A) and skip_value(r, depth):
        if peek(r) == 0x7D:
            r.at += 1
            return True
        if not take(r, 0x2C):
            return False
    return False


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


cdef bint read_strings(Reader* r, Text* kept, uint32_t room, uint32_t* count) noexcept nogil:
    """Read an array of strings and nulls; count the strings and keep the first `room`."""
    cdef Literal literal
    cdef bint first = True
    if not take(r, 0x5B):
        return False
    while True:
        if peek(r) == 0x5D:
            r.at += 1
            return True
        if not first and not take(r, 0x2C):
            return False
        if not first and peek(r) == 0x5D:
            return slow(r)
        first = False
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
        if peek(r) == 0x5D:
            r.at += 1
            return True
        if not first and not take(r, 0x2C):
            return False
        if not first and peek(r) == 0x5D:
            return slow(r)
        first = False
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
