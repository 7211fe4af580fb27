# Strings, numbers and skipped values of strict JSON (RFC 8259). Included by posts.pyx.
# Positions are offsets into the document; a function returns the one behind what it read, 0 where
# it gave up. json_index.h has found the quotes and has checked what stands between them.

cdef struct Reader:
    const uint8_t* data
    size_t size
    const uint32_t* quote  # the next one that was not passed; UINT32_MAX behind the last
    const uint64_t* escapes  # NULL where there is none
    const Program* program
    const ScoreNames* names
    Post* out
    Bump* bump
    Value* values  # free ones, zeroed when taken
    size_t values_left
    size_t values_taken
    size_t work  # bytes decoded and values given, once per time
    bint trusted
    int failed  # READ_NO_MEMORY or a cause once something gave up


cdef inline uint64_t load8(const uint8_t* at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return value


cdef inline size_t give_up(Reader* r, int cause) noexcept nogil:
    if r.failed == READ_OK:
        r.failed = cause
    return 0


cdef inline bint refuse(Reader* r, int cause) noexcept nogil:
    give_up(r, cause)
    return False


cdef inline size_t skip_space(const Reader* r, size_t pos) noexcept nogil:
    while pos < r.size and (
        r.data[pos] == 0x20 or r.data[pos] == 0x0A or r.data[pos] == 0x0D or r.data[pos] == 0x09
    ):
        pos += 1
    return pos


cdef inline uint8_t byte_at(const Reader* r, size_t pos) noexcept nogil:
    return r.data[pos] if pos < r.size else 0


cdef inline size_t word_end(Reader* r, size_t pos, const char* word, size_t size) noexcept nogil:
    if r.size - pos < size or memcmp(r.data + pos, word, size) != 0:
        return give_up(r, READ_SYNTAX)
    return pos + size


# --- Strings -------------------------------------------------------------------------------------

cdef bint any_escape(const Reader* r, size_t start, size_t end) noexcept nogil:
    """Say whether an escape begins in these bytes of the document."""
    cdef size_t word = start >> 6, last
    cdef uint64_t bits
    if r.escapes == NULL or start == end:
        return False
    last = (end - 1) >> 6
    bits = r.escapes[word] & (~<uint64_t>0 << (start & 63))
    while word < last:
        if bits != 0:
            return True
        word += 1
        bits = r.escapes[word]
    return (bits & (~<uint64_t>0 >> (63 - ((end - 1) & 63)))) != 0


cdef inline size_t next_escape(const Reader* r, size_t start, size_t end) noexcept nogil:
    """Return where the next escape begins, `end` if there is none before it."""
    cdef size_t word = start >> 6
    cdef uint64_t bits
    if start >= end:
        return end
    bits = r.escapes[word] & (~<uint64_t>0 << (start & 63))
    while bits == 0:
        word += 1
        if word << 6 >= end:
            return end
        bits = r.escapes[word]
    return min(end, (word << 6) + <size_t>__builtin_ctzll(bits))


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
    unit = <uint32_t>json_hex4(at + 2, 4)
    if unit < 0xD800 or unit > 0xDBFF:
        written[0] = put_utf8(out, unit)
        return 6
    unit = 0x10000 + ((unit - 0xD800) << 10) + (<uint32_t>json_hex4(at + 8, 4) - 0xDC00)
    written[0] = put_utf8(out, unit)
    return 12


cdef uint8_t* take_bytes(Reader* r, size_t size) noexcept nogil:
    cdef uint8_t* buffer = <uint8_t*>bump_alloc(r.bump, size)
    if buffer == NULL:
        r.failed = READ_NO_MEMORY
    return buffer


cdef inline bint afford(Reader* r, size_t work) noexcept nogil:
    """Say whether a record may cost this much more; a map may ask for one value many times."""
    r.work += work
    return True if r.work <= MAX_WORK or r.trusted else refuse(r, READ_SIZE)


cdef inline bint decode(Reader* r, const Value* value, Text* out) noexcept nogil:
    """Give the decoded bytes of a string; they lie in the record where nothing was escaped."""
    out.data = value.data
    out.size = value.size
    return decode_escapes(r, value, out) if value.marks & VALUE_ESCAPED else True


cdef bint decode_escapes(Reader* r, const Value* value, Text* out) noexcept nogil:
    cdef uint8_t* buffer
    cdef size_t at, end, stop, n = 0, written
    if not afford(r, value.size):
        return False
    buffer = take_bytes(r, value.size)
    if buffer == NULL:
        return False
    at = <size_t>(value.data - r.data)
    end = at + value.size
    while at < end:
        stop = next_escape(r, at, end)
        memcpy(buffer + n, r.data + at, stop - at)
        n += stop - at
        at = stop
        if at < end:
            at += decode_escape(r.data + at, buffer + n, &written)
            n += written
    out.data = buffer
    out.size = n
    return True


cdef bint show_nuls(Reader* r, Text* text) noexcept nogil:
    """Replace U+0000 by U+FFFD, which an unescaped text cannot hold."""
    cdef size_t i, n = 0, nuls = 0
    cdef uint8_t* buffer
    for i in range(text.size):
        nuls += text.data[i] == 0
    if nuls == 0:
        return True
    buffer = take_bytes(r, text.size + 2 * nuls)
    if buffer == NULL:
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


# --- Numbers -------------------------------------------------------------------------------------

cdef inline uint64_t no_digits(uint64_t bytes) noexcept nogil:
    """Return 0 for eight digits; else the lowest bit that is set is of the first other byte.

    Neither half of a digit's byte changes when 6 is added; a carry comes from a byte that is none.
    """
    cdef uint64_t others = bytes ^ 0x3030303030303030u
    others |= (bytes + 0x0606060606060606u) ^ 0x3030303030303030u
    return others & 0xF0F0F0F0F0F0F0F0u


cdef inline size_t digits_end(const Reader* r, size_t pos) noexcept nogil:
    """Step over digits, eight at a time."""
    cdef uint64_t others
    while r.size - pos >= 8:
        others = no_digits(load8(r.data + pos))
        if others != 0:
            return pos + (<size_t>__builtin_ctzll(others) >> 3)
        pos += 8
    while pos < r.size and <uint8_t>(r.data[pos] - 0x30) < 10:
        pos += 1
    return pos


cdef size_t number_end(Reader* r, size_t pos, bint* real) noexcept nogil:
    """Step over a number by the grammar; long literals and large exponents are slow."""
    cdef size_t start = pos, first
    cdef uint8_t c
    real[0] = False
    if byte_at(r, pos) == 0x2D:
        pos += 1
    first = pos
    pos = digits_end(r, pos)
    if pos == first or (pos - first > 1 and r.data[first] == 0x30):
        return give_up(r, READ_SYNTAX)
    c = byte_at(r, pos)
    if c == 0x2E:
        real[0] = True
        first = pos + 1
        pos = digits_end(r, first)
        if pos == first:
            return give_up(r, READ_SYNTAX)
        c = byte_at(r, pos)
    if c | 0x20 == 0x65:
        real[0] = True
        pos += 1
        if byte_at(r, pos) == 0x2B or byte_at(r, pos) == 0x2D:
            pos += 1
        first = pos
        pos = digits_end(r, pos)
        if pos == first:
            return give_up(r, READ_SYNTAX)
        if pos - first > 2 and not r.trusted:  # may be no double at all
            return give_up(r, READ_NUMBER)
    return pos if pos - start <= MAX_NUMBER_BYTES else give_up(r, READ_NUMBER)


cdef inline uint64_t eight_digits(uint64_t bytes) noexcept nogil:
    """Read eight digits, the first in the lowest byte; bytes of zero count as the digit 0."""
    bytes = (bytes & 0x0F0F0F0F0F0F0F0Fu) * 2561 >> 8
    bytes = (bytes & 0x00FF00FF00FF00FFu) * 6553601 >> 16
    return (bytes & 0x0000FFFF0000FFFFu) * 42949672960001u >> 32


cdef bint whole_of(const Value* value, int64_t* out) noexcept nogil:
    """Read an integer of at most 63 bits and a sign; false for any other value."""
    cdef bint negative
    cdef size_t i
    cdef uint64_t whole = 0
    if value.kind != VALUE_NUMBER or value.marks & VALUE_REAL:
        return False
    negative = value.data[0] == 0x2D
    if value.size - negative > 19:
        return False
    i = negative
    if 8 < value.size - i <= 16:
        whole = eight_digits(load8(value.data + i) << (8 * (16 - (value.size - i))))
        whole = whole * 100000000 + eight_digits(load8(value.data + value.size - 8))
        i = value.size
    while i < value.size:
        whole = whole * 10 + (value.data[i] - 0x30)
        i += 1
    out[0] = -<int64_t>whole if negative else <int64_t>whole
    return whole <= <uint64_t>INT64_MAX


cdef bint double_of(Reader* r, const Value* value, double* out) noexcept nogil:
    """Read a number as the nearest double (strtod of the C locale rounds correctly)."""
    cdef char[48] buffer
    if value.kind != VALUE_NUMBER:
        return refuse(r, READ_TYPE)
    memcpy(buffer, value.data, value.size)
    buffer[value.size] = 0
    out[0] = strtod_l(buffer, NULL, C_LOCALE)
    return True if isfinite(out[0]) else refuse(r, READ_NUMBER)


# --- Values that nobody reads --------------------------------------------------------------------

cdef size_t skip_value(Reader* r, size_t pos, int depth) noexcept nogil:
    """Step over any value with full grammar checks; `pos` stands on its first byte."""
    cdef uint8_t c = byte_at(r, pos)
    cdef bint real
    if c == 0x22:
        pos = r.quote[1] + 1
        r.quote += 2
        return pos
    if c == 0x7B:
        return skip_object(r, pos + 1, depth + 1)
    if c == 0x5B:
        return skip_array(r, pos + 1, depth + 1, NULL)
    if c == 0x74:
        return word_end(r, pos, b"true", 4)
    if c == 0x66:
        return word_end(r, pos, b"false", 5)
    if c == 0x6E:
        return word_end(r, pos, b"null", 4)
    return number_end(r, pos, &real)


cdef inline size_t value_start(Reader* r, size_t pos) noexcept nogil:
    """Step over the colon at `pos` and white space around it."""
    if byte_at(r, pos) != 0x3A:
        pos = skip_space(r, pos)
        if byte_at(r, pos) != 0x3A:
            return give_up(r, READ_SYNTAX)
    pos += 1
    return pos if byte_at(r, pos) > 0x20 else skip_space(r, pos)


cdef inline size_t next_item(Reader* r, size_t pos, uint8_t closing, bint* done) noexcept nogil:
    """Step over the comma or the closing bracket at `pos`, and white space around it."""
    cdef uint8_t c = byte_at(r, pos)
    if c <= 0x20:
        pos = skip_space(r, pos)
        c = byte_at(r, pos)
    if c == 0x2C:
        pos += 1
        return pos if byte_at(r, pos) > 0x20 else skip_space(r, pos)
    if c != closing:
        return give_up(r, READ_SYNTAX)
    done[0] = True
    return pos + 1


cdef size_t skip_array(Reader* r, size_t pos, int depth, uint32_t* count) noexcept nogil:
    """Step over an array, `pos` behind its bracket; count its elements where asked."""
    cdef bint done = False
    cdef uint32_t n = 0
    if depth > MAX_NESTING:
        return give_up(r, READ_NESTING)
    pos = skip_space(r, pos)
    if byte_at(r, pos) == 0x5D:
        return pos + 1
    while not done:
        pos = skip_value(r, pos, depth)
        if pos == 0:
            return 0
        n += 1
        pos = next_item(r, pos, 0x5D, &done)
        if pos == 0:
            return 0
    if count != NULL:
        count[0] = n
    return pos


cdef size_t skip_object(Reader* r, size_t pos, int depth) noexcept nogil:
    """Step over an object, `pos` behind its brace."""
    cdef bint done = False
    if depth > MAX_NESTING:
        return give_up(r, READ_NESTING)
    pos = skip_space(r, pos)
    if byte_at(r, pos) == 0x7D:
        return pos + 1
    while not done:
        if pos != r.quote[0]:
            return give_up(r, READ_SYNTAX)
        pos = value_start(r, <size_t>r.quote[1] + 1)
        if pos == 0:
            return 0
        r.quote += 2
        pos = skip_value(r, pos, depth)
        if pos == 0:
            return 0
        pos = next_item(r, pos, 0x7D, &done)
        if pos == 0:
            return 0
    return pos
