# Rows of account windows: pages, index, retirement heap, free list. Included by windows.pyx.
#
# Rows lie in pages and never move, so that a growing table moves 8 bytes per account and only of
# one slice at a time: no post waits for more than that.

cdef enum:
    PAGE_BITS = 10
    PAGE_ROWS = 1024
    BLOCK_PAGES = 32  # a table of as many pages grows by so many at once, in huge pages
    FIRST_SLOTS = 8  # of a slice's index; a power of two, as every later size
    MAX_ROWS = 2147483647


cdef inline WindowRow* row_at(const WindowTable* table, uint32_t row) noexcept nogil:
    return <WindowRow*>(
        table.pages[row >> PAGE_BITS] + <size_t>(row & (PAGE_ROWS - 1)) * table.row_bytes
    )


cdef inline WindowSlot* slots_of(WindowRow* row) noexcept nogil:
    return <WindowSlot*>(<uint8_t*>row + sizeof(WindowRow))


cdef inline IndexPart* part_of(const WindowTable* table, const Sip128* key) noexcept nogil:
    return <IndexPart*>&table.parts[key.first & 0xFF]


# --- Index ---------------------------------------------------------------------------------------

cdef inline IndexSlot* index_slot(
    const WindowTable* table, const IndexPart* part, const Sip128* key, uint32_t tag
) noexcept nogil:
    """Return the account's slot, or the empty one where it would stand."""
    cdef uint32_t at = tag & part.mask
    cdef IndexSlot* slot
    while True:
        slot = part.slots + at
        if slot.row == 0:
            return slot
        if slot.tag == tag and same(&row_at(table, slot.row - 1).key, key):
            return slot
        at = (at + 1) & part.mask


cdef bint grow_part(WindowTable* table, IndexPart* part) noexcept nogil:
    """Double the index of one slice; false: no memory."""
    cdef uint32_t capacity = FIRST_SLOTS if part.slots == NULL else 2 * (part.mask + 1), i, at
    cdef IndexSlot* old = part.slots
    cdef uint32_t rows = 0 if old == NULL else part.mask + 1
    cdef IndexSlot* moved = <IndexSlot*>calloc(capacity, sizeof(IndexSlot))
    if moved == NULL:
        table.broken = True
        return False
    part.slots = moved
    part.mask = capacity - 1
    for i in range(rows):
        if old[i].row == 0:
            continue
        at = old[i].tag & part.mask
        while moved[at].row != 0:
            at = (at + 1) & part.mask
        moved[at] = old[i]
    free(old)
    return True


cdef void drop_slot(IndexPart* part, IndexSlot* slot) noexcept nogil:
    """Empty a slot and close its gap by moving later ones of its run back (no tombstones)."""
    cdef uint32_t hole = <uint32_t>(slot - part.slots), at = hole, home
    part.held -= 1
    while True:
        at = (at + 1) & part.mask
        if part.slots[at].row == 0:
            break
        home = part.slots[at].tag & part.mask
        if ((at - home) & part.mask) >= ((at - hole) & part.mask):
            part.slots[hole] = part.slots[at]
            hole = at
    part.slots[hole].row = 0


# --- Retirement heap -----------------------------------------------------------------------------

cdef inline void heap_put(WindowTable* table, uint64_t at, Retirement entry) noexcept nogil:
    table.heap[at] = entry
    table.heap_places[entry.row] = <uint32_t>at


cdef void heap_up(WindowTable* table, uint64_t at, Retirement entry) noexcept nogil:
    cdef uint64_t parent
    while at > 0:
        parent = (at - 1) >> 1
        if table.heap[parent].due <= entry.due:
            break
        heap_put(table, at, table.heap[parent])
        at = parent
    heap_put(table, at, entry)


cdef void heap_down(
    WindowTable* table, uint64_t at, uint64_t size, Retirement entry
) noexcept nogil:
    cdef uint64_t child
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and table.heap[child + 1].due < table.heap[child].due:
            child += 1
        if entry.due <= table.heap[child].due:
            break
        heap_put(table, at, table.heap[child])
        at = child
    heap_put(table, at, entry)


cdef void heap_remove(WindowTable* table, uint32_t row) noexcept nogil:
    """Take a row out; `held` still counts it."""
    cdef uint64_t at = table.heap_places[row], last = table.held - 1
    cdef Retirement moved = table.heap[last]
    if at == last:
        return
    if at > 0 and moved.due < table.heap[(at - 1) >> 1].due:
        heap_up(table, at, moved)
    else:
        heap_down(table, at, last, moved)


# --- Rows ----------------------------------------------------------------------------------------

cdef bint grow_pages(WindowTable* table) noexcept nogil:
    """Add one page, or a block of them where there are many; false: no memory."""
    cdef uint32_t i, more = 1 if table.page_count < BLOCK_PAGES else BLOCK_PAGES
    cdef uint32_t pages = table.page_count + more
    cdef uint8_t* block
    cdef void* grown
    if pages & (pages - 1) == 0:  # 1, 2, 4, ...: room up to the next such count
        grown = realloc(table.pages, 2 * pages * sizeof(uint8_t*))
        if grown == NULL:
            return False
        table.pages = <uint8_t**>grown
    block = <uint8_t*>pages_alloc(more * PAGE_ROWS, table.row_bytes)
    if block == NULL:
        return False
    for i in range(more):
        table.pages[table.page_count + i] = block + <size_t>i * PAGE_ROWS * table.row_bytes
    table.page_count = pages
    return True


