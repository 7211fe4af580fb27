# URLs: found in text, brought to canonical form; fastpath/reference/urls.py is the
# definition. Included by hashes.pyx.

cdef inline size_t terminator(const uint8_t* at, size_t left) noexcept nogil:
    """Return the bytes of the white space, quote or angle bracket that ends a URL here, or 0."""
    cdef uint8_t c = at[0]
    cdef uint8_t second, third
    if c < 0x80:
        if c == 0x20 or (c >= 0x09 and c <= 0x0D):
            return 1
        return 1 if c == 0x22 or c == 0x27 or c == 0x60 or c == 0x3C or c == 0x3E else 0
    if left < 2:
        return 0
    second = at[1]
    if c == 0xC2:
        return 2 if second == 0x85 or second == 0xA0 or second == 0xAB or second == 0xBB else 0
    if left < 3:
        return 0
    third = at[2]
    if c == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if c == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if c != 0xE2:
        return 0
    if second == 0x81:
        return 3 if third == 0x9F else 0
    if second != 0x80:
        return 0
    if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF:
        return 3
    return 3 if third == 0x98 or third == 0x99 or third == 0x9C or third == 0x9D else 0


cdef inline bint is_trailing(uint8_t c) noexcept nogil:
    """Say whether a byte is one of . , ; : ! ? ) ] } ' and the double quote."""
    return (
        c == 0x2E or c == 0x2C or c == 0x3B or c == 0x3A or c == 0x21 or c == 0x3F
        or c == 0x29 or c == 0x5D or c == 0x7D or c == 0x27 or c == 0x22
    )


cdef inline bint equals_lower(const uint8_t* at, const char* lower, size_t size) noexcept nogil:
    """Compare letters with lower-case ASCII, ignoring case."""
    cdef size_t i
    for i in range(size):
        if (at[i] | 0x20) != <uint8_t>lower[i]:
            return False
    return True


cdef inline bint is_http(const uint8_t* at) noexcept nogil:
    """Say whether `http` stands here, or `hxxp`, as people write it to hide a link."""
    return equals_lower(at, b"http", 4) or equals_lower(at, b"hxxp", 4)


cdef bint next_url(const uint8_t* text, size_t size, size_t* pos, TextSpan* out) noexcept nogil:
    """Find the next http or https URL at or after *pos, trailing punctuation left out."""
    cdef size_t at = pos[0], start, body, end
    cdef const uint8_t* colon
    while at < size:
        colon = <const uint8_t*>memchr(text + at, 0x3A, size - at)
        if colon == NULL:
            break
        at = <size_t>(colon - text)
        body = at + 3
        if body > size or text[at + 1] != 0x2F or text[at + 2] != 0x2F:
            at += 1
            continue
        if at >= pos[0] + 4 and is_http(text + at - 4):
            start = at - 4
        elif at >= pos[0] + 5 and is_http(text + at - 5) and (text[at - 1] | 0x20) == 0x73:
            start = at - 5
        else:
            at += 1
            continue
        end = body
        while end < size and terminator(text + end, size - end) == 0:
            end += 1
        pos[0] = end
        at = end
        while end > body and is_trailing(text[end - 1]):
            end -= 1
        if end > body:
            out.data = text + start
            out.size = end - start
            return True
    pos[0] = size
    return False


cdef size_t without_dots(uint8_t* path, size_t size) noexcept nogil:
    """Remove dot segments in place from a path that begins with a slash (RFC 3986, 5.2.4)."""
    cdef size_t read = 0, write = 0, end
    while read < size:  # path[read] is a slash
        end = read + 1
        while end < size and path[end] != 0x2F:
            end += 1
        if end - read == 2 and path[read + 1] == 0x2E:
            if end == size:
                path[write] = 0x2F
                write += 1
        elif end - read == 3 and path[read + 1] == 0x2E and path[read + 2] == 0x2E:
            while write > 0:
                write -= 1
                if path[write] == 0x2F:
                    break
            if end == size:
                path[write] = 0x2F
                write += 1
        else:
            while read < end:
                path[write] = path[read]
                write += 1
                read += 1
        read = end
    return write


