# Count the sightings of a packed record. Included by fingerprints.pyx.

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
    if not build_tracks(t, t.full):
        return BROKEN
    t.kept = 0
    return find_runs(t, of, t.full, time, <uint64_t>-1)


cdef bint make_current(Table* t, OfType* of, Full* full) noexcept nogil:
    """Retire what has passed; what is freed lags behind, by half at most."""
    cdef size_t i
    cdef uint32_t live = 0
    if full.state & IS_STALE:
        sort_by_arrival(full)
        full.state &= ~<uint8_t>IS_STALE
        if full.tracks != NULL or full.by_identity != NULL:
            return build_tracks(t, full)
    if full.tracks == NULL:
        for i in range(full.count):
            if not is_kept(t, full, full.kept[i].seen):
                drop_past(t, full)
                break
        return True
    retire_all(t, full)
    for i in range(of.lengths):
        if not full.tracks[i].sketched:
            live = max(live, full.tracks[i].size)
    return full.count <= 2 * live + LISTED_KEPT or count_anew(t, full)


cdef int count_again(Table* t, OfType* of, Full* full, const uint8_t* entry) noexcept nogil:
    """Count one more sighting of a fingerprint; FOUND where it has runs to judge."""
    cdef size_t size = sizeof(Seen) + entry_ids(entry), i
    cdef Track* longest
    cdef Seen* seen
    cdef bint exact = False, twice = False, sketched = False
    if not make_current(t, of, full):
        return BROKEN
    if full.tracks == NULL and full.count + 1 >= of.build_at:
        if not build_tracks(t, full):
            return BROKEN
    seen = <Seen*>slab_alloc(&t.slab, size)
    if seen == NULL:
        return BROKEN
    fill_seen(t, seen, entry)
    seen.state = IS_CHANGED
    if full.count == full.capacity and not reserve_kept(t, full, 2 * full.capacity + 2):
        slab_free(&t.slab, seen, size)
        return BROKEN
    append_kept(t, full, seen)
    full.count -= 1  # not before it is known to be new
    t.kept = -1
    t.done = 0
    for i in range(of.lengths):
        exact |= full.tracks == NULL or not full.tracks[i].sketched
        sketched |= full.tracks != NULL and full.tracks[i].sketched
    twice = exact and find_twice(full, full.count) < full.count
    if twice and not sketched:
        t.repeated += 1
        slab_free(&t.slab, seen, size)
        return COUNTED
    longest = NULL if full.tracks == NULL else &full.tracks[of.lengths - 1]
    if not twice and t.held >= t.max_sightings and (
        longest == NULL or not (longest.sketched or longest.size >= t.exact)
    ):
        t.refused += 1
        slab_free(&t.slab, seen, size)
        return COUNTED
    return count_new(t, of, full, entry, seen, twice)


cdef int count_new(
    Table* t, OfType* of, Full* full, const uint8_t* entry, Seen* seen, bint twice
) noexcept nogil:
    """Count a sighting that no exact count holds yet, or that sketches count again (`twice`)."""
    cdef size_t size = seen_bytes(seen), i
    cdef uint32_t index = full.count
    cdef uint64_t counted = 0
    cdef int64_t time = seen.time
    cdef bint exact = full.tracks == NULL
    if not twice and full.tracks != NULL:
        for i in range(of.lengths):
            if not full.tracks[i].sketched and full.tracks[i].size >= t.exact:
                if not sketch_all(t, of, full, i):
                    return BROKEN
            exact |= not full.tracks[i].sketched
    if twice or not exact:
        slab_free(&t.slab, seen, size)
        full.newest = max(full.newest, time)
        if not exact and not twice:
            free_kept(t, full)
    else:
        full.count += 1
        full.newest = max(full.newest, time)
        t.kept = index
        if full.tracks == NULL or not full.tracks[of.lengths - 1].sketched:
            hold(t, of, time)
    if not list_change(t, full):
        return BROKEN
    if full.tracks == NULL:
        return COUNTED
    if t.kept >= 0:
        if not is_index_full(full, full.count):
            index_kept(full, index)
        elif not new_index(full, full.count):
            return BROKEN
        start_account(of, full, index)
    for i in range(of.lengths):
        if full.tracks[i].sketched:
            if not count_sketched(t, of, &full.tracks[i], i, entry):
                return BROKEN
        elif t.kept < 0:
            continue
        elif not count_exactly(of, full, i, index):
            return BROKEN
        counted |= <uint64_t>1 << i
    return find_runs(t, of, full, time, counted)


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
