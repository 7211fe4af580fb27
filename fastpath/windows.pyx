"""Count per account over origin time, exactly: the windows of one input partition.

An account owns one 64-byte slot per window, side by side, so that one keyed probe finds all of
them. Placement is SipHash-1-3 under a seed that changes no value. Open addressing with linear
probing and at most seven tenths full; nothing is deleted in place: retired accounts are left out
when the table is rebuilt, so there are no tombstones.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from fastpath.hashes cimport sip_key, siphash13

from fastpath.errors import BuildError
from fastpath.spec import MAX_DISTINCT, RETIRE_MS, TICKS

cdef enum:
    RETIRE = 3600000  # RETIRE_MS: ms past 8 ticks after which an account reads as absent
    FIRST_CAPACITY = 1024  # accounts

cdef int64_t NEVER = INT64_MIN

if MAX_DISTINCT != WINDOW_DISTINCT or RETIRE_MS != RETIRE or TICKS != WINDOW_TICKS:
    raise ImportError("fastpath.windows was compiled with other limits than fastpath.spec has")

COUNTS = ("posts", "links", "distinct_targets", "repeated_texts")  # by COUNT_*


cdef inline int64_t floor_divide(int64_t value, int64_t by) noexcept nogil:
    cdef int64_t quotient = value // by
    return quotient - 1 if value % by < 0 else quotient


cdef inline bint same(const Sip128* a, const Sip128* b) noexcept nogil:
    return a.first == b.first and a.second == b.second


cdef inline int64_t retires_at(const WindowKind* kind, const WindowSlot* slot) noexcept nogil:
    """Return the stream time from which a window reads as absent."""
    if slot.newest == NEVER:
        return INT64_MIN
    return (slot.newest + WINDOW_TICKS) * kind.tick_ms + RETIRE


cdef int64_t account_retires_at(const WindowTable* table, const WindowSlot* row) noexcept nogil:
    cdef int64_t latest = INT64_MIN, at
    cdef size_t i
    for i in range(table.windows):
        at = retires_at(&table.kinds[i], &row[i])
        if at > latest:
            latest = at
    return latest


cdef inline bint is_taken(const WindowSlot* row) noexcept nogil:
    return row[0].newest != NEVER


cdef void clear_slot(WindowSlot* slot) noexcept nogil:
    """Forget what a window counted and free its values; the key stays."""
    if slot.distinct != NULL:
        free(slot.distinct.values)
        free(slot.distinct.ticks)
        free(slot.distinct)
        slot.distinct = NULL
    slot.newest = NEVER
    memset(slot.ring, 0, sizeof(slot.ring))


cdef void clear_rows(WindowSlot* slots, size_t count) noexcept nogil:
    cdef size_t i
    for i in range(count):
        slots[i].newest = NEVER


cdef WindowSlot* find_row(
    const WindowTable* table, const Sip128* account
) noexcept nogil:
    """Return the account's row, or the free row where it would stand."""
    cdef uint64_t at = siphash13(&table.placement, account.first, account.second) & table.mask
    cdef WindowSlot* row
    while True:
        row = table.slots + at * table.windows
        if not is_taken(row) or same(&row[0].key, account):
            return row
        at = (at + 1) & table.mask


cdef bint rebuild(WindowTable* table, uint64_t capacity) noexcept nogil:
    """Move every account that has not retired to a table of `capacity` rows; false: no memory."""
    cdef WindowSlot* old = table.slots
    cdef uint64_t rows = 0 if old == NULL else table.mask + 1, i
    cdef size_t windows = table.windows, j
    cdef WindowSlot* row
    cdef WindowSlot* moved = <WindowSlot*>calloc(capacity * windows, sizeof(WindowSlot))
    cdef int64_t retires
    if moved == NULL:
        table.broken = True
        return False
    clear_rows(moved, capacity * windows)
    table.slots = moved
    table.mask = capacity - 1
    table.held = 0
    table.next_retirement = INT64_MAX
    for i in range(rows):
        row = old + i * windows
        if not is_taken(row):
            continue
        retires = account_retires_at(table, row)
        if table.stream_time >= retires:
            for j in range(windows):
                clear_slot(&row[j])
            continue
        if retires < table.next_retirement:
            table.next_retirement = retires
        memcpy(find_row(table, &row[0].key), row, windows * sizeof(WindowSlot))
        table.held += 1
    free(old)
    return True


