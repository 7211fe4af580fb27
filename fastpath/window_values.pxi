# Distinct values of a window, few and each with its ticks. Included by windows.pyx.

cdef inline uint64_t* values_of(const DistinctSet* held) noexcept nogil:
    return <uint64_t*>(<uint8_t*>held + sizeof(DistinctSet))


cdef inline uint8_t* ticks_of(const DistinctSet* held) noexcept nogil:
    return <uint8_t*>(values_of(held) + held.capacity)


cdef inline size_t set_size(uint32_t capacity) noexcept nogil:
    return sizeof(DistinctSet) + 9 * <size_t>capacity


cdef DistinctSet* new_set(WindowTable* table, uint32_t capacity) noexcept nogil:
    cdef DistinctSet* made = <DistinctSet*>malloc(set_size(capacity))
    if made == NULL:
        table.broken = True
        return NULL
    made.count = 0
    made.capacity = capacity
    table.set_bytes += set_size(capacity)
    return made


cdef void clear_slot(WindowTable* table, WindowSlot* slot) noexcept nogil:
    """Forget what a window counted and free its values."""
    if slot.distinct != NULL:
        table.set_bytes -= set_size(slot.distinct.capacity)
        free(slot.distinct)
        slot.distinct = NULL
    slot.newest = NEVER
    memset(slot.ring, 0, sizeof(slot.ring))


cdef bint grow_set(WindowTable* table, WindowSlot* slot) noexcept nogil:
    cdef DistinctSet* old = slot.distinct
    cdef DistinctSet* grown = new_set(table, 4 if old == NULL else 2 * old.capacity)
    if grown == NULL:
        return False
    if old != NULL:
        memcpy(values_of(grown), values_of(old), 8 * old.count)
        memcpy(ticks_of(grown), ticks_of(old), old.count)
        grown.count = old.count
        table.set_bytes -= set_size(old.capacity)
        free(old)
    slot.distinct = grown
    return True


cdef uint8_t* find_value(const DistinctSet* held, uint64_t value) noexcept nogil:
    """Return the ticks of a value, NULL where it is not held; at most 256 comparisons."""
    cdef uint32_t i
    if held == NULL:
        return NULL
    for i in range(held.count):
        if values_of(held)[i] == value:
            return ticks_of(held) + i
    return NULL


cdef bint add_value(
    WindowTable* table, WindowSlot* slot, uint64_t value, uint8_t tick_bit
) noexcept nogil:
    """Add a value that is not held; false where 256 others are."""
    if slot.distinct != NULL and slot.distinct.count == WINDOW_DISTINCT:
        return False
    if (slot.distinct == NULL or slot.distinct.count == slot.distinct.capacity) and not grow_set(
        table, slot
    ):
        return True
    values_of(slot.distinct)[slot.distinct.count] = value
    ticks_of(slot.distinct)[slot.distinct.count] = tick_bit
    slot.distinct.count += 1
    return True


cdef void age_set(DistinctSet* held, int64_t ticks) noexcept nogil:
    """Shift every value's ticks back and leave out those of which none is kept."""
    cdef uint32_t i, kept = 0
    cdef uint8_t moved
    if ticks >= WINDOW_TICKS:
        held.count = 0
        return
    for i in range(held.count):
        moved = <uint8_t>((<uint32_t>ticks_of(held)[i] << ticks) & 0xFF)
        if moved != 0:
            values_of(held)[kept] = values_of(held)[i]
            ticks_of(held)[kept] = moved
            kept += 1
    held.count = kept


cdef uint64_t count_values(const WindowSlot* slot, uint8_t kept) noexcept nogil:
    """Count the values seen in at least one of the ticks."""
    cdef uint64_t total = 0
    cdef uint32_t i
    if slot.distinct == NULL:
        return 0
    for i in range(slot.distinct.count):
        if ticks_of(slot.distinct)[i] & kept:
            total += 1
    return total
