# Strings, numbers and skipped values of strict JSON (RFC 8259). Included by posts.pyx.

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