cdef uint64_t count_live(const WindowTable* table) noexcept nogil:
    cdef uint64_t live = 0, i
    cdef const WindowSlot* row
    for i in range(table.mask + 1):
        row = table.slots + i * table.windows
        if is_taken(row) and table.stream_time < account_retires_at(table, row):
            live += 1
    return live


cdef bint make_room(WindowTable* table) noexcept nogil:
    """Make sure that one more account fits; false at the cap, which counts live ones alone.

    At the cap the table is swept at most once between two retirements, so that a flood of new
    accounts costs a comparison each.
    """
    cdef uint64_t capacity = table.mask + 1
    if table.held >= table.max_keys:
        if table.stream_time < table.next_retirement:
            return False
        if not rebuild(table, capacity):
            return False
        if table.held >= table.max_keys:
            return False
    if 10 * (table.held + 1) > 7 * capacity:
        if 10 * count_live(table) > 4 * capacity:
            capacity *= 2
        return rebuild(table, capacity)
    return True


cdef bint grow_set(DistinctSet* held) noexcept nogil:
    cdef uint32_t capacity = 4 if held.capacity == 0 else held.capacity * 2
    cdef void* grown = realloc(held.values, capacity * sizeof(Sip128))
    if grown == NULL:
        return False
    held.values = <Sip128*>grown
    grown = realloc(held.ticks, capacity)
    if grown == NULL:
        return False
    held.ticks = <uint8_t*>grown
    held.capacity = capacity
    return True


cdef uint8_t* find_value(const DistinctSet* held, const Sip128* value) noexcept nogil:
    """Return the ticks of a value, NULL where it is not held; at most 256 comparisons."""
    cdef uint32_t i
    if held == NULL:
        return NULL
    for i in range(held.count):
        if same(&held.values[i], value):
            return &held.ticks[i]
    return NULL


cdef bint remember(
    WindowTable* table, WindowSlot* slot, const Sip128* value, uint8_t tick_bit
) noexcept nogil:
    """Remember a value at a tick; false where 256 others are held already."""
    cdef DistinctSet* held = slot.distinct
    cdef uint8_t* ticks = find_value(held, value)
    if ticks != NULL:
        ticks[0] |= tick_bit
        return True
    if held == NULL:
        held = <DistinctSet*>calloc(1, sizeof(DistinctSet))
        if held == NULL:
            table.broken = True
            return True
        slot.distinct = held
    if held.count == WINDOW_DISTINCT:
        return False
    if held.count == held.capacity and not grow_set(held):
        table.broken = True
        return True
    held.values[held.count] = value[0]
    held.ticks[held.count] = tick_bit
    held.count += 1
    return True


cdef void age_set(DistinctSet* held, int64_t ticks) noexcept nogil:
    """Shift every value's ticks back and leave out those of which none is kept."""
    cdef uint32_t i, kept = 0
    cdef uint8_t moved
    if ticks >= WINDOW_TICKS:
        held.count = 0
        return
    for i in range(held.count):
        moved = <uint8_t>((<uint32_t>held.ticks[i] << ticks) & 0xFF)
        if moved != 0:
            held.values[kept] = held.values[i]
            held.ticks[kept] = moved
            kept += 1
    held.count = kept


cdef void advance(WindowSlot* slot, int64_t tick) noexcept nogil:
    """Make `tick` the newest and clear the ring entries of the ticks that are left behind."""
    cdef int64_t ticks, i
    if slot.newest == NEVER:
        slot.newest = tick
        return
    ticks = tick - slot.newest
    if ticks >= WINDOW_TICKS:
        memset(slot.ring, 0, sizeof(slot.ring))
    else:
        for i in range(1, ticks + 1):
            slot.ring[(slot.newest + i) & 7] = 0
    if slot.distinct != NULL:
        age_set(slot.distinct, ticks)
    slot.newest = tick


