# Writing a lane with its word bits and, where asked for, its offsets. Included by text.pyx.


cdef struct Writer:
    uint8_t* out
    uint8_t* word               # bitset, zeroed
    uint32_t size               # bytes written
    uint32_t limit              # bytes that may be written
    bint full                   # one code point did not fit: nothing is written any more
    uint32_t work
    uint32_t* map_start         # NULL unless offsets are asked for
    uint32_t* map_end


cdef inline void set_word_bits(uint8_t* word, uint32_t at, uint32_t bits) noexcept nogil:
    """Set up to 8 bits from bit `at` on."""
    cdef uint32_t shifted = bits << (at & 7)
    word[at >> 3] |= <uint8_t> shifted
    word[(at >> 3) + 1] |= <uint8_t> (shifted >> 8)


cdef inline void put(Writer* w, uint32_t item, uint32_t start, uint32_t end) noexcept nogil:
    """Append the code point of an item that came from source code points [start, end)."""
    cdef uint32_t code_point = item & ITEM_CODE_POINT
    cdef uint32_t length = encoded_length(code_point)
    cdef uint32_t i
    w.work += 1
    if w.full or length > w.limit - w.size:
        w.full = True
        return
    encode(code_point, w.out + w.size)
    if item & ITEM_WORD:
        set_word_bits(w.word, w.size, (1u << length) - 1)
    if w.map_start != NULL:
        for i in range(length):
            w.map_start[w.size + i] = start
            w.map_end[w.size + i] = end
    w.size += length


cdef inline uint64_t at_least(uint64_t octets, uint64_t low) noexcept nogil:
    """Set the top bit of each byte (all below 0x80) that is at least `low`."""
    return octets + (0x80 - low) * 0x0101010101010101u


cdef inline uint64_t between(uint64_t octets, uint64_t low, uint64_t high) noexcept nogil:
    """Set the top bit of each byte (all below 0x80) in [low, high]; other bits are zero."""
    return at_least(octets, low) & ~at_least(octets, high + 1) & 0x8080808080808080u


cdef inline uint32_t ascii_word_bits(uint64_t lower) noexcept nogil:
    """Return one bit per byte of eight lower-case ASCII bytes: letter, digit or underscore."""
    cdef uint64_t word = (
        between(lower, c"a", c"z") | between(lower, c"0", c"9") | between(lower, c"_", c"_")
    )
    # Gathers bits 7, 15, ... 63 into the top byte; no two products meet in one bit.
    return <uint32_t> (((word >> 7) * 0x0102040810204080u) >> 56)


cdef inline bint ascii_without_nul(uint64_t octets) noexcept nogil:
    cdef uint64_t tops = 0x8080808080808080u
    return not octets & tops and (octets + 0x7F7F7F7F7F7F7F7Fu) & tops == tops


cdef uint32_t put_ascii(
    Writer* w, const uint8_t* text, size_t size, bint fold_case, uint32_t source
) noexcept nogil:
    """Append the leading ASCII of `text` (no U+0000) and return its length."""
    cdef uint32_t done = 0
    cdef uint64_t octets, lower
    cdef uint32_t octet, i
    while size - done >= 8 and w.limit - w.size >= 8:
        memcpy(&octets, text + done, 8)
        if not ascii_without_nul(octets):
            break
        lower = octets | between(octets, c"A", c"Z") >> 2
        if fold_case:
            octets = lower
        memcpy(w.out + w.size, &octets, 8)
        set_word_bits(w.word, w.size, ascii_word_bits(lower))
        if w.map_start != NULL:
            for i in range(8):
                w.map_start[w.size + i] = source + done + i
                w.map_end[w.size + i] = source + done + i + 1
        w.work += 8
        w.size += 8
        done += 8
    while done < size and text[done] and text[done] < 0x80:
        octet = text[done]
        if fold_case and octet - c"A" < 26u:
            octet |= 0x20
        put(w, as_item(octet), source + done, source + done + 1)
        done += 1
    return done


cdef int open_writer(Bump* bump, size_t text_size, size_t growth, Writer* w) noexcept nogil:
    """Reserve room for a lane and its word bits; growth = bytes out per byte in."""
    cdef size_t limit = MAX_LANE_BYTES
    if text_size <= MAX_LANE_BYTES / growth:
        limit = text_size * growth
    cdef size_t bits = limit / 8 + 2
    memset(w, 0, sizeof(Writer))
    w.out = <uint8_t*> bump_reserve(bump, limit + bits)
    if w.out == NULL:
        return -1
    w.word = w.out + limit
    memset(w.word, 0, bits)
    w.limit = <uint32_t> limit
    return 0


cdef void close_writer(Bump* bump, Writer* w, Lane* out) noexcept nogil:
    """Put the word bits behind the lane, give back the rest, fill `out`."""
    cdef size_t bits = w.size / 8 + 1
    memmove(w.out + w.size, w.word, bits)
    bump_commit(bump, w.size + bits)
    out.data = w.out
    out.size = w.size
    out.word = w.out + w.size
    out.letters = NULL
    out.below = NULL
    out.truncated = w.full
    out.prototypes = False
    out.disguised = False
    out.opening = False
    out.work = w.work
