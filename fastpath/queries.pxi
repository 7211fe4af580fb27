# Queries of URLs: parameters that only track, and URLs that are carried in one;
# fastpath/reference/urls.py is the definition. Included by hashes.pyx.

cdef enum:
    TRACKING_ROOM = 96
    TRACKING_BYTES = 24

cdef struct TrackingName:
    size_t size
    bint prefix  # of names, any of which tracks
    uint8_t[TRACKING_BYTES] name  # lower case


cdef TrackingName[TRACKING_ROOM] TRACKING
cdef size_t TRACKING_COUNT = 0


cdef object remember_tracking(names, bint prefix):
    """Keep names of parameters where code without the GIL reads them; called at import."""
    global TRACKING_COUNT
    for name in sorted(names):
        data = name.encode()
        if TRACKING_COUNT == TRACKING_ROOM or len(data) >= TRACKING_BYTES:
            raise ImportError("fastpath.hashes was compiled with room for fewer tracking names")
        TRACKING[TRACKING_COUNT].size = <size_t>len(data)
        TRACKING[TRACKING_COUNT].prefix = prefix
        memcpy(TRACKING[TRACKING_COUNT].name, PyBytes_AS_STRING(data), <size_t>len(data))
        TRACKING_COUNT += 1


remember_tracking(TRACKING_PREFIXES, True)
remember_tracking(TRACKING_NAMES, False)


cdef inline uint8_t lower_ascii(uint8_t c) noexcept nogil:
    return c | 0x20 if 0x41 <= c <= 0x5A else c


cdef bint tracks(const uint8_t* parameter, size_t size) noexcept nogil:
    """Say whether a parameter only says who follows the link."""
    cdef uint8_t[TRACKING_BYTES] name
    cdef size_t n = 0, i
    while n < size and n < TRACKING_BYTES and parameter[n] != 0x3D:
        name[n] = lower_ascii(parameter[n])
        n += 1
    for i in range(TRACKING_COUNT):
        if n < TRACKING[i].size or name[0] != TRACKING[i].name[0]:
            continue
        if TRACKING[i].prefix or (
            n == TRACKING[i].size and (n == size or parameter[n] == 0x3D)
        ):
            if memcmp(name, TRACKING[i].name, TRACKING[i].size) == 0:
                return True
    return False


cdef size_t write_query(uint8_t* out, const uint8_t* query, size_t size) noexcept nogil:
    """Write the mark and what is compared of a query, or nothing where all of it tracks."""
    cdef size_t n = normal_escapes(out + 1, query, size, False), read = 0, write = 0, end
    cdef uint8_t* at = out + 1
    cdef bint kept = False
    while True:
        end = read
        while end < n and at[end] != 0x26:
            end += 1
        if not tracks(at + read, end - read):
            if kept:
                at[write] = 0x26
                write += 1
            memmove(at + write, at + read, end - read)
            write += end - read
            kept = True
        if end >= n:
            break
        read = end + 1
    out[0] = 0x3F
    return 1 + write if kept else 0


cdef inline size_t decode_ascii(const uint8_t* at, size_t left, uint8_t* out) noexcept nogil:
    """Decode one byte, or the escape of an ASCII one; return the bytes read."""
    if at[0] == 0x25 and left >= 3 and 0x30 <= at[1] <= 0x37 and hex_value(at[2]) >= 0:
        out[0] = <uint8_t>(16 * hex_value(at[1]) + hex_value(at[2]))
        return 3
    out[0] = at[0]
    return 1


cdef size_t scheme_size(const uint8_t* at, size_t left) noexcept nogil:
    """Return the bytes of http:// or https:// here, or 0; hxxp counts."""
    if left >= 7 and is_http(at) and at[4] == 0x3A and at[5] == 0x2F and at[6] == 0x2F:
        return 7
    if left >= 8 and is_http(at) and (at[4] | 0x20) == 0x73 and (
        at[5] == 0x3A and at[6] == 0x2F and at[7] == 0x2F
    ):
        return 8
    return 0


cdef bint begins_url(const uint8_t* at, size_t left) noexcept nogil:
    """Say whether escaped text begins with a scheme."""
    cdef uint8_t[8] start
    cdef size_t n = 0, read = 0
    if left == 0 or ((at[0] | 0x20) != 0x68 and at[0] != 0x25):
        return False
    while n < 8 and read < left:
        read += decode_ascii(at + read, left - read, &start[n])
        n += 1
    return scheme_size(start, n) > 0


cdef int decode_carried(
    Bump* bump, const uint8_t* at, size_t left, TextSpan* out
) noexcept nogil:
    cdef uint8_t* buffer = <uint8_t*>bump_reserve(bump, left)
    cdef size_t read = 0, n = 0
    if buffer == NULL:
        return -1
    while read < left:
        read += decode_ascii(at + read, left - read, buffer + n)
        n += 1
    bump_commit(bump, n)
    out.data = buffer
    out.size = n
    return 0


cdef int carried_url(
    Bump* bump, const uint8_t* query, size_t size, TextSpan* out
) noexcept nogil:
    """Find the URL that the first such parameter is, or has for its value; 0, or -1: no memory."""
    cdef size_t at = 0, end, value
    out.data = NULL
    out.size = 0
    while at < size:
        if begins_url(query + at, size - at):
            return decode_carried(bump, query + at, size - at, out)
        end = value = at
        while end < size and query[end] != 0x26:
            end += 1
        while value < end and query[value] != 0x3D:
            value += 1
        value += 1
        if value < end and begins_url(query + value, end - value):
            return decode_carried(bump, query + value, end - value, out)
        at = end + 1
    return 0
