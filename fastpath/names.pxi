# Names of hosts that stand in a text without a scheme, in the folded lane;
# fastpath/reference/urls.py is the definition. Included by hashes.pyx.

cdef enum:
    NAME_BYTES = 253  # fastpath.reference.urls.MAX_NAME
    NAME_PLACES = 64

if MAX_NAMES != NAME_PLACES:
    raise ImportError("fastpath.hashes was compiled with another cap than MAX_NAMES")


cdef bint may_name(const uint8_t* data, size_t size) noexcept nogil:
    """Say whether a dot or `dot` stands where it could join labels: one pass of vector code."""
    cdef uint8_t any = 0
    cdef size_t i
    for i in range(1, size - 1 if size > 1 else 1):
        any |= <uint8_t>(
            ((data[i] == 0x2E) & ((data[i + 1] != 0x20) | (data[i - 1] == 0x20)))
            | ((data[i] == 0x6F) & (data[i - 1] == 0x64) & (data[i + 1] == 0x74))
            | ((data[i] == 0x80) & (data[i - 1] == 0xE3) & (data[i + 1] == 0x82))
        )
    return any != 0


cdef bint in_unspaced_label(const uint8_t* data, size_t at) noexcept nogil:
    """Say so of a byte beyond ASCII that is of no word: scripts without spaces have labels too."""
    cdef uint32_t length
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return code_point_class(decode(data + at, &length)) & CLASS_WORD != 0


cdef inline bint in_label(const Lane* lane, size_t at) noexcept nogil:
    """Say whether a byte is of a letter, mark, digit, connector or hyphen."""
    if (lane.word[at >> 3] >> (at & 7)) & 1 or lane.data[at] == 0x2D:
        return True
    return lane.data[at] >= 0x80 and in_unspaced_label(lane.data, at)


cdef inline bint is_hidden_end(uint8_t c) noexcept nogil:
    return c == 0x5D or c == 0x29 or c == 0x7D


cdef inline size_t label_end(const Lane* lane, size_t end) noexcept nogil:
    """Return `end` where a label ends there, else 0."""
    return end if end > 0 and in_label(lane, end - 1) else 0


cdef size_t spaced_end(const Lane* lane, size_t end, bint must) noexcept nogil:
    """Return where a label ends with one space behind it, or, if it may, with none; or 0."""
    if not must and label_end(lane, end) > 0:
        return end
    return label_end(lane, end - 1) if end > 0 and lane.data[end - 1] == 0x20 else 0


cdef size_t joined_before(const Lane* lane, size_t start) noexcept nogil:
    """Return where the label ends that a dot joins to the one at `start`, or 0."""
    cdef const uint8_t* data = lane.data
    cdef size_t end = start, dot
    if start < 2:
        return 0
    if data[start - 1] == 0x2E:
        return label_end(lane, start - 1)
    if data[start - 1] == 0x82:
        if start >= 4 and data[start - 2] == 0x80 and data[start - 3] == 0xE3:
            return label_end(lane, start - 3)
        return 0
    if data[start - 1] == 0x20:
        end -= 1
    if is_hidden_end(data[end - 1]):
        if end >= 3 and dot_length(data + end - 3, 3) == 3:
            return spaced_end(lane, end - 3, False)
        if end >= 5 and dot_length(data + end - 5, 5) == 5:
            return spaced_end(lane, end - 5, False)
        return 0
    if end == start:
        return 0
    if data[end - 1] == 0x2E:
        dot = 1
    elif end >= 3 and memcmp(data + end - 3, b"dot", 3) == 0:
        dot = 3
    else:
        return 0
    return spaced_end(lane, end - dot, True)


cdef bint goes_on(const Lane* lane, size_t end) noexcept nogil:
    """Say whether a dot without spaces joins a label to the next, or an @ follows."""
    cdef size_t dot
    if end == lane.size:
        return False
    if lane.data[end] == 0x40:
        return True
    dot = 1 if lane.data[end] == 0x2E else dot_length(lane.data + end, lane.size - end)
    return dot > 0 and end + dot < lane.size and in_label(lane, end + dot)


cdef bint stands_inside(const uint8_t* data, size_t start) noexcept nogil:
    """Say whether a name is part of an address, a path, a query or a hashtag."""
    cdef uint8_t c
    if start == 0:
        return False
    c = data[start - 1]
    if start >= 3 and c == 0x2F and data[start - 2] == 0x2F and data[start - 3] == 0x3A:
        return False
    return (
        c == 0x40 or c == 0x2F or c == 0x5C or c == 0x3D or c == 0x26 or c == 0x25 or c == 0x23
    )


cdef int name_until(
    Bump* bump, const Lane* lane, size_t start, size_t end, TextSpan* out
) noexcept nogil:
    """Write the host whose last label stands at start..end; of size 0 where it is no name."""
    cdef uint8_t[NAME_BYTES + 1] name
    cdef size_t at = NAME_BYTES + 1, size
    out.data = NULL
    out.size = 0
    while True:
        size = end - start
        if NAME_BYTES + 1 - at + size > NAME_BYTES:
            break
        at -= size
        memcpy(name + at, lane.data + start, size)
        at -= 1
        name[at] = 0x2E
        end = joined_before(lane, start)
        if end == 0:
            if stands_inside(lane.data, start):
                return 0
            break
        start = end
        while start > 0 and in_label(lane, start - 1):
            start -= 1
    if at > NAME_BYTES:
        return 0
    return canonical_host(bump, name + at + 1, NAME_BYTES - at, out)


cdef bint is_last(
    Bump* bump, const HashTable* lasts, const SipKey* key, const uint8_t* label, size_t size,
    bint* failed,
) noexcept nogil:
    """Say whether a label is the last one of names that are listed."""
    cdef TextSpan canonical
    cdef bint ascii = True
    cdef size_t i
    for i in range(size):
        ascii = ascii and label[i] < 0x80
    canonical.data = label
    canonical.size = size
    if not ascii and canonical_host(bump, label, size, &canonical) != 0:
        failed[0] = True
        return False
    return find_hash(
        lasts, siphash128(key, 0x10 + KIND_LAST, canonical.data, canonical.size)
    ) != NULL


cdef int next_name(
    Bump* bump, const Lane* lane, const HashTable* lasts, const SipKey* key, NameSearch* search,
    TextSpan* out,
) noexcept nogil:
    """Find the next host; NAME_FOUND, NAME_NONE, NAME_TOO_MANY or NAME_NO_MEMORY."""
    cdef size_t start, end
    cdef bint failed = False
    if search.at == 0 and not may_name(lane.data, lane.size):
        return NAME_NONE
    while search.at < lane.size:
        start = search.at
        if not in_label(lane, start):
            search.at += 1
            continue
        end = start + 1
        while end < lane.size and in_label(lane, end):
            end += 1
        search.at = end
        if joined_before(lane, start) == 0 or goes_on(lane, end):
            continue
        if not is_last(bump, lasts, key, lane.data + start, end - start, &failed):
            if failed:
                return NAME_NO_MEMORY
            continue
        if search.places == NAME_PLACES:
            return NAME_TOO_MANY
        search.places += 1
        if name_until(bump, lane, start, end, out) != 0:
            return NAME_NO_MEMORY
        if out.size > 0:
            return NAME_FOUND
    return NAME_NONE
