# Hosts brought to the form under which they are compared; fastpath/reference/urls.py is the
# definition. Included by hashes.pyx.

cdef inline int hex_value(uint8_t c) noexcept nogil:
    if c >= 0x30 and c <= 0x39:
        return c - 0x30
    if c >= 0x41 and c <= 0x46:
        return c - 0x37
    if c >= 0x61 and c <= 0x66:
        return c - 0x57
    return -1


cdef inline bint is_unreserved(uint8_t c) noexcept nogil:
    """Say whether RFC 3986 calls a byte unreserved: a letter, a digit, - . _ ~."""
    return (
        (c >= 0x61 and c <= 0x7A) or (c >= 0x41 and c <= 0x5A) or (c >= 0x30 and c <= 0x39)
        or c == 0x2D or c == 0x2E or c == 0x5F or c == 0x7E
    )


cdef size_t normal_escapes(
    uint8_t* out, const uint8_t* data, size_t size, bint slashes
) noexcept nogil:
    """Decode escapes of unreserved bytes, upper-case the others; a backslash may become a slash."""
    cdef size_t i = 0, n = 0
    cdef int high, low
    cdef uint8_t c
    while i < size:
        c = data[i]
        if c == 0x25 and size - i >= 3:
            high = hex_value(data[i + 1])
            low = hex_value(data[i + 2])
            if high >= 0 and low >= 0:
                c = <uint8_t>(16 * high + low)
                if is_unreserved(c):
                    out[n] = c
                    n += 1
                else:
                    out[n] = 0x25
                    out[n + 1] = <uint8_t>(high + (0x30 if high < 10 else 0x37))
                    out[n + 2] = <uint8_t>(low + (0x30 if low < 10 else 0x37))
                    n += 3
                i += 3
                continue
        out[n] = 0x2F if slashes and c == 0x5C else c
        n += 1
        i += 1
    return n


cdef inline size_t dot_length(const uint8_t* at, size_t left) noexcept nogil:
    """Return the bytes of a dot in disguise, or 0: `[.]`, `(dot)`, U+3002 and their like."""
    cdef size_t length
    if left >= 3 and at[0] == 0xE3 and at[1] == 0x80 and at[2] == 0x82:
        return 3
    if at[0] != 0x5B and at[0] != 0x28 and at[0] != 0x7B:
        return 0
    if left >= 3 and at[1] == 0x2E:
        length = 3
    elif left >= 5 and at[1] == c"d" and at[2] == c"o" and at[3] == c"t":
        length = 5
    else:
        return 0
    at += length - 1
    return length if at[0] == 0x5D or at[0] == 0x29 or at[0] == 0x7D else 0


cdef size_t plain_dots(uint8_t* host, size_t size) noexcept nogil:
    """Replace dots in disguise in place."""
    cdef size_t read = 0, write = 0, length
    while read < size:
        length = dot_length(host + read, size - read)
        host[write] = 0x2E if length > 0 else host[read]
        read += length if length > 0 else 1
        write += 1
    return write


cdef inline uint32_t adapted(uint32_t delta, uint32_t points, bint first) noexcept nogil:
    """Adapt the bias (RFC 3492, section 6.1)."""
    cdef uint32_t k = 0
    delta = delta // 700 if first else delta // 2
    delta += delta // points
    while delta > 455:
        delta //= 35
        k += 36
    return k + 36 * delta // (delta + 38)


cdef size_t write_number(uint8_t* out, uint32_t value, uint32_t bias) noexcept nogil:
    """Write a generalised variable-length integer (RFC 3492, section 3.3)."""
    cdef size_t n = 0
    cdef uint32_t k = 36, threshold, digit
    while True:
        threshold = 1 if k <= bias else (26 if k >= bias + 26 else k - bias)
        digit = value if value < threshold else threshold + (value - threshold) % (36 - threshold)
        out[n] = <uint8_t>(0x61 + digit if digit < 26 else 0x16 + digit)
        n += 1
        if value < threshold:
            return n
        value = (value - threshold) // (36 - threshold)
        k += 36


cdef size_t punycode(uint8_t* out, const uint32_t* points, uint32_t count) noexcept nogil:
    """Write a label of at most 63 code points (RFC 3492, section 6.3); return the bytes."""
    cdef uint32_t i, handled, basic, least, last = 0x80, delta = 0, bias = 72
    cdef size_t n = 0
    for i in range(count):
        if points[i] < 0x80:
            out[n] = <uint8_t>points[i]
            n += 1
    basic = <uint32_t>n
    handled = basic
    if basic > 0:
        out[n] = 0x2D
        n += 1
    while handled < count:
        least = 0x110000
        for i in range(count):
            if last <= points[i] < least:
                least = points[i]
        delta += (least - last) * (handled + 1)
        last = least
        for i in range(count):
            if points[i] < last:
                delta += 1
            elif points[i] == last:
                n += write_number(out + n, delta, bias)
                bias = adapted(delta, handled + 1, handled == basic)
                delta = 0
                handled += 1
        delta += 1
        last += 1
    return n


