# After-images of account windows (layout: docs/state.md). Included by windows.pyx.

cdef enum:
    UNIT_MINUTES = 0
    UNIT_SECONDS = 1
    UNIT_MS = 2

    HEAD = 21  # bytes of an entry before its value, at most
    WINDOW_HEAD = 31  # code, own newest tick, and the count of distinct values or the bitmap
    WINDOW_RING = 40
    VALUE_BYTES = 9
    ENTRIES = 32  # read before the first of them is applied
    HALF = 16


cdef uint64_t code_of(const WindowKind* kind, bint own) noexcept nogil:
    """Name a window by what it counts and its length, whatever its place in a bundle."""
    cdef int64_t over = kind.tick_ms * WINDOW_TICKS
    cdef int unit = UNIT_MS
    if over % 60000 == 0:
        over //= 60000
        unit = UNIT_MINUTES
    elif over % 1000 == 0:
        over //= 1000
        unit = UNIT_SECONDS
    return (<uint64_t>over << 5) | (<uint64_t>own << 4) | (unit << 2) | kind.count_of


cdef bint read_code(uint64_t code, WindowKind* kind, bint* own) noexcept nogil:
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
    own[0] = (code >> 4) & 1
    return code_of(kind, own[0]) == code


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
    cdef size_t values = 0 if slot.distinct == NULL else slot.distinct.count
    return WINDOW_HEAD + WINDOW_RING + VALUE_BYTES * values


cdef uint8_t* put_window(
    uint8_t* at, const WindowKind* kind, const WindowSlot* slot, int64_t base
) noexcept nogil:
    cdef int64_t due = base // kind.tick_ms
    cdef bint own = slot.newest != due
    cdef uint8_t* bitmap
    cdef uint32_t counter, values
    cdef int i
    at = put_varint(at, code_of(kind, own))
    if own:
        at = put_varint(at, zigzag(slot.newest - due))
    if kind.count_of != COUNT_TARGETS:
        bitmap = at
        bitmap[0] = 0
        at += 1
        for i in range(WINDOW_TICKS):
            counter = slot.ring[(slot.newest - <int64_t>i) & 7]
            if counter != 0:
                bitmap[0] |= <uint8_t>(1 << i)
                at = put_varint(at, counter)
    if kind.count_of >= COUNT_TARGETS:
        values = 0 if slot.distinct == NULL else slot.distinct.count
        at = put_varint(at, values)
        if values > 0:
            memcpy(at, values_of(slot.distinct), 8 * values)
            memcpy(at + 8 * values, ticks_of(slot.distinct), values)
            at += VALUE_BYTES * values
    return at


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


# --- Restore -------------------------------------------------------------------------------------

cdef const uint8_t* get_window(
    WindowTable* table, const uint8_t* at, const uint8_t* end, int64_t base, WindowKind* kind,
    WindowSlot* slot,
) noexcept nogil:
    """Read one window into an empty slot; NULL where it is malformed (or memory ran out)."""
    cdef uint64_t number
    cdef bint own = False
    cdef int i
    cdef uint8_t bitmap
    at = get_varint(at, end, &number)
    if at == NULL or not read_code(number, kind, &own):
        return NULL
    slot.newest = base // kind.tick_ms
    if own:
        at = get_varint(at, end, &number)
        if at == NULL or number == 0 or number > <uint64_t>2 * LAST_TIME:
            return NULL
        slot.newest += unzigzag(number)
        if slot.newest < 0 or slot.newest > base // kind.tick_ms:
            return NULL
    if kind.count_of != COUNT_TARGETS:
        if at == end:
            return NULL
        bitmap = at[0]
        at += 1
        for i in range(WINDOW_TICKS):
            if bitmap >> i & 1:
                at = get_varint(at, end, &number)
                if at == NULL or number == 0 or number > UINT32_MAX:
                    return NULL
                slot.ring[(slot.newest - <int64_t>i) & 7] = <uint32_t>number
    if kind.count_of >= COUNT_TARGETS:
        at = get_values(table, at, end, slot)
    return at


cdef const uint8_t* get_values(
    WindowTable* table, const uint8_t* at, const uint8_t* end, WindowSlot* slot
) noexcept nogil:
    cdef uint64_t values
    cdef uint32_t i, j
    at = get_varint(at, end, &values)
    if at == NULL or values > WINDOW_DISTINCT or VALUE_BYTES * values > <uint64_t>(end - at):
        return NULL
    if values == 0:
        return at
    slot.distinct = new_set(table, <uint32_t>values)
    if slot.distinct == NULL:
        return NULL
    memcpy(values_of(slot.distinct), at, 8 * values)
    memcpy(ticks_of(slot.distinct), at + 8 * values, values)
    slot.distinct.count = <uint32_t>values
    for i in range(<uint32_t>values):
        if ticks_of(slot.distinct)[i] == 0:
            return NULL
        for j in range(i):
            if values_of(slot.distinct)[j] == values_of(slot.distinct)[i]:
                return NULL
    return at + VALUE_BYTES * values


cdef bint freeze(WindowTable* table, WindowRow* row, const FrozenWindow* window) noexcept nogil:
    """Keep a window that this table does not count; false: no memory."""
    cdef FrozenWindows* held
    cdef void* grown
    if row.frozen == 0:
        if table.free_frozen != 0:
            row.frozen = table.free_frozen
            table.free_frozen = table.frozen[row.frozen - 1].count
        else:
            if table.frozen_count & (table.frozen_count + 1) == 0:
                grown = realloc(
                    table.frozen, 2 * (<size_t>table.frozen_count + 1) * sizeof(FrozenWindows)
                )
                if grown == NULL:
                    return False
                table.frozen = <FrozenWindows*>grown
            table.frozen_count += 1
            row.frozen = table.frozen_count
        table.frozen[row.frozen - 1].count = 0
        table.frozen[row.frozen - 1].windows = NULL
    held = &table.frozen[row.frozen - 1]
    grown = realloc(held.windows, (held.count + 1) * sizeof(FrozenWindow))
    if grown == NULL:
        return False
    held.windows = <FrozenWindow*>grown
    held.windows[held.count] = window[0]
    held.count += 1
    return True


