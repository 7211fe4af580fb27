# Counting a post in the windows of its account. Included by windows.pyx.

cdef void advance(WindowTable* table, WindowSlot* slot, int64_t tick) noexcept nogil:
    """Make `tick` the newest and clear the counts of the ticks that are left behind."""
    cdef int64_t ticks = tick - slot.newest, i
    if slot.newest == NEVER:
        slot.newest = tick
        return
    if ticks >= WINDOW_TICKS:
        clear_ring(table, slot)
    else:
        for i in range(1, ticks + 1):
            set_count(table, slot, slot.newest + i, 0)
    age_values(slot, ticks)
    slot.newest = tick


cdef void clear_slot(WindowTable* table, WindowSlot* slot) noexcept nogil:
    """Forget what a window counted and free what lies outside its slot."""
    free_values(table, slot)
    clear_ring(table, slot)
    slot[0] = EMPTY_SLOT


cdef inline int64_t tick_of(WindowKind* kind, int64_t time) noexcept nogil:
    if <uint64_t>(time - kind.tick_start) >= <uint64_t>kind.tick_ms:
        kind.tick = time // kind.tick_ms
        kind.tick_start = kind.tick * kind.tick_ms
    return kind.tick


cdef int count_window(
    WindowTable* table, WindowKind* kind, WindowSlot* slot, const WindowPost* post, uint64_t* value
) noexcept nogil:
    """Count a record in one window of its account, then read it."""
    cdef int64_t tick = tick_of(kind, post.time)
    cdef uint8_t* ticks
    cdef uint8_t kept
    cdef uint32_t i
    cdef int behind
    cdef bint full = False
    value[0] = 0
    if slot.newest != NEVER and tick <= slot.newest - WINDOW_TICKS:
        return SEEN_LATE
    if slot.newest == NEVER or tick > slot.newest:
        advance(table, slot, tick)
    behind = <int>(slot.newest - tick)
    kept = <uint8_t>((0xFF << behind) & 0xFF)  # ticks tick - 7 .. tick of those that are kept
    if kind.count_of == COUNT_POSTS:
        add_count(table, slot, tick, 1)
    elif kind.count_of == COUNT_LINKS:
        add_count(table, slot, tick, post.links)
    elif kind.count_of == COUNT_TARGETS:
        for i in range(post.targets):
            ticks = find_value(slot, post.target[i])
            if ticks != NULL:
                ticks[0] |= <uint8_t>(1 << behind)
            elif not add_value(table, slot, post.target[i], <uint8_t>(1 << behind)):
                full = True
        value[0] = count_values(slot, kept)
        return SEEN_DISTINCT_FULL if full else 0
    elif post.has_text:
        ticks = find_value(slot, post.digest)
        if ticks == NULL:
            full = not add_value(table, slot, post.digest, <uint8_t>(1 << behind))
        else:
            if ticks[0] & kept:
                add_count(table, slot, tick, 1)
            ticks[0] |= <uint8_t>(1 << behind)
    value[0] = sum_ring(slot, tick)
    return SEEN_DISTINCT_FULL if full else 0


cdef bint clear_retired(WindowTable* table, WindowRow* row) noexcept nogil:
    """Empty the windows of a row that have retired; false where none is left."""
    cdef WindowSlot* slots = slots_of(row)
    cdef bint left = False
    cdef size_t i
    for i in range(table.windows):
        if slots[i].newest == NEVER:
            continue
        if table.stream_time >= retires_at(&table.kinds[i], &slots[i]):
            clear_slot(table, &slots[i])
        else:
            left = True
    return left or (row.frozen != 0 and table.stream_time < account_retires_at(table, row))


cdef bint list_changed(WindowTable* table, WindowRow* row, uint32_t place) noexcept nogil:
    cdef void* grown
    cdef size_t capacity
    if table.changed_count == table.changed_capacity:
        capacity = 2 * table.changed_capacity + 1024
        grown = realloc(table.changed, capacity * sizeof(uint32_t))
        if grown == NULL:
            table.broken = True
            return False
        table.changed = <uint32_t*>grown
        table.changed_capacity = capacity
    table.changed[table.changed_count] = place
    table.changed_count += 1
    row.changed = True
    return True