cdef size_t write_label(uint8_t* out, const uint8_t* label, size_t size) noexcept nogil:
    """Write a label, as A-label where it is not ASCII; return the bytes."""
    cdef uint32_t[LABEL_POINTS] points
    cdef uint32_t count = 0, length
    cdef bint ascii = True
    cdef size_t at = 0
    while at < size and count < LABEL_POINTS:
        ascii = ascii and label[at] < 0x80
        points[count] = decode(label + at, &length)
        at += length
        count += 1
    if ascii or at < size:
        memcpy(out, label, size)
        return size
    memcpy(out, b"xn--", 4)
    return 4 + punycode(out + 4, points, count)


cdef int64_t read_number(const uint8_t* part, size_t size) noexcept nogil:
    """Read a decimal, octal or hexadecimal number up to 2**32, else -1."""
    cdef uint64_t value = 0
    cdef int base = 10, digit
    cdef size_t i
    if size >= 2 and part[0] == 0x30 and part[1] == 0x78:
        base = 16
        part += 2
        size -= 2
    elif size > 1 and part[0] == 0x30:
        base = 8
    elif size == 0:
        return -1
    for i in range(size):
        digit = hex_value(part[i])
        if digit < 0 or digit >= base:
            return -1
        value = value * <uint64_t>base + <uint64_t>digit
        if value > <uint64_t>0xFFFFFFFF:
            value = <uint64_t>1 << 32
    return <int64_t>value


cdef bint read_ipv4(const uint8_t* host, size_t size, uint32_t* out) noexcept nogil:
    """Read an IPv4 address as the URL Standard does (section 3.5)."""
    cdef int64_t[4] numbers
    cdef int64_t limit
    cdef uint64_t address = 0
    cdef size_t at = 0, end
    cdef int parts = 0, i
    if size > 0 and host[size - 1] == 0x2E:
        size -= 1
    while True:
        end = at
        while end < size and host[end] != 0x2E:
            end += 1
        if parts == 4:
            return False
        numbers[parts] = read_number(host + at, end - at)
        if numbers[parts] < 0:
            return False
        parts += 1
        if end == size:
            break
        at = end + 1
    for i in range(parts):
        limit = <int64_t>1 << (8 * (5 - parts)) if i == parts - 1 else 256
        if numbers[i] >= limit:
            return False
        address += <uint64_t>numbers[i] << (0 if i == parts - 1 else 8 * (3 - i))
    out[0] = <uint32_t>address
    return True


cdef size_t write_ipv4(uint8_t* out, uint32_t address) noexcept nogil:
    """Write four decimal numbers; return the bytes, at most 15."""
    cdef size_t n = 0
    cdef int i
    cdef uint32_t byte
    for i in range(4):
        byte = (address >> (24 - 8 * i)) & 0xFF
        if i > 0:
            out[n] = 0x2E
            n += 1
        if byte >= 100:
            out[n] = <uint8_t>(0x30 + byte // 100)
            n += 1
        if byte >= 10:
            out[n] = <uint8_t>(0x30 + byte // 10 % 10)
            n += 1
        out[n] = <uint8_t>(0x30 + byte % 10)
        n += 1
    return n


cdef int canonical_host(
    Bump* bump, const uint8_t* host, size_t size, TextSpan* out
) noexcept nogil:
    """Write a host as it is compared; see fastpath/reference/urls.py. 0, or -1: no memory."""
    cdef uint8_t* copy = <uint8_t*>bump_alloc(bump, size + 16)
    cdef Lane lane
    cdef bint ascii = True
    cdef size_t i, n
    cdef uint32_t address
    if copy == NULL:
        return -1
    n = normal_escapes(copy, host, size, False)
    for i in range(n):
        if copy[i] >= 0x80:
            ascii = False
        elif copy[i] >= 0x41 and copy[i] <= 0x5A:
            copy[i] |= 0x20
    if not ascii:
        if fold(bump, copy, n, &lane) != 0:
            return -1
        copy = <uint8_t*>bump_alloc(bump, <size_t>lane.size + 16)
        if copy == NULL:
            return -1
        n = lane.size
        if n > 0:
            memcpy(copy, lane.data, n)
    n = plain_dots(copy, n)
    out.data = copy
    out.size = n
    if not ascii:
        return write_labels(bump, out)
    if read_ipv4(copy, n, &address):
        out.size = write_ipv4(copy, address)
    return 0


cdef int write_labels(Bump* bump, TextSpan* host) noexcept nogil:
    """Replace a host by its A-labels, or its IPv4 address; 0, or -1: no memory."""
    # A label of k code points, one of them not ASCII, takes at most 5 + 9 k bytes.
    cdef uint8_t* copy = <uint8_t*>bump_reserve(bump, 16 * host.size + 16)
    cdef size_t at = 0, end, n = 0
    cdef uint32_t address
    if copy == NULL:
        return -1
    while True:
        end = at
        while end < host.size and host.data[end] != 0x2E:
            end += 1
        n += write_label(copy + n, host.data + at, end - at)
        if end == host.size:
            break
        copy[n] = 0x2E
        n += 1
        at = end + 1
    if read_ipv4(copy, n, &address):
        n = write_ipv4(copy, address)
    bump_commit(bump, n)
    host.data = copy
    host.size = n
    return 0
