"""Count per account over origin time, exactly: the windows of one input partition.

An account owns one row: a header and a 48-byte slot per window, side by side, so that one keyed
probe finds all of them. Placement is SipHash-1-3 under a seed that changes no value. The index
holds 8 bytes per account in open addressing, one table per slice, at most seven tenths full;
rows never move. A heap by the time of retirement frees rows a few at a time.

What changes leaves as after-images (`changes`), packed here; nothing is ever rolled back.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from fastpath.changelog cimport (
    ENTRY_CORRUPT, ENTRY_DEL, ENTRY_FOUND, ENTRY_SET, EntryReader, EntryView, append_entry,
    free_entries, get_varint, next_entry, put_varint, reserve_entry_bytes, unzigzag, zigzag,
)
from fastpath.hashes cimport sip_key, siphash13

from fastpath.changelog import SLICES
from fastpath.checks import MAX_OVER_MS
from fastpath.errors import BuildError, CorruptImage
from fastpath.rfc3339 import MAX_TIME_MS
from fastpath.spec import MAX_DISTINCT, MIN_OVER_MS, RETIRE_MS, TICKS

cdef extern from "pages.h" nogil:
    void* pages_alloc(size_t count, size_t size)

cdef extern from *:
    void __builtin_prefetch(const void* address) noexcept nogil

cdef enum:
    RETIRE = 3600000  # RETIRE_MS: ms past 8 ticks after which a window reads as absent
    RETIRED_PER_POST = 2  # rows looked at per post: faster than new accounts can come
    SHORTEST = 8000  # MIN_OVER_MS
    AHEAD = 4  # rows fetched ahead while changes are packed
    LINE = 64  # bytes of a cache line

cdef int64_t NEVER = INT64_MIN
cdef int64_t LONGEST = MAX_OVER_MS
cdef int64_t LAST_TIME = MAX_TIME_MS

if (MAX_DISTINCT, RETIRE_MS, TICKS, MIN_OVER_MS, SLICES) != (
    WINDOW_DISTINCT, RETIRE, WINDOW_TICKS, SHORTEST, WINDOW_SLICES
):
    raise ImportError("fastpath.windows was compiled with other limits than fastpath.spec has")

COUNTS = ("posts", "links", "distinct_targets", "repeated_texts")  # by COUNT_*


cdef inline bint same(const Sip128* a, const Sip128* b) noexcept nogil:
    return a.first == b.first and a.second == b.second


cdef inline uint32_t place_tag(const WindowTable* table, const Sip128* account) noexcept nogil:
    return <uint32_t>siphash13(&table.placement, account.first, account.second)


cdef inline int64_t retires_at(const WindowKind* kind, const WindowSlot* slot) noexcept nogil:
    """Return the stream time from which a window that has counted reads as absent."""
    return (slot.newest + WINDOW_TICKS) * kind.tick_ms + RETIRE


cdef int64_t account_retires_at(const WindowTable* table, WindowRow* row) noexcept nogil:
    cdef int64_t latest = INT64_MIN, at
    cdef const WindowSlot* slots = slots_of(row)
    cdef const FrozenWindows* frozen
    cdef size_t i
    for i in range(table.windows):
        if slots[i].newest != NEVER:
            at = retires_at(&table.kinds[i], &slots[i])
            latest = at if at > latest else latest
    if row.frozen != 0:
        frozen = &table.frozen[row.frozen - 1]
        for i in range(frozen.count):
            at = retires_at(&frozen.windows[i].kind, &frozen.windows[i].slot)
            latest = at if at > latest else latest
    return latest


# --- Distinct values -----------------------------------------------------------------------------

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


# --- Counting ------------------------------------------------------------------------------------

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


cdef inline uint64_t sum_ring(const WindowSlot* slot, int64_t tick) noexcept nogil:
    """Sum the kept ticks from tick - 7 to tick."""
    cdef uint64_t total = 0
    cdef int64_t i
    if tick == slot.newest:
        for i in range(WINDOW_TICKS):
            total += slot.ring[i]
        return total
    for i in range(slot.newest - WINDOW_TICKS + 1, tick + 1):
        total += slot.ring[i & 7]
    return total


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
        advance(slot, tick)
    behind = <int>(slot.newest - tick)
    kept = <uint8_t>((0xFF << behind) & 0xFF)  # ticks tick - 7 .. tick of those that are kept
    if kind.count_of == COUNT_POSTS:
        add_to(&slot.ring[tick & 7], 1)
    elif kind.count_of == COUNT_LINKS:
        add_to(&slot.ring[tick & 7], post.links)
    elif kind.count_of == COUNT_TARGETS:
        for i in range(post.targets):
            ticks = find_value(slot.distinct, post.target[i])
            if ticks != NULL:
                ticks[0] |= <uint8_t>(1 << behind)
            elif not add_value(table, slot, post.target[i], <uint8_t>(1 << behind)):
                full = True
        value[0] = count_values(slot, kept)
        return SEEN_DISTINCT_FULL if full else 0
    elif post.has_text:
        ticks = find_value(slot.distinct, post.digest)
        if ticks == NULL:
            full = not add_value(table, slot, post.digest, <uint8_t>(1 << behind))
        else:
            if ticks[0] & kept:
                add_to(&slot.ring[tick & 7], 1)
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
        if slots[i].distinct != NULL:
            __builtin_prefetch(slots[i].distinct)


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


include "window_rows.pxi"
include "window_images.pxi"
include "partitioners.pxi"


def partitioners_of(bytes key not None):
    """Return (murmur2, crc32): how the usual partitioners place a record's key, both u32."""
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(key)
    return murmur2(data, <size_t>len(key)), crc32(data, <size_t>len(key))


