# Distinct values of a window, few and each with its ticks: one stands in the slot, more in a set.
# Included by windows.pyx.

cdef inline uint64_t* values_of(DistinctSet* held) noexcept nogil:
    return <uint64_t*>(<uint8_t*>held + sizeof(DistinctSet))


cdef inline uint8_t* ticks_of(DistinctSet* held) noexcept nogil:
    return <uint8_t*>(values_of(held) + held.capacity)


cdef inline uint32_t value_count(const WindowSlot* slot) noexcept nogil:
    return slot.values.many.count if slot.holds == HOLDS_MANY else slot.holds


cdef inline uint64_t* values_in(const WindowSlot* slot) noexcept nogil:
    if slot.holds == HOLDS_MANY:
        return values_of(slot.values.many)
    return <uint64_t*>&slot.values.one


cdef inline uint8_t* ticks_in(const WindowSlot* slot) noexcept nogil:
    if slot.holds == HOLDS_MANY:
        return ticks_of(slot.values.many)
    return <uint8_t*>&slot.ticks


cdef inline size_t set_size(uint32_t capacity) noexcept nogil:
    return sizeof(DistinctSet) + 9 * <size_t>capacity


cdef bint make_room_for(WindowTable* table, WindowSlot* slot, uint32_t capacity) noexcept nogil:
    """Let a slot hold up to `capacity` values, more than it has room for; false: no memory."""
    cdef uint32_t count = value_count(slot)
    cdef DistinctSet* made
    if capacity <= 1:
        return True
    made = <DistinctSet*>malloc(set_size(capacity))
    if made == NULL:
        table.broken = True
        return False
    made.count = count
    made.capacity = capacity
    memcpy(values_of(made), values_in(slot), 8 * count)
    memcpy(ticks_of(made), ticks_in(slot), count)
    free_values(table, slot)
    table.outside_bytes += set_size(capacity)
    slot.values.many = made
    slot.holds = HOLDS_MANY
    return True


cdef inline void set_value_count(WindowSlot* slot, uint32_t count) noexcept nogil:
    """Say how many values a slot holds, for which it has room."""
    if slot.holds == HOLDS_MANY:
        slot.values.many.count = count
    else:
        slot.holds = HOLDS_NONE if count == 0 else HOLDS_ONE


cdef void free_values(WindowTable* table, WindowSlot* slot) noexcept nogil:
    if slot.holds == HOLDS_MANY:
        table.outside_bytes -= set_size(slot.values.many.capacity)
        free(slot.values.many)
    slot.holds = HOLDS_NONE


cdef uint8_t* find_value(const WindowSlot* slot, uint64_t value) noexcept nogil:
    """Return the ticks of a value, NULL where it is not held; at most 256 comparisons."""
    cdef const uint64_t* values = values_in(slot)
    cdef uint32_t i
    for i in range(value_count(slot)):
        if values[i] == value:
            return ticks_in(slot) + i
    return NULL


cdef bint add_value(
    WindowTable* table, WindowSlot* slot, uint64_t value, uint8_t tick_bit
) noexcept nogil:
    """Add a value that is not held; false where 256 others are."""
    cdef uint32_t count = value_count(slot)
    cdef uint32_t room = slot.values.many.capacity if slot.holds == HOLDS_MANY else 1
    if count == WINDOW_DISTINCT:
        return False
    if count == room and not make_room_for(table, slot, 2 * room if room > 1 else 4):
        return True
    set_value_count(slot, count + 1)
    values_in(slot)[count] = value
    ticks_in(slot)[count] = tick_bit
    return True


cdef void age_values(WindowSlot* slot, int64_t ticks) noexcept nogil:
    """Shift every value's ticks back and leave out those of which none is kept."""
    cdef uint64_t* values = values_in(slot)
    cdef uint8_t* held = ticks_in(slot)
    cdef uint32_t i, kept = 0
    cdef uint8_t moved
    if ticks >= WINDOW_TICKS:
        set_value_count(slot, 0)
        return
    for i in range(value_count(slot)):
        moved = <uint8_t>((<uint32_t>held[i] << ticks) & 0xFF)
        if moved != 0:
            values[kept] = values[i]
            held[kept] = moved
            kept += 1
    set_value_count(slot, kept)


cdef uint64_t count_values(const WindowSlot* slot, uint8_t kept) noexcept nogil:
    """Count the values seen in at least one of the ticks."""
    cdef const uint8_t* ticks = ticks_in(slot)
    cdef uint64_t total = 0
    cdef uint32_t i
    for i in range(value_count(slot)):
        if ticks[i] & kept:
            total += 1
    return total
