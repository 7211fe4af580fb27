# The form under which texts are compared across accounts: `reference.text.normalised_text`.
# Included by text.pyx.

cdef extern from "plain.h" nogil:
    uint32_t plain_end(int isa, const uint8_t* data, uint32_t size, uint32_t at)
    uint32_t plain_letters_of(
        int isa, const uint8_t* data, uint32_t at, uint32_t end, uint8_t* out
    )
    enum:
        PLAIN_ROOM


cdef inline bint starts_with(
    const uint8_t* data, uint32_t left, const char* prefix, uint32_t size
) noexcept nogil:
    cdef uint32_t i
    if left < size:
        return False
    for i in range(size):
        if data[i] != <uint8_t> prefix[i]:
            return False
    return True


cdef inline bint starts_url(const uint8_t* data, uint32_t left) noexcept nogil:
    return (
        starts_with(data, left, b"http://", 7)
        or starts_with(data, left, b"https://", 8)
        or starts_with(data, left, b"www.", 4)
    )


cdef uint32_t run_end(
    const Lane* lane, uint32_t at, uint32_t wanted, bint inside
) noexcept nogil:
    """Return where code points of (inside) or without (outside) the wanted classes end."""
    cdef uint32_t length
    while at < lane.size:
        if (code_point_class(decode(lane.data + at, &length)) & wanted != 0) != inside:
            break
        at += length
    return at


cdef int normalise(Bump* bump, const Lane* folded, Normalised* out) noexcept nogil:
    """Make the form under which texts are compared: `reference.text.normalised_text`."""
    cdef uint8_t* data = <uint8_t*> bump_reserve(bump, folded.size + PLAIN_ROOM)
    cdef uint32_t size = 0, at = 0, length, end, classes
    if data == NULL:
        return -1
    out.content = False
    while at < folded.size:
        end = plain_end(LEVEL, folded.data, folded.size, at)
        length = plain_letters_of(LEVEL, folded.data, at, end, data + size)
        out.content = out.content or length > 0
        size += length
        at = end
        classes = code_point_class(decode(folded.data + at, &length))
        if starts_url(folded.data + at, folded.size - at):
            data[size] = 1
            size += 1
            at = run_end(folded, at, CLASS_SPACE, False)
            continue
        if folded.data[at] == c"@":
            end = run_end(folded, at + 1, CLASS_WORD, True)
            if end > at + 1:
                data[size] = 2
                size += 1
            at = end
            continue
        if classes & CLASS_DIGIT:
            data[size] = c"0"
            size += 1
            at = run_end(folded, at, CLASS_DIGIT, True)
            continue
        if classes & (CLASS_ALNUM | CLASS_MARK):
            memcpy(data + size, folded.data + at, length)
            size += length
            out.content = out.content or classes & CLASS_ALNUM != 0
        at += length
    bump_commit(bump, size)
    out.data = data
    out.size = size
    return 0
