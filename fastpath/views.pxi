# What the keyword search reads: a lane in which each run of white space is one space.
#
# Nearly every lane is one already and is read as it is; the others are copied.


cdef struct View:
    const uint8_t* data
    const uint8_t* word         # bit per byte as Lane.word; NULL in the squeezed lane
    const uint16_t* letters     # squeezed lane alone
    const uint32_t* start       # per byte: the lane bytes [start, end) it stands for; NULL: itself
    const uint32_t* end
    uint32_t size
    bint ascii


cdef inline uint64_t load8(const uint8_t* at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return value


cdef inline uint64_t load_up_to_8(const uint8_t* at, uint32_t size) noexcept nogil:
    """Read at most eight bytes, the others 0."""
    cdef uint64_t value = 0
    cdef uint32_t i
    if size >= 8:
        return load8(at)
    for i in range(size):
        value |= <uint64_t> at[i] << (8 * i)
    return value


cdef inline uint64_t below(uint64_t bytes, uint64_t limit) noexcept nogil:
    """Set the top bit of each byte that is less than `limit`, at most 128; all bytes ASCII."""
    return ~(bytes + (128 - limit) * 0x0101010101010101u) & 0x8080808080808080u


cdef bint has_odd_spaces(const uint8_t* data, uint32_t size, uint64_t* high) noexcept nogil:
    """Say whether ASCII white space stands that is no single space; or all bytes in `high`."""
    cdef uint64_t bytes, spaces, odd = 0, carry = 0
    cdef uint32_t at = 0
    high[0] = 0
    while at < size:
        bytes = load_up_to_8(data + at, size - at)
        high[0] |= bytes
        # Bytes outside ASCII are made 0x7F, which is no white space; those past the end are 0.
        bytes |= (bytes >> 7 & 0x0101010101010101u) * 0x7F
        bytes &= 0x7F7F7F7F7F7F7F7Fu
        spaces = below(bytes, 33) & ~below(bytes, 32)
        odd |= below(bytes, 14) & ~below(bytes, 9)
        odd |= spaces & (spaces << 8 | carry)
        carry = spaces >> 56
        at += 8
    return odd != 0


cdef bint has_wide_space(const uint8_t* data, uint32_t size) noexcept nogil:
    """Say whether white space outside ASCII stands in UTF-8: U+0085 to U+3000."""
    cdef uint32_t at, length = 0
    for at in range(size):
        if data[at] == 0xC2 or 0xE1 <= data[at] <= 0xE3:
            if code_point_class(code_point_at(data, at, &length)) & CLASS_SPACE:
                return True
    return False


cdef int copy_spaced(Bump* bump, const Lane* lane, View* view) noexcept nogil:
    """Copy a lane with one space for each run of white space; 0, or -1 without memory."""
    cdef uint8_t* data = <uint8_t*> bump_alloc(bump, lane.size)
    cdef uint8_t* word = <uint8_t*> bump_alloc(bump, lane.size / 8 + 1)
    cdef uint32_t* start = <uint32_t*> bump_alloc(bump, lane.size * sizeof(uint32_t))
    cdef uint32_t* end = <uint32_t*> bump_alloc(bump, lane.size * sizeof(uint32_t))
    cdef uint32_t at = 0, made = 0, length = 0, i
    cdef bint in_space = False
    if data == NULL or word == NULL or start == NULL or end == NULL:
        return -1
    memset(word, 0, lane.size / 8 + 1)
    while at < lane.size:
        if code_point_class(code_point_at(lane.data, at, &length)) & CLASS_SPACE:
            if in_space:
                end[made - 1] = at + length
            else:
                data[made] = c" "
                start[made] = at
                end[made] = at + length
                made += 1
            in_space = True
        else:
            for i in range(at, at + length):
                data[made] = lane.data[i]
                word[made >> 3] |= <uint8_t> (word_at(lane.word, i) << (made & 7))
                start[made] = i
                end[made] = i + 1
                made += 1
            in_space = False
        at += length
    view.data = data
    view.word = word
    view.start = start
    view.end = end
    view.size = made
    return 0


cdef void show_lane(const Lane* lane, View* view) noexcept nogil:
    """Show a lane as it is."""
    view.data = lane.data
    view.word = lane.word
    view.letters = lane.letters
    view.start = NULL
    view.end = NULL
    view.size = lane.size
    view.ascii = False


cdef int view_lane(Bump* bump, const Lane* lane, View* view) noexcept nogil:
    """Show a lane with single spaces; 0, or -1 when the arena has no memory."""
    cdef uint64_t high = 0
    cdef bint odd
    show_lane(lane, view)
    if lane.word == NULL:
        return 0
    odd = has_odd_spaces(lane.data, lane.size, &high)
    view.ascii = not high & 0x8080808080808080u
    if odd or (not view.ascii and has_wide_space(lane.data, lane.size)):
        return copy_spaced(bump, lane, view)
    return 0