cdef void free_pages(WindowTable* table) noexcept nogil:
    cdef uint32_t i
    for i in range(table.page_count):
        if i < BLOCK_PAGES or i % BLOCK_PAGES == 0:
            free(table.pages[i])
    free(table.pages)


cdef bint grow_rows(WindowTable* table) noexcept nogil:
    """Add pages of rows, and room for as many in the heap; false: no memory."""
    cdef void* grown
    cdef uint32_t capacity
    if not grow_pages(table):
        return False
    capacity = table.page_count * PAGE_ROWS
    if capacity <= table.heap_capacity:
        return True
    capacity = 2 * capacity
    grown = realloc(table.heap, capacity * sizeof(Retirement))
    if grown == NULL:
        return False
    table.heap = <Retirement*>grown
    grown = realloc(table.heap_places, capacity * sizeof(uint32_t))
    if grown == NULL:
        return False
    table.heap_places = <uint32_t*>grown
    table.heap_capacity = capacity
    return True


cdef void blank_row(const WindowTable* table, WindowRow* row, const Sip128* key) noexcept nogil:
    """Make a row that holds no sets the row of an account that has counted nothing."""
    cdef size_t i
    memset(row, 0, sizeof(WindowRow))
    row.key = key[0]
    row.taken = True
    for i in range(table.windows):
        slots_of(row)[i] = EMPTY_SLOT


cdef WindowRow* take_row(WindowTable* table, const Sip128* key, uint32_t tag) noexcept nogil:
    """Make the empty row of an account that has none; NULL: no memory. File it when counted."""
    cdef IndexPart* part = part_of(table, key)
    cdef IndexSlot* slot
    cdef WindowRow* row
    cdef uint32_t place
    if (part.slots == NULL or 10 * (part.held + 1) > 7 * (part.mask + 1)) and not grow_part(
        table, part
    ):
        return NULL
    if table.free_row != 0:
        place = table.free_row - 1
        row = row_at(table, place)
        table.free_row = row.partitioners[0]
    else:
        if table.rows == MAX_ROWS or (
            table.rows == table.page_count * PAGE_ROWS and not grow_rows(table)
        ):
            table.broken = True
            return NULL
        place = table.rows
        table.rows += 1
        row = row_at(table, place)
    blank_row(table, row, key)
    slot = index_slot(table, part, key, tag)
    slot.tag = tag
    slot.row = place + 1
    part.held += 1
    table.held += 1
    heap_up(table, table.held - 1, Retirement(INT64_MAX, place))
    return row


cdef void file_row(WindowTable* table, uint32_t place, int64_t due) noexcept nogil:
    """Note when a row retires, if that is earlier than it is filed for.

    One that retires later is looked at when it was to be due, and filed anew.
    """
    cdef uint64_t at = table.heap_places[place]
    if due < table.heap[at].due:
        heap_up(table, at, Retirement(due, place))


cdef void clear_row(WindowTable* table, WindowRow* row) noexcept nogil:
    """Forget what a row counted and free its sets."""
    cdef size_t i
    for i in range(table.windows):
        clear_slot(table, &slots_of(row)[i])
    thaw(table, row)


cdef void empty_row(WindowTable* table, uint32_t place) noexcept nogil:
    """Give a row back, with its sets; its index slot is the caller's."""
    cdef WindowRow* row = row_at(table, place)
    clear_row(table, row)
    heap_remove(table, place)
    table.held -= 1
    row.taken = False
    row.changed = False
    row.partitioners[0] = table.free_row
    table.free_row = place + 1


cdef void free_row(WindowTable* table, uint32_t place) noexcept nogil:
    cdef WindowRow* row = row_at(table, place)
    cdef IndexPart* part = part_of(table, &row.key)
    cdef uint32_t tag = place_tag(table, &row.key)
    drop_slot(part, index_slot(table, part, &row.key, tag))
    empty_row(table, place)


cdef void retire_row(WindowTable* table, uint32_t place) noexcept nogil:
    """Free the row of an account that has retired, and say so in the changelog."""
    if not append_entry(&table.deleted, &row_at(table, place).key, ENTRY_DEL, NULL, 0):
        table.broken = True
    free_row(table, place)


cdef void retire_earliest(WindowTable* table) noexcept nogil:
    """Free the row that is due first, or file it anew if it has counted since."""
    cdef Retirement entry = table.heap[0]
    cdef int64_t due = account_retires_at(table, row_at(table, entry.row))
    if table.stream_time >= due:
        retire_row(table, entry.row)
    else:
        entry.due = due
        heap_down(table, 0, table.held, entry)


cdef bint make_room(WindowTable* table) noexcept nogil:
    """Make sure that one more account fits; false at the cap, which counts live ones alone."""
    while table.held >= table.max_keys:
        if table.held == 0 or table.heap[0].due > table.stream_time:
            return False
        retire_earliest(table)
    return True
