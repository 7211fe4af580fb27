# After-images of account windows (layout: docs/state.md). Included by windows.pyx.

cdef enum:
    UNIT_MINUTES = 0
    UNIT_SECONDS = 1
    UNIT_MS = 2

    HEAD = 21  # bytes of an entry before its value, at most
    WINDOW_HEAD = 31  # code, own newest tick, and the count of distinct values or the bitmap
    WINDOW_RING = 40
    VALUE_BYTES = 9
    OWN = 16  # bit of a code: the newest tick stands behind it


cdef uint64_t code_of(const WindowKind* kind) noexcept nogil:
    """Name a window by what it counts and its length, whatever its place in a bundle."""
    cdef int64_t over = kind.tick_ms * WINDOW_TICKS
    cdef int unit = UNIT_MS
    if over % 60000 == 0:
        over //= 60000
        unit = UNIT_MINUTES
    elif over % 1000 == 0:
        over //= 1000
        unit = UNIT_SECONDS
    return (<uint64_t>over << 5) | (unit << 2) | kind.count_of


cdef bint read_code(uint64_t code, WindowKind* kind) noexcept nogil:
    """Read a window's name; false where no bundle can have such a window."""
    cdef uint64_t over = code >> 5
    cdef int unit = (code >> 2) & 3
    if over > <uint64_t>LONGEST:
        return False
    if unit == UNIT_MINUTES:
        over *= 60000
    elif unit == UNIT_SECONDS:
        over *= 1000
    elif unit != UNIT_MS:
        return False
    if over > <uint64_t>LONGEST or over < SHORTEST or over % WINDOW_TICKS != 0:
        return False
    kind.count_of = code & 3
    kind.tick_ms = <int64_t>(over // WINDOW_TICKS)
    kind.code = code_of(kind)
    return kind.code == code


cdef inline bint stands(
    const WindowTable* table, const WindowKind* kind, const WindowSlot* slot
) noexcept nogil:
    return slot.newest != NEVER and table.stream_time < retires_at(kind, slot)


cdef int64_t base_of(const WindowTable* table, WindowRow* row, size_t* room) noexcept nogil:
    """Return the start of the newest tick of all windows that stand; NEVER where none does.

    Where no window was ever emptied on its own, every newest tick is that of this time.
    """
    cdef const WindowSlot* slots = slots_of(row)
    cdef const FrozenWindows* frozen
    cdef int64_t base = NEVER, start
    cdef size_t i
    room[0] = HEAD + 18
    for i in range(table.windows):
        if stands(table, &table.kinds[i], &slots[i]):
            start = slots[i].newest * table.kinds[i].tick_ms
            base = start if start > base else base
            room[0] += image_room(&slots[i])
    if row.frozen != 0:
        frozen = &table.frozen[row.frozen - 1]
        for i in range(frozen.count):
            if stands(table, &frozen.windows[i].kind, &frozen.windows[i].slot):
                start = frozen.windows[i].slot.newest * frozen.windows[i].kind.tick_ms
                base = start if start > base else base
                room[0] += image_room(&frozen.windows[i].slot)
    return base


cdef inline size_t image_room(const WindowSlot* slot) noexcept nogil:
    return WINDOW_HEAD + WINDOW_RING + VALUE_BYTES * <size_t>value_count(slot)


cdef uint8_t* put_window(
    uint8_t* at, const WindowKind* kind, const WindowSlot* slot, int64_t base
) noexcept nogil:
    cdef int64_t due = base // kind.tick_ms
    cdef bint own = slot.newest != due
    cdef uint8_t* bitmap
    cdef uint32_t counter
    cdef int i
    at = put_varint(at, kind.code | (OWN if own else 0))
    if own:
        at = put_varint(at, zigzag(slot.newest - due))
    if kind.count_of != COUNT_TARGETS:
        bitmap = at
        bitmap[0] = 0
        at += 1
        for i in range(WINDOW_TICKS):
            counter = count_at(slot, slot.newest - <int64_t>i)
            if counter != 0:
                bitmap[0] |= <uint8_t>(1 << i)
                at = put_varint(at, counter)
    if kind.count_of >= COUNT_TARGETS:
        at = put_values(at, slot)
    return at


cdef inline uint8_t* put_values(uint8_t* at, const WindowSlot* slot) noexcept nogil:
    cdef uint32_t values = value_count(slot)
    at = put_varint(at, values)
    if slot.holds == HOLDS_ONE:  # as nearly always; a memcpy of unknown size is slow to begin
        memcpy(at, &slot.values.one, 8)
        at[8] = slot.ticks
    else:
        memcpy(at, values_in(slot), 8 * values)
        memcpy(at + 8 * values, ticks_in(slot), values)
    return at + VALUE_BYTES * values


cdef bint put_row(WindowTable* table, EntryBuffer* out, WindowRow* row) noexcept nogil:
    """Append a row's entry: its after-image, or a delete where it has retired."""
    cdef size_t room, i, size
    cdef int64_t base = base_of(table, row, &room)
    cdef const WindowSlot* slots = slots_of(row)
    cdef const FrozenWindows* frozen
    cdef uint8_t* start
    cdef uint8_t* value
    cdef uint8_t* at
    if base == NEVER:
        return append_entry(out, &row.key, ENTRY_DEL, NULL, 0)
    start = reserve_entry_bytes(out, room)
    if start == NULL:
        return False
    value = start + HEAD
    memcpy(value, row.partitioners, 8)
    at = put_varint(value + 8, <uint64_t>base)
    for i in range(table.windows):
        if stands(table, &table.kinds[i], &slots[i]):
            at = put_window(at, &table.kinds[i], &slots[i], base)
    if row.frozen != 0:
        frozen = &table.frozen[row.frozen - 1]
        for i in range(frozen.count):
            if stands(table, &frozen.windows[i].kind, &frozen.windows[i].slot):
                at = put_window(at, &frozen.windows[i].kind, &frozen.windows[i].slot, base)
    size = <size_t>(at - value)
    memcpy(start, &row.key, 16)
    at = put_varint(start + 16, (<uint64_t>size << 1) | ENTRY_SET)
    memmove(at, value, size)
    out.size = <size_t>(at + size - out.data)
    return True


cdef int by_key(const void* a, const void* b) noexcept nogil:
    return memcmp((<WindowRow* const*>a)[0], (<WindowRow* const*>b)[0], 16)


cdef bint put_part(WindowTable* table, IndexPart* part, EntryBuffer* out) noexcept nogil:
    """Append the rows of a slice that stand, by key; false: no memory."""
    cdef WindowRow** rows
    cdef uint32_t i, count = 0
    cdef size_t room
    if part.held == 0:
        return True
    rows = <WindowRow**>malloc(part.held * sizeof(WindowRow*))
    if rows == NULL:
        return False
    for i in range(part.mask + 1):
        if part.slots[i].row != 0:
            rows[count] = row_at(table, part.slots[i].row - 1)
            if base_of(table, rows[count], &room) != NEVER:
                count += 1
    qsort(rows, count, sizeof(WindowRow*), by_key)
    for i in range(count):
        if not put_row(table, out, rows[i]):
            break
    free(rows)
    return not out.broken