cdef uint32_t tag_account(const WindowTable* table, const Sip128* account) noexcept nogil:
    return place_tag(table, account)


cdef void fetch_slot(
    const WindowTable* table, const Sip128* account, uint32_t tag
) noexcept nogil:
    cdef const IndexPart* part = part_of(table, account)
    if part.slots != NULL:
        __builtin_prefetch(part.slots + (tag & part.mask))


cdef const WindowRow* fetch_row(
    const WindowTable* table, const Sip128* account, uint32_t tag
) noexcept nogil:
    """Fetch the row that the first slot with the account's tag names; NULL where there is none."""
    cdef const IndexPart* part = part_of(table, account)
    cdef uint32_t at = tag & part.mask
    cdef const WindowRow* row
    cdef size_t line
    if part.slots == NULL:
        return NULL
    while part.slots[at].row != 0:
        if part.slots[at].tag == tag:
            row = row_at(table, part.slots[at].row - 1)
            for line in range((table.row_bytes + LINE - 1) // LINE):
                __builtin_prefetch(<const uint8_t*>row + line * LINE)
            return row
        at = (at + 1) & part.mask
    return NULL


cdef void fetch_values(const WindowTable* table, const WindowRow* row) noexcept nogil:
    cdef const WindowSlot* slots = slots_of(<WindowRow*>row)
    cdef size_t i
    for i in range(table.windows):
        if slots[i].holds == HOLDS_MANY:
            __builtin_prefetch(slots[i].values.many)


cdef WindowRow* open_row(
    WindowTable* table, const WindowPost* post, uint32_t* place, bint* fresh
) noexcept nogil:
    """Return the account's row, new where it has none that stands; NULL: full or no memory."""
    cdef IndexPart* part = part_of(table, &post.account)
    cdef IndexSlot* slot
    cdef WindowRow* row
    fresh[0] = False
    if part.slots != NULL:
        slot = index_slot(table, part, &post.account, post.tag)
        if slot.row != 0:
            place[0] = slot.row - 1
            row = row_at(table, place[0])
            if clear_retired(table, row):
                return row
            retire_row(table, place[0])
    if not make_room(table):
        return NULL
    row = take_row(table, &post.account, post.tag)
    if row == NULL:
        return NULL
    place[0] = index_slot(table, part, &post.account, post.tag).row - 1
    row.partitioners[0] = murmur2(post.id, post.id_size)
    row.partitioners[1] = crc32(post.id, post.id_size)
    fresh[0] = True
    return row


cdef int count_post(WindowTable* table, const WindowPost* post, uint64_t* values) noexcept nogil:
    """Count one create or edit; write one value per specified window and return SEEN_* bits."""
    cdef uint64_t[64] counted
    cdef WindowRow* row
    cdef WindowSlot* slots
    cdef uint32_t place
    cdef size_t i
    cdef int seen = 0, _
    cdef bint fresh
    if post.time > table.stream_time:
        table.stream_time = post.time
    if table.windows == 0:
        return 0
    for _ in range(RETIRED_PER_POST):
        if table.held == 0 or table.heap[0].due > table.stream_time:
            break
        retire_earliest(table)
    row = open_row(table, post, &place, &fresh)
    if row == NULL:
        for i in range(table.specified):
            values[i] = 0
        return SEEN_TABLE_FULL
    slots = slots_of(row)
    for i in range(table.windows):
        seen |= count_window(table, &table.kinds[i], &slots[i], post, &counted[i])
    for i in range(table.specified):
        values[i] = counted[table.places[i]]
    if fresh:
        file_row(table, place, account_retires_at(table, row))
    if not row.changed:
        list_changed(table, row, place)
    return seen