cdef inline void add_to(uint32_t* counter, uint32_t amount) noexcept nogil:
    counter[0] = UINT32_MAX if amount > UINT32_MAX - counter[0] else counter[0] + amount


cdef uint64_t sum_ring(const WindowSlot* slot, int64_t tick) noexcept nogil:
    """Sum the kept ticks from tick - 7 to tick."""
    cdef uint64_t total = 0
    cdef int64_t kept
    for kept in range(slot.newest - 7, tick + 1):
        total += slot.ring[kept & 7]
    return total


cdef uint64_t count_values(const WindowSlot* slot, uint8_t kept) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint32_t i
    if slot.distinct == NULL:
        return 0
    for i in range(slot.distinct.count):
        if slot.distinct.ticks[i] & kept:
            total += 1
    return total


cdef int count_window(
    WindowTable* table, const WindowKind* kind, WindowSlot* slot, const WindowPost* post,
    uint64_t* value,
) noexcept nogil:
    """Count a record in one window of its account, then read it."""
    cdef int64_t tick = floor_divide(post.time, kind.tick_ms)
    cdef uint8_t* ticks
    cdef uint8_t kept
    cdef uint32_t i
    cdef int behind
    cdef bint full = False
    value[0] = 0
    if slot.newest != NEVER and tick <= slot.newest - WINDOW_TICKS:
        return SEEN_LATE
    if slot.newest == NEVER or tick > slot.newest:
        advance(slot, tick)
    behind = <int>(slot.newest - tick)
    kept = <uint8_t>((0xFF << behind) & 0xFF)  # ticks tick - 7 .. tick of those that are kept
    if kind.count_of == COUNT_POSTS:
        add_to(&slot.ring[tick & 7], 1)
    elif kind.count_of == COUNT_LINKS:
        add_to(&slot.ring[tick & 7], post.links)
    elif kind.count_of == COUNT_TARGETS:
        for i in range(post.targets):
            if not remember(table, slot, &post.target[i], <uint8_t>(1 << behind)):
                full = True
        value[0] = count_values(slot, kept)
        return SEEN_DISTINCT_FULL if full else 0
    elif post.has_text:
        ticks = find_value(slot.distinct, &post.digest)
        if ticks != NULL and ticks[0] & kept:
            add_to(&slot.ring[tick & 7], 1)
        full = not remember(table, slot, &post.digest, <uint8_t>(1 << behind))
    value[0] = sum_ring(slot, tick)
    return SEEN_DISTINCT_FULL if full else 0


cdef int count_post(WindowTable* table, const WindowPost* post, uint64_t* values) noexcept nogil:
    """Count one create or edit; write one value per window and return SEEN_* bits."""
    cdef WindowSlot* row
    cdef size_t i
    cdef int seen = 0
    cdef int64_t retires
    if post.time > table.stream_time:
        table.stream_time = post.time
    if table.windows == 0:
        return 0
    row = find_row(table, &post.account)
    if not is_taken(row) or table.stream_time >= account_retires_at(table, row):
        if is_taken(row):
            # Its own row is free again and is not counted; the table's size does not change.
            for i in range(table.windows):
                clear_slot(&row[i])
            if table.held > 0:
                table.held -= 1
            drop_gap(table, row)
        if not make_room(table):
            for i in range(table.windows):
                values[i] = 0
            return SEEN_TABLE_FULL
        row = find_row(table, &post.account)
        for i in range(table.windows):
            row[i].key = post.account
        table.held += 1
    for i in range(table.windows):
        if row[i].newest != NEVER and table.stream_time >= retires_at(&table.kinds[i], &row[i]):
            clear_slot(&row[i])
        seen |= count_window(table, &table.kinds[i], &row[i], post, &values[i])
    retires = account_retires_at(table, row)
    if retires < table.next_retirement:
        table.next_retirement = retires
    return seen


