# Rows of account windows out of their after-images (layout: docs/state.md).
# Included by windows.pyx.

cdef enum:
    ENTRIES = 32  # read before the first of them is applied
    HALF = 16


cdef const uint8_t* get_window(
    WindowTable* table, WindowRow* row, const uint8_t* at, const uint8_t* end, int64_t base
) noexcept nogil:
    """Read one window, into its slot of an empty row; NULL where it is malformed (or no memory)."""
    cdef FrozenWindow window
    cdef WindowSlot* slot
    cdef uint64_t code
    cdef bint own
    cdef int place
    at = get_varint(at, end, &code)
    if at == NULL:
        return NULL
    own = (code & OWN) != 0
    code &= ~<uint64_t>OWN
    place = place_of(table, code)
    if place >= 0:
        slot = &slots_of(row)[place]
        if slot.newest != NEVER:
            return NULL
        return get_counts(table, at, end, base, own, &table.kinds[place], slot)
    memset(&window, 0, sizeof(window))
    window.slot = EMPTY_SLOT
    if not read_code(code, &window.kind):
        return NULL
    at = get_counts(table, at, end, base, own, &window.kind, &window.slot)
    if at == NULL or not freeze(table, row, &window):
        clear_slot(table, &window.slot)
        return NULL
    return at


cdef const uint8_t* get_counts(
    WindowTable* table, const uint8_t* at, const uint8_t* end, int64_t base, bint own,
    const WindowKind* kind, WindowSlot* slot,
) noexcept nogil:
    """Read what stands behind a window's code into an empty slot; NULL as `get_window`."""
    cdef int64_t newest = base // kind.tick_ms
    cdef uint64_t number
    cdef uint8_t bitmap
    cdef int i
    if own:
        at = get_varint(at, end, &number)
        if at == NULL or number == 0 or number > <uint64_t>2 * LAST_TIME:
            return NULL
        newest += unzigzag(number)
        if newest < 0 or newest > base // kind.tick_ms:
            return NULL
    slot.newest = newest
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
                if not set_count(table, slot, newest - <int64_t>i, <uint32_t>number):
                    return NULL
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
    if values == 1:  # as nearly always; a memcpy of unknown size is slow to begin
        memcpy(&slot.values.one, at, 8)
        slot.ticks = at[8]
        slot.holds = HOLDS_ONE
        return at + VALUE_BYTES if slot.ticks != 0 else NULL
    if not make_room_for(table, slot, <uint32_t>values):
        return NULL
    set_value_count(slot, <uint32_t>values)
    memcpy(values_in(slot), at, 8 * values)
    memcpy(ticks_in(slot), at + 8 * values, values)
    for i in range(<uint32_t>values):
        if ticks_in(slot)[i] == 0:
            return NULL
        for j in range(i):
            if values_in(slot)[j] == values_in(slot)[i]:
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
                    table.broken = True
                    return False
                table.frozen = <FrozenWindows*>grown
            table.frozen_count += 1
            row.frozen = table.frozen_count
        table.frozen[row.frozen - 1].count = 0
        table.frozen[row.frozen - 1].windows = NULL
    held = &table.frozen[row.frozen - 1]
    grown = realloc(held.windows, (held.count + 1) * sizeof(FrozenWindow))
    if grown == NULL:
        table.broken = True
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


cdef inline int place_of(const WindowTable* table, uint64_t code) noexcept nogil:
    cdef size_t i
    for i in range(table.windows):
        if table.kinds[i].code == code:
            return <int>i
    return -1


cdef bint get_row(WindowTable* table, WindowRow* row, const EntryView* entry) noexcept nogil:
    """Read an after-image into an empty row; false where it is malformed (or memory ran out)."""
    cdef const uint8_t* at = entry.value
    cdef const uint8_t* end = at + entry.size
    cdef uint64_t base
    if entry.size < 8:
        return False
    memcpy(row.partitioners, at, 8)
    at = get_varint(at + 8, end, &base)
    if at == NULL or base > <uint64_t>LAST_TIME or at == end:
        return False
    while at != end:
        at = get_window(table, row, at, end, <int64_t>base)
        if at == NULL:
            return False
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
