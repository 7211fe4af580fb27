"""Keep the sightings of one partition by fingerprint, and find the runs that a rule may hold for.

Nearly every fingerprint is seen once and costs a slot of 16 bytes and its sighting, packed. One
that is seen again becomes a list of sightings; runs of ticks are counted only from the number of
sightings at which a rule's gate could pass. Placement is SipHash-1-3 under a seed that changes no
value; there are 256 small tables by the fingerprint's ninth byte (the first ones chose the
partition), so growth never moves more than a 256th and a slice of the state is one of them.

The twin is fastpath.reference.fingerprints; the rules are in docs/campaigns.md.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from fastpath.arena cimport slab_alloc, slab_free, slab_release
from fastpath.changelog cimport (
    ENTRY_CORRUPT,
    ENTRY_DEL,
    ENTRY_FOUND,
    ENTRY_SET,
    EntryReader,
    EntryView,
    append_entry,
    free_entries,
    get_varint,
    next_entry,
    put_varint,
    reserve_entry_bytes,
    unzigzag,
    zigzag,
)
from fastpath.checksum cimport crc32c
from fastpath.hashes cimport blake2b, sip_key, siphash13, siphash128
from fastpath.posts cimport is_utf8

import hashlib

from fastpath.columns import Arrival, FoundRun, KeptSighting, Taken
from fastpath.errors import BuildError, CorruptImage
from fastpath.records import unpack_sightings
from fastpath.spec import (
    FINGERPRINT_TYPES,
    MAX_CAMPAIGN_RULES,
    MAX_TIME_MS,
    MIN_TIME_MS,
    TICKS,
)

cdef enum:
    HEADER = 48  # of a packed record; layout in records.pyx
    ENTRY = 80
    FIRST_CAPACITY = 4  # slots of a subtable
    SWEPT = 8  # slots looked at per sighting: a round over all is quicker than they can come
    DUE_SHIFT = 17  # stream time in units of 131 s: 32 bits reach from year 1 to 9999
    LISTED_KEPT = 16  # so many sightings are searched one by one
    AHEAD = 8  # sightings whose slots are fetched before they are needed

    COUNTED = 0  # what count_one returns
    FOUND = 1
    BROKEN = -1

cdef int64_t NO_TIME = INT64_MIN
cdef int64_t FIRST_TIME = MIN_TIME_MS
cdef int64_t LAST_TIME = MAX_TIME_MS

if TICKS != RUN_TICKS or MAX_CAMPAIGN_RULES != MAX_GATES or len(FINGERPRINT_TYPES) != TYPES:
    raise ImportError("fastpath.fingerprints was compiled with other limits than fastpath.spec has")

cdef extern from *:
    """
    typedef unsigned __int128 fastpath_u128;
    """
    ctypedef unsigned long long fastpath_u128
    int __builtin_clzll(unsigned long long value) noexcept nogil
    void __builtin_prefetch(const void* at) noexcept nogil


cdef inline uint16_t load16(const uint8_t* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return value


cdef inline uint32_t load32(const uint8_t* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return value


cdef inline int64_t load64(const uint8_t* at) noexcept nogil:
    cdef int64_t value
    memcpy(&value, at, 8)
    return value


cdef inline int64_t floor_divide(int64_t value, int64_t by) noexcept nogil:
    cdef int64_t quotient = value // by
    return quotient - 1 if value % by < 0 else quotient


cdef inline bint same(const Sip128* a, const Sip128* b) noexcept nogil:
    return a.first == b.first and a.second == b.second


cdef inline bint is_full(const void* entry) noexcept nogil:
    return (<const Lone*>entry).seen.state & IS_FULL


cdef inline uint8_t* account_of(const Seen* seen) noexcept nogil:
    return <uint8_t*>seen + sizeof(Seen)


cdef inline uint8_t* post_of(const Seen* seen) noexcept nogil:
    return <uint8_t*>seen + sizeof(Seen) + seen.account_size


cdef inline size_t seen_bytes(const Seen* seen) noexcept nogil:
    return sizeof(Seen) + <size_t>seen.account_size + seen.post_size


cdef inline int64_t placed(int64_t time) noexcept nogil:
    return FIRST_TIME if time < FIRST_TIME else LAST_TIME if time > LAST_TIME else time


include "runs.pxi"


# --- Time ----------------------------------------------------------------------------------------

cdef int64_t expires_at(const Table* t, const OfType* of, int64_t newest) noexcept nogil:
    """Return the stream time from which no run can read a sighting of that time."""
    cdef int64_t latest = INT64_MIN, at
    cdef size_t i
    for i in range(of.lengths):
        at = (floor_divide(newest, of.tick_ms[i]) + RUN_TICKS) * of.tick_ms[i]
        if at > latest:
            latest = at
    return latest + t.lateness_ms


cdef inline uint32_t due_of(int64_t expires) noexcept nogil:
    cdef uint64_t units = (<uint64_t>(expires - FIRST_TIME) >> DUE_SHIFT) + 1
    return UINT32_MAX if units > UINT32_MAX else <uint32_t>units


cdef inline uint32_t* held_counter(const OfType* of, int64_t tick) noexcept nogil:
    cdef int64_t place = tick % of.ring
    return of.held_at + (place + of.ring if place < 0 else place)


cdef void move_floors(Table* t) noexcept nogil:
    """Move every floor to stream time, and let go of what the longest runs no longer keep."""
    cdef OfType* of
    cdef int64_t kept_from = t.stream_time - t.lateness_ms, next_floor = INT64_MAX, at, tick
    cdef size_t i, j
    for i in range(TYPES):
        of = &t.types[i]
        for j in range(of.lengths):
            tick = floor_divide(kept_from, of.tick_ms[j])
            of.floors[j] = tick - RUN_TICKS + 1
            at = (tick + 1) * of.tick_ms[j] + t.lateness_ms
            if at < next_floor:
                next_floor = at
        if of.lengths > 0:
            drop_held(t, of, of.floors[of.lengths - 1])
    t.next_floor = next_floor


cdef void drop_held(Table* t, OfType* of, int64_t floor) noexcept nogil:
    cdef int64_t tick
    cdef uint32_t* counter
    if of.ring_floor != INT64_MIN:
        for tick in range(of.ring_floor, min(floor, of.ring_floor + of.ring)):
            counter = held_counter(of, tick)
            t.held -= counter[0]
            counter[0] = 0
    of.ring_floor = floor


cdef inline void move_time(Table* t, int64_t time) noexcept nogil:
    if time <= t.stream_time:
        return
    t.stream_time = time
    t.now = <uint32_t>(<uint64_t>(time - FIRST_TIME) >> DUE_SHIFT)
    if time >= t.next_floor:
        move_floors(t)


cdef inline void hold(Table* t, OfType* of, int64_t time) noexcept nogil:
    """Count a sighting as kept exactly by the longest run of its type."""
    held_counter(of, floor_divide(time, of.tick_ms[of.lengths - 1]))[0] += 1
    t.held += 1


# --- Slots ---------------------------------------------------------------------------------------

cdef inline uint32_t place_of(const Table* t, const Sip128* key) noexcept nogil:
    return <uint32_t>siphash13(&t.placement, key.first, key.second)


cdef inline Subtable* subtable_of(Table* t, const Sip128* key) noexcept nogil:
    return &t.subs[key.second & (SUBTABLES - 1)]


cdef Slot* find_slot(
    const Subtable* sub, uint32_t hash_, const Sip128* key, uint8_t type_
) noexcept nogil:
    """Return the slot of a fingerprint, or NULL."""
    cdef uint32_t mask = sub.capacity - 1, at = hash_ & mask
    cdef const Lone* entry
    if sub.capacity == 0:
        return NULL
    while True:
        entry = <const Lone*>sub.slots[at].entry
        if entry == NULL:
            return NULL
        if sub.slots[at].hash == hash_ and same(&entry.key, key) and entry.seen.type == type_:
            return &sub.slots[at]
        at = (at + 1) & mask


cdef bint resize(Subtable* sub, uint32_t capacity) noexcept nogil:
    cdef Slot* old = sub.slots
    cdef Slot* moved = <Slot*>calloc(capacity, sizeof(Slot))
    cdef uint32_t i, at
    if moved == NULL:
        return False
    for i in range(sub.capacity):
        if old[i].entry == NULL:
            continue
        at = old[i].hash & (capacity - 1)
        while moved[at].entry != NULL:
            at = (at + 1) & (capacity - 1)
        moved[at] = old[i]
    free(old)
    sub.slots = moved
    sub.capacity = capacity
    return True


cdef bint insert_slot(
    Table* t, Subtable* sub, uint32_t hash_, void* entry, uint32_t due
) noexcept nogil:
    """Place an entry that is not there yet; false when memory ran out."""
    cdef uint32_t at
    if 4 * (<uint64_t>sub.count + 1) > 3 * <uint64_t>sub.capacity:
        if not resize(sub, FIRST_CAPACITY if sub.capacity == 0 else 2 * sub.capacity):
            return False
    at = hash_ & (sub.capacity - 1)
    while sub.slots[at].entry != NULL:
        at = (at + 1) & (sub.capacity - 1)
    sub.slots[at].hash = hash_
    sub.slots[at].due = due
    sub.slots[at].entry = entry
    sub.count += 1
    t.entries += 1
    return True


cdef void remove_slot(Table* t, Subtable* sub, uint32_t hole) noexcept nogil:
    """Empty a slot and move later ones of its run back over it (no tombstones)."""
    cdef uint32_t mask = sub.capacity - 1, at = hole, home
    while True:
        at = (at + 1) & mask
        if sub.slots[at].entry == NULL:
            break
        home = sub.slots[at].hash & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            sub.slots[hole] = sub.slots[at]
            hole = at
    sub.slots[hole].entry = NULL
    sub.count -= 1
    t.entries -= 1


cdef void free_entry(Table* t, void* entry) noexcept nogil:
    cdef Lone* lone = <Lone*>entry
    if is_full(entry):
        free_full(t, <Full*>entry)
        slab_free(&t.slab, entry, sizeof(Full))
    else:
        slab_free(&t.slab, entry, sizeof(Sip128) + seen_bytes(&lone.seen))


cdef inline int64_t newest_of(const void* entry) noexcept nogil:
    return (<const Full*>entry).newest if is_full(entry) else (<const Lone*>entry).seen.time


cdef inline bint is_past(const Table* t, const void* entry) noexcept nogil:
    cdef const OfType* of = &t.types[(<const Lone*>entry).seen.type]
    return t.stream_time >= expires_at(t, of, newest_of(entry))


cdef void sweep(Table* t) noexcept nogil:
    """Look at a few slots and free what stream time has passed."""
    cdef Subtable* sub
    cdef Slot* slot
    cdef int _i
    for _i in range(SWEPT):
        sub = &t.subs[t.sweep_sub]
        if t.sweep_slot >= sub.capacity:
            if sub.capacity > FIRST_CAPACITY and 8 * <uint64_t>sub.count < sub.capacity:
                resize(sub, sub.capacity // 2)  # without memory it stays as it is
            t.sweep_sub = (t.sweep_sub + 1) & (SUBTABLES - 1)
            t.sweep_slot = 0
            continue
        slot = &sub.slots[t.sweep_slot]
        if slot.entry != NULL and slot.due <= t.now:
            if is_past(t, slot.entry):
                forget(t, slot.entry)
                free_entry(t, slot.entry)
                remove_slot(t, sub, t.sweep_slot)
                continue
            slot.due = due_of(
                expires_at(t, &t.types[(<Lone*>slot.entry).seen.type], newest_of(slot.entry))
            )
        t.sweep_slot += 1


# --- Counting ------------------------------------------------------------------------------------

cdef void fill_seen(Table* t, Seen* seen, const uint8_t* entry) noexcept nogil:
    """Write a packed sighting as it is kept."""
    seen.type = entry[2] - 1
    seen.state = 0
    seen.topic = t.topic
    seen.account_size = load16(entry + 76)
    seen.post_size = load16(entry + 78)
    seen.time = placed(load64(entry + 44))
    seen.created_at = load64(entry + 52)
    seen.offset = load64(entry + 64)
    seen.arrival = t.first_arrival + t.next
    memcpy(seen.digest, entry + 20, 16)
    seen.partition = load32(entry + 60)
    seen.revision = load32(entry + 72)
    memcpy(account_of(seen), entry + ENTRY, <size_t>seen.account_size + seen.post_size)


cdef inline size_t entry_ids(const uint8_t* entry) noexcept nogil:
    return <size_t>load16(entry + 76) + load16(entry + 78)


cdef bint is_same_seen(const Seen* seen, const uint8_t* entry) noexcept nogil:
    """Say whether a packed sighting is the very element that is kept."""
    return (
        seen.time == placed(load64(entry + 44))
        and seen.revision == load32(entry + 72)
        and seen.account_size == load16(entry + 76)
        and seen.post_size == load16(entry + 78)
        and memcmp(
            account_of(seen), entry + ENTRY, <size_t>seen.account_size + seen.post_size
        ) == 0
    )


cdef int count_first(
    Table* t, OfType* of, Subtable* sub, Slot* slot, uint32_t hash_, const Sip128* key,
    const uint8_t* entry,
) noexcept nogil:
    """Keep the first sighting of a fingerprint, in the slot of a retired one if it has one."""
    cdef size_t size = sizeof(Lone) + entry_ids(entry)
    cdef int64_t time = placed(load64(entry + 44))
    cdef Lone* lone
    if t.held >= t.max_sightings:
        t.refused += 1
        return COUNTED
    lone = <Lone*>slab_alloc(&t.slab, size)
    if lone == NULL:
        return BROKEN
    lone.key = key[0]
    fill_seen(t, &lone.seen, entry)
    lone.seen.state = IS_CHANGED
    if slot != NULL:
        forget(t, slot.entry)
        free_entry(t, slot.entry)
        slot.entry = lone
        slot.due = due_of(expires_at(t, of, time))
    elif not insert_slot(t, sub, hash_, lone, due_of(expires_at(t, of, time))):
        slab_free(&t.slab, lone, size)
        return BROKEN
    if not list_change(t, lone):
        return BROKEN
    hold(t, of, time)
    if of.need > 1:
        return COUNTED
    slot = find_slot(sub, hash_, key, lone.seen.type)
    t.full = unfold(t, lone)
    if t.full == NULL:
        return BROKEN
    slot.entry = t.full
    if not build_tracks(t, of, t.full):
        return BROKEN
    t.kept = 0
    return find_runs(t, of, t.full, time, <uint64_t>-1)


cdef int count_one(Table* t, const uint8_t* entry, uint32_t hash_) noexcept nogil:
    """Count one packed sighting; FOUND where it has runs to judge."""
    cdef int64_t time = placed(load64(entry + 44))
    cdef uint8_t type_ = entry[2] - 1
    cdef OfType* of = &t.types[type_]
    cdef Sip128 key
    cdef Subtable* sub
    cdef Slot* slot
    cdef Lone* lone
    move_time(t, time)
    sweep(t)
    if t.stream_time - time > t.lateness_ms:
        t.late += 1
        return COUNTED
    if of.lengths == 0:
        return COUNTED
    memcpy(&key, entry + 4, 16)
    sub = subtable_of(t, &key)
    slot = find_slot(sub, hash_, &key, type_)
    if slot == NULL or is_past(t, slot.entry):
        return count_first(t, of, sub, slot, hash_, &key, entry)
    lone = <Lone*>slot.entry
    if not is_full(lone):
        if is_same_seen(&lone.seen, entry):
            t.repeated += 1
            return COUNTED
        if t.held >= t.max_sightings and of.build_at > 1:
            t.refused += 1
            return COUNTED
        slot.entry = unfold(t, lone)
        if slot.entry == NULL:
            slot.entry = lone
            return BROKEN
    return count_again(t, of, <Full*>slot.entry, entry)


cdef int count_on(Table* t) noexcept nogil:
    """Count the sightings of the record at hand until one has runs to judge."""
    cdef const uint8_t* entry
    cdef Subtable* sub
    cdef uint32_t ahead
    cdef int status
    while t.next < t.count:
        ahead = t.next + AHEAD
        if ahead < t.count:
            sub = &t.subs[t.record[t.at[ahead] + 12]]
            if sub.capacity > 0:
                __builtin_prefetch(&sub.slots[t.hash[ahead] & (sub.capacity - 1)])
        entry = t.record + t.at[t.next]
        status = count_one(t, entry, t.hash[t.next])
        t.next += 1
        if status == BROKEN:
            t.broken = True
        if status != COUNTED:
            t.entry = entry
            return status
    return COUNTED


cdef bint grow_record(Table* t, size_t count) noexcept nogil:
    cdef void* grown
    if count <= t.capacity:
        return True
    grown = realloc(t.at, count * sizeof(uint32_t))
    if grown == NULL:
        return False
    t.at = <uint32_t*>grown
    grown = realloc(t.hash, count * sizeof(uint32_t))
    if grown == NULL:
        return False
    t.hash = <uint32_t*>grown
    t.capacity = count
    return True


cdef int index_record(Table* t, const uint8_t* at, size_t size) noexcept nogil:
    """Check a packed record as unpack_sightings does; false where that would refuse it."""
    cdef size_t pos, left, ids
    cdef uint32_t count, i
    cdef Sip128 key
    t.count = t.next = 0
    if size < HEADER or memcmp(at, b"WEIS\1\0", 6) != 0 or size > UINT32_MAX:
        return False
    if load32(at + 12) != crc32c(0, at + HEADER, size - HEADER):
        return False
    pos = HEADER + <size_t>load16(at + 6)
    count = load32(at + 8)
    if pos > size or count > (size - pos) // ENTRY or not is_utf8(at + HEADER, pos - HEADER):
        return False
    if not grow_record(t, count):
        return BROKEN
    for i in range(count):
        left = size - pos
        if left < ENTRY:
            return False
        ids = entry_ids(at + pos)
        if load16(at + pos) != ENTRY + ids or ENTRY + ids > left:
            return False
        if at[pos + 2] < 1 or at[pos + 2] > TYPES or at[pos + 3] != 0:
            return False
        if not are_utf8(at + pos):
            return False
        memcpy(&key, at + pos + 4, 16)
        t.at[i] = <uint32_t>pos
        t.hash[i] = place_of(t, &key)
        pos += ENTRY + ids
    if pos != size:
        return False
    t.record = at
    t.count = count
    t.sightings += count
    return True


cdef bint are_utf8(const uint8_t* entry) noexcept nogil:
    cdef size_t account_size = load16(entry + 76)
    return is_utf8(entry + ENTRY, account_size) and is_utf8(
        entry + ENTRY + account_size, load16(entry + 78)
    )


include "fingerprint_state.pxi"


# --- The table -----------------------------------------------------------------------------------

cdef str text_at(const uint8_t* at, size_t size):
    return PyBytes_FromStringAndSize(<const char*>at, <Py_ssize_t>size).decode()


cdef class FingerprintTable:
    """Hold the fingerprints of one partition of sightings.

    `begin` takes a record of packed sightings, `advance` counts on until one has runs to judge,
    `take` tells that a rule holds for one of these runs. Made and called by the correlate stage,
    one thread at a time; counting runs without the GIL and never raises but for memory.
    """

    cdef Table table
    cdef bytes key
    cdef bytes value  # keeps the record at hand alive
    cdef list topics
    cdef dict topic_index

    def __cinit__(self, spec, bytes placement_seed not None):
        cdef size_t i
        if len(placement_seed) != 16:
            raise BuildError("placement seed bytes", 16, len(placement_seed))
        sip_key(&self.table.placement, <const uint8_t*>PyBytes_AS_STRING(placement_seed))
        self.key = spec.deployment_key
        if len(self.key) > 64:
            raise BuildError("deployment key bytes", 64, len(self.key))
        naming = hashlib.blake2b(b"fingerprints", digest_size=16, key=self.key).digest()
        sip_key(&self.table.naming, <const uint8_t*>PyBytes_AS_STRING(naming))
        self.table.account_key = <const uint8_t*>PyBytes_AS_STRING(self.key)
        self.table.account_key_size = <size_t>len(self.key)
        self.table.lateness_ms = spec.lateness_ms
        self.table.stream_time = NO_TIME
        self.table.next_floor = INT64_MIN
        self.table.max_sightings = spec.max_sightings
        self.table.exact = spec.exact_sightings
        self.topics = []
        self.topic_index = {}
        for i in range(TYPES):
            self.add_type(i, [
                (index, gate) for index, gate in enumerate(spec.gates)
                if FINGERPRINT_TYPES.index(gate.type) == i
            ])

    def __dealloc__(self):
        cdef size_t i, j
        for i in range(SUBTABLES):
            for j in range(self.table.subs[i].capacity):
                if self.table.subs[i].slots[j].entry != NULL:
                    free_entry(&self.table, self.table.subs[i].slots[j].entry)
            free(self.table.subs[i].slots)
        for i in range(TYPES):
            for j in range(self.table.types[i].gate_count):
                free(self.table.types[i].gates[j].corner)
            free(self.table.types[i].gates)
            free(self.table.types[i].tick_ms)
            free(self.table.types[i].floors)
            free(self.table.types[i].held_at)
        slab_release(&self.table.slab)
        free(self.table.at)
        free(self.table.hash)
        free(self.table.changed)
        free_entries(&self.table.gone)

    cdef add_type(self, size_t index, list numbered):
        """Lay out the lengths and gates of one type of fingerprint."""
        cdef OfType* of = &self.table.types[index]
        cdef size_t i
        if not numbered:
            return
        if len(numbered) > MAX_GATES:
            raise BuildError("campaign rules of one type", MAX_GATES, len(numbered))
        lengths = sorted({gate.over_ms for _, gate in numbered})
        identities = [gate.identity for _, gate in numbered]
        if len(set(identities)) != len(identities) or any(len(each) != 8 for each in identities):
            raise BuildError("rule identities of 8 bytes, each once", 8, identities)
        of.tick_ms = <int64_t*>calloc(<size_t>len(lengths), sizeof(int64_t))
        of.floors = <int64_t*>calloc(<size_t>len(lengths), sizeof(int64_t))
        of.gates = <RunGate*>calloc(<size_t>len(numbered), sizeof(RunGate))
        if of.tick_ms == NULL or of.floors == NULL or of.gates == NULL:
            raise MemoryError
        for i in range(<size_t>len(lengths)):
            of.tick_ms[i] = lengths[i] // TICKS
            if of.tick_ms[i] < 1:
                raise BuildError("ms of a run, at least", TICKS, lengths[i])
        of.lengths = <size_t>len(lengths)
        of.ring = self.table.lateness_ms // of.tick_ms[of.lengths - 1] + RUN_TICKS + 2
        of.ring_floor = INT64_MIN
        of.held_at = <uint32_t*>calloc(<size_t>of.ring, sizeof(uint32_t))
        if of.held_at == NULL:
            raise MemoryError
        of.need = UINT32_MAX
        order = sorted(range(len(numbered)), key=lambda each: numbered[each][1].over_ms)
        for i in range(<size_t>len(numbered)):
            number, gate = numbered[order[i]]
            self.add_gate(of, number, gate, order[i], lengths.index(gate.over_ms))
        of.build_at = min(of.need, LISTED_KEPT + 1, self.table.exact)
        for i in range(<size_t>len(identities)):
            of.identity[i] = int.from_bytes(identities[i], "little")
        of.identities = <uint32_t>len(identities)

    cdef add_gate(self, OfType* of, uint32_t number, gate, int bit, uint32_t length):
        cdef RunGate* made = &of.gates[of.gate_count]
        cdef uint32_t accounts, sightings
        made.corner = <GateCorner*>calloc(<size_t>len(gate.corners) + 1, sizeof(GateCorner))
        if made.corner == NULL:
            raise MemoryError
        of.gate_count += 1
        made.index = number
        made.length = length
        made.bit = <uint64_t>1 << bit
        for accounts, sightings in gate.corners:
            made.corner[made.corners].accounts = accounts
            made.corner[made.corners].sightings = sightings
            made.corners += 1
            of.need = min(of.need, max(accounts, sightings, 1))

    @property
    def late(self):
        """Return how many sightings came too late to count."""
        return self.table.late

    @property
    def repeated(self):
        """Return how many sightings were the very same as one that is kept."""
        return self.table.repeated

    @property
    def refused(self):
        """Return how many sightings found the table full."""
        return self.table.refused

    @property
    def sightings(self):
        """Return how many sightings were read."""
        return self.table.sightings

    @property
    def stream_time(self):
        """Return the greatest origin time seen, ms; INT64_MIN before the first."""
        return self.table.stream_time

    @property
    def memory_bytes(self):
        """Return the bytes of slots and sightings; indexes and runs of crowds come on top."""
        cdef size_t i
        cdef uint64_t slots = 0
        for i in range(SUBTABLES):
            slots += self.table.subs[i].capacity
        return slots * sizeof(Slot) + self.table.slab.used

    def __len__(self):
        """Return the fingerprints in memory, those included that are past and not yet freed."""
        return <Py_ssize_t>self.table.entries

    def begin(self, bytes value not None, long long offset):
        """Take a record, whose offset orders what it holds; CorruptImage if it does not unpack."""
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(value)
        cdef size_t size = <size_t>PyBytes_GET_SIZE(value)
        cdef int status
        if self.table.recount:
            recount(&self.table)
        self.table.full = NULL
        with nogil:
            status = index_record(&self.table, at, size)
        if status == BROKEN:
            raise MemoryError
        if not status:
            unpack_sightings(value)  # says what is wrong
            raise AssertionError("a record unpacks that the table refuses")
        self.value = value
        self.table.first_arrival = <int64_t>(<uint64_t>offset << 16)
        self.table.topic = self.topic_of(value[HEADER:HEADER + load16(at + 6)])

    cdef uint16_t topic_of(self, bytes name) except? 65535:
        """Number an origin topic; there is one, and another after a reconfiguration."""
        index = self.topic_index.get(name)
        if index is None:
            if len(self.topics) == 65535:
                raise MemoryError("65,535 origin topics in one table")
            index = self.topic_index[name] = len(self.topics)
            self.topics.append(name.decode())
        return index

    def advance(self):
        """Count sightings until one of them has runs to judge; None at the end of the record."""
        cdef int status
        with nogil:
            status = count_on(&self.table)
        if self.table.broken:
            raise MemoryError
        return self.arrival() if status == FOUND else None

    cdef object arrival(self):
        cdef FoundAt* found
        cdef Table* t = &self.table
        cdef uint32_t i
        cdef int64_t tick_ms
        runs = []
        for i in range(t.found_count):
            found = &t.found[i]
            tick_ms = t.types[t.full.type].tick_ms[found.gate.length]
            runs.append(
                FoundRun(
                    found.gate.index,
                    found.first * tick_ms,
                    (found.first + RUN_TICKS) * tick_ms,
                    found.accounts,
                    found.sightings,
                    bool(found.sketched),
                    bool(found.held),
                )
            )
        return Arrival(
            FINGERPRINT_TYPES[t.full.type],
            PyBytes_FromStringAndSize(<const char*>&t.full.key, 16),
            self.shown_entry(),
            tuple(runs),
        )

    cdef object shown_entry(self):
        """Show the sighting that arrived, kept or not."""
        cdef const uint8_t* entry = self.table.entry
        cdef size_t account_size = load16(entry + 76)
        cdef int64_t created = load64(entry + 52)
        return KeptSighting(
            text_at(entry + ENTRY, account_size),
            None if created == INT64_MIN else created,
            text_at(entry + ENTRY + account_size, load16(entry + 78)),
            load32(entry + 72),
            placed(load64(entry + 44)),
            PyBytes_FromStringAndSize(<const char*>entry + 20, 16),
            self.topics[self.table.topic],
            load32(entry + 60),
            load64(entry + 64),
        )

    cdef object shown(self, const Seen* seen):
        return KeptSighting(
            text_at(account_of(seen), seen.account_size),
            None if seen.created_at == INT64_MIN else seen.created_at,
            text_at(post_of(seen), seen.post_size),
            seen.revision,
            seen.time,
            PyBytes_FromStringAndSize(<const char*>seen.digest, 16),
            self.topics[seen.topic],
            seen.partition,
            seen.offset,
        )

    def take(self, uint32_t index):
        """Mark that a rule holds for a run of the arrival at hand; None if all of it is told.

        `index` counts in Arrival.runs. Raises IndexError where there is no such run.
        """
        cdef Table* t = &self.table
        cdef Full* full = t.full
        cdef FoundAt* found
        cdef Track* track
        cdef Run* run
        cdef uint64_t bit, done
        cdef bint held, opens
        if full == NULL or index >= t.found_count:
            raise IndexError(f"run {index} of an arrival with {t.found_count}")
        found = &t.found[index]
        track = &full.tracks[found.gate.length]
        run = &track.runs[find_run(track, found.first)]
        bit = found.gate.bit
        held = run.held & bit
        done = t.done if t.kept < 0 else full.kept[t.kept].done
        if held and done & bit:
            return None
        opens = not full.opened & bit
        run.held |= bit
        full.opened |= bit
        if not held or opens:
            full.state |= IS_CHANGED
            if not list_change(t, full):
                raise MemoryError
        if held or found.sketched:
            return self.take_arrived(bit, opens)
        return self.take_run(found, bit, opens)

    cdef object take_arrived(self, uint64_t bit, bint opens):
        """Bring out the sighting that arrived."""
        cdef Table* t = &self.table
        cdef uint64_t* done = &t.done if t.kept < 0 else &t.full.kept[t.kept].done
        shown = [self.shown_entry()]
        new = shown if not done[0] & bit else []
        self.mark(done, t.kept, bit)
        return Taken(opens, shown if opens else [], new)

    cdef object take_run(self, const FoundAt* found, uint64_t bit, bint opens):
        """Bring out the sightings of a run by tick, then arrival."""
        cdef Full* full = self.table.full
        cdef int64_t tick_ms = self.table.types[full.type].tick_ms[found.gate.length], tick
        cdef uint32_t i
        cdef bint is_new
        by_tick = [[] for _ in range(RUN_TICKS)]
        for i in range(full.count):
            is_new = not full.kept[i].done & bit
            if not is_new and not opens:
                continue
            tick = floor_divide(full.kept[i].seen.time, tick_ms) - found.first
            if tick < 0 or tick >= RUN_TICKS:
                continue
            by_tick[tick].append((self.shown(full.kept[i].seen), is_new))
            if is_new:
                self.mark(&full.kept[i].done, i, bit)
        told = [each for of_tick in by_tick for each in of_tick]
        shown = [sighting for sighting, _ in told] if opens else []
        return Taken(opens, shown, [sighting for sighting, is_new in told if is_new])

    cdef int mark(self, uint64_t* done, int64_t kept, uint64_t bit) except -1:
        done[0] |= bit
        if kept >= 0:
            self.table.full.kept[kept].seen.state |= IS_CHANGED
            if not list_change(&self.table, self.table.full):
                raise MemoryError
        return 0

    def changes(self):
        """Drain what changed since the last call, or since the table was made: packed entries.

        Before the first call nothing is listed, so that a table without a changelog pays nothing
        for it: the first one writes all that there is.
        """
        cdef EntryBuffer out
        cdef Writer w
        cdef bytes deleted
        cdef list names = self.start_writing(&w, &out)
        cdef size_t i
        cdef uint32_t j
        cdef bint whole = True
        try:
            with nogil:
                if self.table.recording:
                    write_changes(&self.table, &w)
                else:
                    for i in range(SUBTABLES):
                        whole = whole and write_slice(&self.table, &w, &self.table.subs[i])
                        for j in range(self.table.subs[i].capacity):
                            if self.table.subs[i].slots[j].entry != NULL:
                                mark_written(&self.table, self.table.subs[i].slots[j].entry)
            self.table.recording = True
            if self.table.gone.broken:
                raise MemoryError
            deleted = PyBytes_FromStringAndSize(
                <const char*>self.table.gone.data, <Py_ssize_t>self.table.gone.size
            )
            self.table.gone.size = 0
            return deleted + self.written(&w, whole)
        finally:
            self.end_writing(&w, names)

    def snapshot(self, int slice_):
        """Pack what is live of a slice: the keys whose first byte it is, 0 to 255."""
        cdef EntryBuffer out
        cdef Writer w
        cdef list names = self.start_writing(&w, &out)
        cdef bint whole
        try:
            with nogil:
                whole = write_slice(&self.table, &w, &self.table.subs[slice_ & 0xFF])
            return self.written(&w, whole)
        finally:
            self.end_writing(&w, names)

    cdef list start_writing(self, Writer* w, EntryBuffer* out):
        """Point a writer at the topics' names; the list keeps them alive."""
        cdef size_t i
        cdef bytes name
        memset(w, 0, sizeof(Writer))
        memset(out, 0, sizeof(EntryBuffer))
        w.out = out
        names = [topic.encode() for topic in self.topics]
        w.topics = <TopicName*>malloc((<size_t>len(names) + 1) * sizeof(TopicName))
        if w.topics == NULL:
            raise MemoryError
        for i in range(<size_t>len(names)):
            name = names[i]
            w.topics[i].data = <const uint8_t*>PyBytes_AS_STRING(name)
            w.topics[i].size = <size_t>len(name)
        return names

    cdef bytes written(self, Writer* w, bint whole):
        if not whole or w.out.broken or w.value.broken:
            raise MemoryError
        return PyBytes_FromStringAndSize(<const char*>w.out.data, <Py_ssize_t>w.out.size)

    cdef void end_writing(self, Writer* w, list names):
        free_entries(w.out)
        free_entries(&w.value)
        free(w.topics)

    def restore(self, long long stream_time, bytes entries not None):
        """Apply packed entries of a delta or a slice, whose record had this stream time.

        What is applied here does not come out of `changes`. Raises CorruptImage where an entry is
        malformed; the table is then worthless.
        """
        cdef EntryReader reader
        cdef EntryView entry
        cdef int status
        self.table.recording = True
        self.table.recount = True
        self.table.full = NULL
        move_time(&self.table, placed(stream_time) if stream_time != NO_TIME else NO_TIME)
        reader.at = <const uint8_t*>PyBytes_AS_STRING(entries)
        reader.end = reader.at + PyBytes_GET_SIZE(entries)
        status = next_entry(&reader, &entry)
        while status == ENTRY_FOUND:
            self.restore_one(&entry)
            status = next_entry(&reader, &entry)
        if status == ENTRY_CORRUPT:
            raise CorruptImage("fingerprints: a state entry is cut or malformed")

    cdef int restore_one(self, const EntryView* entry) except -1:
        cdef Reader r
        cdef Sip128 key
        cdef const uint8_t* at
        cdef uint8_t kind, type_
        cdef bint whole = True
        r.at = entry.value
        r.end = entry.value + entry.size
        r.broken = False
        at = get_bytes(&r, 2)
        if at == NULL or at[1] >= TYPES:
            raise CorruptImage(f"fingerprints: a state entry of {entry.size} bytes has no type")
        kind, type_ = at[0], at[1]
        if entry.op == ENTRY_DEL:
            swap_halves(&key, &entry.key)
            self.forget_marks(type_, &key)
            return 0
        at = get_bytes(&r, 16)
        if at == NULL or kind not in (ONE_SIGHTING, MARKS, ONE_SKETCH):
            raise CorruptImage(f"fingerprints: a state entry of kind {kind}")
        memcpy(&key, at, 16)
        if self.table.types[type_].lengths == 0:
            return 0  # no rule in force reads this type
        if kind == ONE_SIGHTING:
            whole = self.restore_seen(&r, type_, &key)
        elif kind == MARKS:
            whole = restore_marks(&self.table, &r, type_, &key)
        else:
            whole = restore_sketch(&self.table, &r, type_, &key)
        if r.broken:
            raise CorruptImage(f"fingerprints: a state entry of kind {kind} is malformed")
        if not whole:
            raise MemoryError
        return 0

    cdef bint restore_seen(self, Reader* r, uint8_t type_, const Sip128* key) except -1:
        cdef Seen head
        cdef uint64_t created
        cdef uint16_t size
        cdef const uint8_t* at
        memset(&head, 0, sizeof(Seen))
        head.time = placed(unzigzag(get_number(r)))
        created = get_number(r)
        head.created_at = INT64_MIN if created == 0 else unzigzag(created - 1)
        head.arrival = <int64_t>get_number(r)
        head.offset = unzigzag(get_number(r))
        head.partition = get_bounded(r, UINT32_MAX)
        head.revision = get_bounded(r, UINT32_MAX)
        at = get_bytes(r, 16)
        if at != NULL:
            memcpy(head.digest, at, 16)
        at = get_text(r, &size)
        if r.broken:
            return True
        name = PyBytes_FromStringAndSize(<const char*>at, size)
        return restore_sighting(&self.table, r, type_, key, self.topic_of(name), &head)

    cdef void forget_marks(self, uint8_t type_, const Sip128* key):
        cdef Slot* slot = find_slot(
            subtable_of(&self.table, key), place_of(&self.table, key), key, type_
        )
        if slot != NULL and is_full(slot.entry):
            clear_marks(&self.table.types[type_], <Full*>slot.entry)

    def clear(self, int slice_):
        """Forget every fingerprint of a slice: a newer snapshot of it follows."""
        cdef Subtable* sub = &self.table.subs[slice_ & 0xFF]
        cdef uint32_t i
        self.table.recount = True
        self.table.full = NULL
        for i in range(sub.capacity):
            if sub.slots[i].entry != NULL:
                free_entry(&self.table, sub.slots[i].entry)
        free(sub.slots)
        self.table.entries -= sub.count
        memset(sub, 0, sizeof(Subtable))