cdef void drop_gap(WindowTable* table, WindowSlot* gap) noexcept nogil:
    """Close the gap of a removed row by moving later rows of its run back (no tombstones)."""
    cdef uint64_t hole = <uint64_t>(gap - table.slots) // table.windows
    cdef uint64_t at = hole, home
    cdef WindowSlot* row
    while True:
        at = (at + 1) & table.mask
        row = table.slots + at * table.windows
        if not is_taken(row):
            return
        home = siphash13(&table.placement, row[0].key.first, row[0].key.second) & table.mask
        if ((at - home) & table.mask) >= ((at - hole) & table.mask):
            memcpy(
                table.slots + hole * table.windows, row, table.windows * sizeof(WindowSlot)
            )
            clear_moved(row, table.windows)
            hole = at


cdef void clear_moved(WindowSlot* row, size_t windows) noexcept nogil:
    """Empty a row whose sets now belong to another one."""
    cdef size_t i
    for i in range(windows):
        row[i].distinct = NULL
        clear_slot(&row[i])


cdef class AccountWindows:
    """Own the account windows of one input partition, and its stream time.

    Made by `Screen.new_state`; a screen counts in it without the GIL.
    """

    def __cinit__(self, windows, uint64_t max_keys, int partition, bytes placement_seed not None):
        cdef size_t i
        if len(placement_seed) != 16:
            raise BuildError("placement seed bytes", 16, len(placement_seed))
        sip_key(&self.table.placement, <const uint8_t*>PyBytes_AS_STRING(placement_seed))
        self.partition = partition
        self.table.windows = <size_t>len(windows)
        self.table.max_keys = max_keys
        self.table.stream_time = INT64_MIN
        self.table.kinds = <WindowKind*>malloc((self.table.windows + 1) * sizeof(WindowKind))
        if self.table.kinds == NULL:
            raise MemoryError
        for i in range(self.table.windows):
            self.table.kinds[i].count_of = COUNTS.index(windows[i].count)
            self.table.kinds[i].tick_ms = windows[i].over_ms // TICKS
        if self.table.windows > 0 and not rebuild(&self.table, FIRST_CAPACITY):
            raise MemoryError

    def __dealloc__(self):
        cdef uint64_t i
        if self.table.slots != NULL:
            for i in range((self.table.mask + 1) * self.table.windows):
                clear_slot(&self.table.slots[i])
        free(self.table.slots)
        free(self.table.kinds)

    @property
    def stream_time(self):
        """Return the greatest origin time of a counted record in ms; None before the first."""
        return None if self.table.stream_time == INT64_MIN else self.table.stream_time

    @property
    def accounts(self):
        """Return the number of accounts held, retired ones included until they are swept."""
        return self.table.held

    @property
    def memory_bytes(self):
        """Return the bytes of the slots; distinct sets come on top."""
        return (self.table.mask + 1) * self.table.windows * sizeof(WindowSlot)

    def count(self, bytes account not None, long long time, uint32_t links, targets, digest):
        """Count one record by hand and return (values, late, distinct_full, table_full).

        For tests against the twin. `account`, each target and the digest are 16 bytes; digest
        is None for an empty text.
        """
        cdef WindowPost post
        cdef uint64_t[64] values
        cdef bytes value
        cdef int seen
        if len(account) != 16 or len(targets) > 2 or self.table.windows > 64:
            raise ValueError("an account has 16 bytes, a record at most two targets")
        memset(&post, 0, sizeof(post))
        memcpy(&post.account, PyBytes_AS_STRING(account), 16)
        post.time = time
        post.links = links
        for value in targets:
            memcpy(&post.target[post.targets], PyBytes_AS_STRING(value), 16)
            post.targets += 1
        if digest is not None:
            value = digest
            post.has_text = True
            memcpy(&post.digest, PyBytes_AS_STRING(value), 16)
        seen = count_post(&self.table, &post, values)
        if self.table.broken:
            raise MemoryError
        return (
            tuple([values[i] for i in range(self.table.windows)]),
            bool(seen & SEEN_LATE),
            bool(seen & SEEN_DISTINCT_FULL),
            bool(seen & SEEN_TABLE_FULL),
        )