cdef void thaw(WindowTable* table, WindowRow* row) noexcept nogil:
    """Forget the frozen windows of a row."""
    cdef FrozenWindows* held
    cdef uint32_t i
    if row.frozen == 0:
        return
    held = &table.frozen[row.frozen - 1]
    for i in range(held.count):
        clear_slot(table, &held.windows[i].slot)
    free(held.windows)
    held.windows = NULL
    held.count = table.free_frozen
    table.free_frozen = row.frozen
    row.frozen = 0


cdef int place_of(const WindowTable* table, const WindowKind* kind) noexcept nogil:
    cdef size_t i
    for i in range(table.windows):
        if table.kinds[i].count_of == kind.count_of and table.kinds[i].tick_ms == kind.tick_ms:
            return <int>i
    return -1


cdef bint get_row(WindowTable* table, WindowRow* row, const EntryView* entry) noexcept nogil:
    """Read an after-image into an empty row; false where it is malformed (or memory ran out)."""
    cdef const uint8_t* at = entry.value
    cdef const uint8_t* end = at + entry.size
    cdef FrozenWindow window
    cdef uint64_t base
    cdef int place
    if entry.size < 8:
        return False
    memcpy(row.partitioners, at, 8)
    at = get_varint(at + 8, end, &base)
    if at == NULL or base > <uint64_t>LAST_TIME or at == end:
        return False
    while at != end:
        memset(&window, 0, sizeof(window))
        at = get_window(table, at, end, <int64_t>base, &window.kind, &window.slot)
        if at == NULL:
            clear_slot(table, &window.slot)
            return False
        place = place_of(table, &window.kind)
        if place < 0:
            if not freeze(table, row, &window):
                table.broken = True
                clear_slot(table, &window.slot)
                return False
        elif slots_of(row)[place].newest != NEVER:
            clear_slot(table, &window.slot)
            return False
        else:
            slots_of(row)[place] = window.slot
    return True


cdef bint apply_entry(
    WindowTable* table, const EntryView* entry, uint32_t tag
) noexcept nogil:
    """Make one key what an entry says; false where it is malformed (or memory ran out)."""
    cdef IndexPart* part = part_of(table, &entry.key)
    cdef IndexSlot* slot = NULL
    cdef WindowRow* row
    cdef int64_t looked_at = INT64_MAX, due  # the row is filed for that time or earlier
    cdef bint read
    if part.slots != NULL:
        slot = index_slot(table, part, &entry.key, tag)
        if slot.row == 0:
            slot = NULL
    if entry.op == ENTRY_DEL:
        if slot != NULL:
            free_row(table, slot.row - 1)
        return True
    if slot != NULL:
        row = row_at(table, slot.row - 1)
        looked_at = account_retires_at(table, row)
        clear_row(table, row)
        blank_row(table, row, &entry.key)
    else:
        row = take_row(table, &entry.key, tag)
        if row == NULL:
            return False
        slot = index_slot(table, part, &entry.key, tag)
    read = get_row(table, row, entry)
    due = account_retires_at(table, row)
    if due < looked_at:  # else its place in the heap, a miss of the cache, need not be read
        file_row(table, slot.row - 1, due)
    return read


cdef const uint8_t* apply_entries(WindowTable* table, EntryReader* reader) noexcept nogil:
    """Apply all entries, some at a time, whose slots, rows and sets are sent for together.

    NULL, or the end of the entry that is malformed; where memory ran out the table is `broken`.
    """
    cdef EntryView[ENTRIES] entries
    cdef uint32_t[ENTRIES] tags
    cdef const WindowRow* rows[ENTRIES]
    cdef int found = ENTRY_FOUND
    cdef size_t i, count
    while found == ENTRY_FOUND:
        count = 0
        while count < ENTRIES:
            found = next_entry(reader, &entries[count])
            if found != ENTRY_FOUND:
                break
            tags[count] = place_tag(table, &entries[count].key)
            fetch_slot(table, &entries[count].key, tags[count])
            count += 1
        for i in range(count):
            rows[i] = fetch_row(table, &entries[i].key, tags[i])
        for i in range(count):
            if rows[i] != NULL:
                fetch_values(table, rows[i])
        for i in range(count):
            if not apply_entry(table, &entries[i], tags[i]):
                return entries[i].value + entries[i].size
    return reader.at if found == ENTRY_CORRUPT else NULL


cdef void clear_part(WindowTable* table, IndexPart* part) noexcept nogil:
    """Forget every row of a slice."""
    cdef uint32_t i
    if part.slots == NULL:
        return
    for i in range(part.mask + 1):
        if i + ENTRIES <= part.mask and part.slots[i + ENTRIES].row != 0:
            __builtin_prefetch(row_at(table, part.slots[i + ENTRIES].row - 1))
        if i + HALF <= part.mask and part.slots[i + HALF].row != 0:
            fetch_values(table, row_at(table, part.slots[i + HALF].row - 1))
        if part.slots[i].row != 0:
            empty_row(table, part.slots[i].row - 1)
            part.slots[i].row = 0
    part.held = 0


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