cdef size_t split_port(const uint8_t* authority, size_t size, TextSpan* port) noexcept nogil:
    """Return the bytes of the host; a port that is not all digits belongs to it."""
    cdef size_t at = size
    port.data = NULL
    port.size = 0
    while at > 0 and authority[at - 1] >= 0x30 and authority[at - 1] <= 0x39:
        at -= 1
    if at == 0 or authority[at - 1] != 0x3A:
        return size
    port.data = authority + at
    port.size = size - at
    while port.size > 1 and port.data[0] == 0x30:
        port.data += 1
        port.size -= 1
    return at - 1


cdef size_t write_authority(
    uint8_t* out, bint secure, const TextSpan* host, const TextSpan* port
) noexcept nogil:
    """Write the scheme, a host and a port that is not the scheme's own; return the bytes."""
    cdef size_t n = 8 if secure else 7
    memcpy(out, b"https://" if secure else b"http://", n)
    memcpy(out + n, host.data, host.size)
    n += host.size
    if port.size == 0 or (port.size == 2 and not secure and memcmp(port.data, b"80", 2) == 0) or (
        port.size == 3 and secure and memcmp(port.data, b"443", 3) == 0
    ):
        return n
    out[n] = 0x3A
    memcpy(out + n + 1, port.data, port.size)
    return n + 1 + port.size


cdef int canonical_url(Bump* bump, const uint8_t* url, size_t size, UrlView* out) noexcept nogil:
    """Write the canonical form of a URL; see fastpath/reference/urls.py for the rules."""
    cdef ByteSpan span = trim(url, size)
    cdef const uint8_t* at = url + span.start
    cdef const uint8_t* hash_mark
    cdef size_t left = span.end - span.start, hierarchy = 0, authority = 0, place, n
    cdef size_t scheme = scheme_size(at, left)
    cdef TextSpan host, port
    cdef uint8_t* buffer
    memset(out, 0, sizeof(UrlView))
    out.canonical = at
    out.size = <uint32_t>left
    out.host = at
    if scheme == 0:
        return 0
    at += scheme
    left -= scheme
    hash_mark = <const uint8_t*>memchr(at, 0x23, left) if left > 0 else NULL
    if hash_mark != NULL:
        left = <size_t>(hash_mark - at)
    while hierarchy < left and at[hierarchy] != 0x3F:
        hierarchy += 1
    while authority < hierarchy and at[authority] != 0x2F and at[authority] != 0x5C:
        authority += 1
    place = authority
    while place > 0 and at[place - 1] != 0x40:
        place -= 1
    n = split_port(at + place, authority - place, &port)
    if canonical_host(bump, at + place, n, &host) != 0:
        return -1
    if host.size == 0:
        return 0
    buffer = <uint8_t*>bump_reserve(bump, 16 + host.size + port.size + left)
    if buffer == NULL:
        return -1
    n = write_authority(buffer, scheme == 8, &host, &port)
    if hierarchy == authority:
        buffer[n] = 0x2F
        n += 1
    else:
        n += without_dots(
            buffer + n,
            normal_escapes(buffer + n, at + authority, hierarchy - authority, True),
        )
    out.page_size = <uint32_t>n
    if hierarchy < left:
        n += write_query(buffer + n, at + hierarchy + 1, left - hierarchy - 1)
    bump_commit(bump, n)
    out.canonical = buffer
    out.size = <uint32_t>n
    out.host = buffer + scheme
    out.host_size = <uint32_t>host.size
    out.userinfo = place > 0
    if hierarchy == left:
        return 0
    return carried_url(bump, at + hierarchy + 1, left - hierarchy - 1, &out.target)
