# Counts of a window by tick: a byte each, or 32 bits where one has grown past it. Included by
# windows.pyx.

cdef enum:
    NARROW = 255
    WIDE_BYTES = 32


cdef inline uint32_t count_at(const WindowSlot* slot, int64_t tick) noexcept nogil:
    return slot.ring.wide[tick & 7] if slot.wide else slot.ring.narrow[tick & 7]


cdef bint widen(WindowTable* table, WindowSlot* slot) noexcept nogil:
    """Give a slot room for larger counts; false: no memory."""
    cdef uint32_t* wide = <uint32_t*>malloc(WIDE_BYTES)
    cdef int i
    if wide == NULL:
        table.broken = True
        return False
    for i in range(WINDOW_TICKS):
        wide[i] = slot.ring.narrow[i]
    slot.ring.wide = wide
    slot.wide = True
    table.outside_bytes += WIDE_BYTES
    return True


cdef bint set_count(
    WindowTable* table, WindowSlot* slot, int64_t tick, uint32_t count
) noexcept nogil:
    """Set what a tick has counted; false: no memory."""
    if count > NARROW and not slot.wide and not widen(table, slot):
        return False
    if slot.wide:
        slot.ring.wide[tick & 7] = count
    else:
        slot.ring.narrow[tick & 7] = <uint8_t>count
    return True


cdef inline void add_count(
    WindowTable* table, WindowSlot* slot, int64_t tick, uint32_t amount
) noexcept nogil:
    cdef uint32_t count = count_at(slot, tick)
    set_count(
        table, slot, tick, UINT32_MAX if amount > UINT32_MAX - count else count + amount
    )


cdef inline void clear_ring(WindowTable* table, WindowSlot* slot) noexcept nogil:
    if slot.wide:
        table.outside_bytes -= WIDE_BYTES
        free(slot.ring.wide)
        slot.wide = False
    memset(&slot.ring, 0, sizeof(slot.ring))


cdef inline uint64_t sum_ring(const WindowSlot* slot, int64_t tick) noexcept nogil:
    """Sum the kept ticks from tick - 7 to tick."""
    cdef uint64_t total = 0, pairs
    cdef int64_t i
    if tick == slot.newest and not slot.wide:  # as nearly always: all eight bytes at once
        memcpy(&total, slot.ring.narrow, sizeof(total))
        pairs = (total & 0x00FF00FF00FF00FFu) + (total >> 8 & 0x00FF00FF00FF00FFu)
        return pairs * 0x0001000100010001u >> 48
    for i in range(slot.newest - WINDOW_TICKS + 1, tick + 1):
        total += count_at(slot, i)
    return total
