# Where fingerprints stand, and when stream time has passed them. Included by fingerprints.pyx.

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