cdef object as_bytes(EntryBuffer* buffer):
    """Hand over what is packed and empty the buffer."""
    if buffer.broken:
        free_entries(buffer)
        raise MemoryError
    packed = PyBytes_FromStringAndSize(<const char*>buffer.data, <Py_ssize_t>buffer.size)
    free_entries(buffer)
    return packed


cdef class AccountWindows:
    """Own the account windows of one input partition, and its stream time.

    Made by `Screen.new_state`; a screen counts in it without the GIL. Times are ms from 0 to
    the year 9999. A window is named by what it counts and its length: one that a restored image
    has and this table lacks is kept as it is until it retires.
    """

    def __cinit__(self, windows, uint64_t max_keys, int partition, bytes placement_seed not None):
        cdef size_t i
        kinds = list(dict.fromkeys((window.count, window.over_ms) for window in windows))
        if len(placement_seed) != 16:
            raise BuildError("placement seed bytes", 16, len(placement_seed))
        sip_key(&self.table.placement, <const uint8_t*>PyBytes_AS_STRING(placement_seed))
        self.partition = partition
        self.table.windows = <size_t>len(kinds)
        self.table.specified = <size_t>len(windows)
        self.table.row_bytes = sizeof(WindowRow) + self.table.windows * sizeof(WindowSlot)
        self.table.max_keys = max_keys
        self.table.stream_time = INT64_MIN
        self.table.kinds = <WindowKind*>calloc(self.table.windows + 1, sizeof(WindowKind))
        self.table.places = <size_t*>calloc(self.table.specified + 1, sizeof(size_t))
        if self.table.kinds == NULL or self.table.places == NULL:
            raise MemoryError
        for i, (count, over_ms) in enumerate(kinds):
            self.table.kinds[i].count_of = COUNTS.index(count)
            self.table.kinds[i].tick_ms = over_ms // TICKS
        for i, window in enumerate(windows):
            self.table.places[i] = kinds.index((window.count, window.over_ms))

    def __dealloc__(self):
        cdef WindowTable* table = &self.table
        cdef int slice_
        cdef uint32_t i
        for i in range(table.rows):
            if row_at(table, i).taken:
                clear_row(table, row_at(table, i))
        for slice_ in range(WINDOW_SLICES):
            free(table.parts[slice_].slots)
        free_pages(table)
        free(table.heap)
        free(table.heap_places)
        free(table.frozen)
        free(table.changed)
        free(table.kinds)
        free(table.places)
        free_entries(&table.deleted)

    @property
    def stream_time(self):
        """Return the greatest origin time of a counted record in ms; None before the first."""
        return None if self.table.stream_time == INT64_MIN else self.table.stream_time

    @property
    def accounts(self):
        """Return the number of accounts held, retired ones included until they are freed."""
        return self.table.held

    @property
    def memory_bytes(self):
        """Return the bytes of rows, index, retirement heap and distinct values."""
        cdef uint64_t total = self.table.page_count * PAGE_ROWS * self.table.row_bytes
        cdef int i
        total += self.table.heap_capacity * (sizeof(Retirement) + sizeof(uint32_t))
        for i in range(WINDOW_SLICES):
            if self.table.parts[i].slots != NULL:
                total += (self.table.parts[i].mask + 1) * sizeof(IndexSlot)
        return total + self.table.set_bytes

    def changes(self):
        """Return the entries of what changed since the last call, deletes first."""
        cdef WindowTable* table = &self.table
        cdef EntryBuffer out = table.deleted
        cdef WindowRow* row
        cdef size_t i
        memset(&table.deleted, 0, sizeof(EntryBuffer))
        with nogil:
            for i in range(table.changed_count):
                if i + AHEAD < table.changed_count:
                    __builtin_prefetch(row_at(table, table.changed[i + AHEAD]))
                row = row_at(table, table.changed[i])
                if row.changed:  # not freed since
                    row.changed = False
                    put_row(table, &out, row)
            table.changed_count = 0
        return as_bytes(&out)

    def snapshot(self, uint8_t slice_):
        """Return the entries of a slice's accounts that have not retired, by key."""
        cdef EntryBuffer out
        memset(&out, 0, sizeof(out))
        with nogil:
            if not put_part(&self.table, &self.table.parts[slice_], &out):
                out.broken = True
        return as_bytes(&out)

    def restore(self, long long stream_time, bytes entries not None):
        """Apply entries; nothing of it comes out of `changes`. CorruptImage: worthless now."""
        cdef EntryReader reader
        cdef const uint8_t* malformed
        if stream_time > LAST_TIME:
            raise CorruptImage(f"stream time {stream_time} is past the year 9999")
        if stream_time > self.table.stream_time:
            self.table.stream_time = stream_time
        reader.at = <const uint8_t*>PyBytes_AS_STRING(entries)
        reader.end = reader.at + PyBytes_GET_SIZE(entries)
        with nogil:
            malformed = apply_entries(&self.table, &reader)
        if self.table.broken:
            raise MemoryError
        if malformed != NULL:
            place = malformed - <const uint8_t*>PyBytes_AS_STRING(entries)
            raise CorruptImage(f"window entry before byte {place} of {len(entries)} is malformed")

    def clear(self, uint8_t slice_):
        """Forget every account of a slice; nothing of it comes out of `changes`."""
        with nogil:
            clear_part(&self.table, &self.table.parts[slice_])

    def count(
        self, bytes account not None, bytes name not None, long long time, uint32_t links, targets,
        digest,
    ):
        """Count one record by hand and return (values, late, distinct_full, table_full).

        For tests against the twin. `account` has 16 bytes, `name` is the account's id, each of
        the targets, and the digest, 8 bytes; digest is None for an empty text.
        """
        cdef WindowPost post
        cdef uint64_t[64] values
        cdef bytes value
        cdef int seen
        if len(account) != 16 or len(targets) > 2 or self.table.specified > 64:
            raise ValueError("an account has 16 bytes, a record at most two targets")
        if not 0 <= time <= LAST_TIME:
            raise ValueError(f"time {time} is not from 1970 to 9999")
        memset(&post, 0, sizeof(post))
        memcpy(&post.account, PyBytes_AS_STRING(account), 16)
        post.tag = tag_account(&self.table, &post.account)
        post.id = <const uint8_t*>PyBytes_AS_STRING(name)
        post.id_size = <size_t>PyBytes_GET_SIZE(name)
        post.time = time
        post.links = links
        for value in targets:
            memcpy(&post.target[post.targets], PyBytes_AS_STRING(value), 8)
            post.targets += 1
        if digest is not None:
            value = digest
            post.has_text = True
            memcpy(&post.digest, PyBytes_AS_STRING(value), 8)
        seen = count_post(&self.table, &post, values)
        if self.table.broken:
            raise MemoryError
        return (
            tuple([values[i] for i in range(self.table.specified)]),
            bool(seen & SEEN_LATE),
            bool(seen & SEEN_DISTINCT_FULL),
            bool(seen & SEEN_TABLE_FULL),
        )
