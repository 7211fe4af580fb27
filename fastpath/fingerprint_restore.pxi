# Read packed entries of fingerprints back. Included by fingerprints.pyx; format in
# fingerprint_state.pxi.

cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    bint broken  # malformed: what was read since is worthless


cdef uint64_t get_number(Reader* r) noexcept nogil:
    cdef uint64_t value = 0
    cdef const uint8_t* after
    if r.broken:
        return 0
    after = get_varint(r.at, r.end, &value)
    if after == NULL:
        r.broken = True
        return 0
    r.at = after
    return value


cdef const uint8_t* get_bytes(Reader* r, size_t size) noexcept nogil:
    cdef const uint8_t* at = r.at
    if r.broken or size > <size_t>(r.end - r.at):
        r.broken = True
        return NULL
    r.at += size
    return at


cdef uint32_t get_bounded(Reader* r, uint64_t most) noexcept nogil:
    cdef uint64_t value = get_number(r)
    if value > most:
        r.broken = True
        return 0
    return <uint32_t>value


cdef const uint8_t* get_text(Reader* r, uint16_t* size) noexcept nogil:
    cdef const uint8_t* at
    size[0] = <uint16_t>get_bounded(r, 65535)
    at = get_bytes(r, size[0])
    if at == NULL or not is_utf8(at, size[0]):
        r.broken = True
    return at


cdef uint32_t get_rules(Reader* r, OfType* of, uint64_t* bits) noexcept nogil:
    """Read rules; each gets its bit, or one of its own if the bundle at hand lacks it."""
    cdef uint32_t count = get_bounded(r, MAX_GATES), i, j
    cdef uint64_t identity
    cdef const uint8_t* at
    for i in range(count):
        at = get_bytes(r, 8)
        if at == NULL:
            return 0
        memcpy(&identity, at, 8)
        for j in range(of.identities):
            if of.identity[j] == identity:
                break
        else:
            j = of.identities
            if j < MAX_GATES:
                of.identity[j] = identity
                of.identities += 1
        # Past 64 rules of many bundles the oldest marks are not carried on.
        bits[i] = <uint64_t>1 << j if j < MAX_GATES else 0
    return count


cdef uint64_t get_mask(Reader* r, const uint64_t* bits, uint32_t count) noexcept nogil:
    cdef uint64_t mask = get_number(r), found = 0
    cdef uint32_t i
    for i in range(count):
        if mask >> i & 1:
            found |= bits[i]
    if count < 64 and mask >> count != 0:
        r.broken = True
    return found


cdef Full* full_at(Table* t, const Sip128* key, uint8_t type_) noexcept nogil:
    """Return a fingerprint, made if need be, to restore parts of; NULL when memory ran out."""
    cdef Subtable* sub = subtable_of(t, key)
    cdef uint32_t hash_ = place_of(t, key)
    cdef Slot* slot = find_slot(sub, hash_, key, type_)
    cdef Full* full
    if slot != NULL and is_full(slot.entry):
        return <Full*>slot.entry
    if slot != NULL:
        full = unfold(t, <Lone*>slot.entry)
        if full != NULL:
            slot.entry = full
        return full
    full = new_full(t, key, type_)
    if full == NULL:
        return NULL
    if not insert_slot(t, sub, hash_, full, 0):
        slab_free(&t.slab, full, sizeof(Full))
        return NULL
    return full


cdef const uint8_t* get_head(Reader* r, Seen* head, uint16_t* topic_size) noexcept nogil:
    """Read the fixed part of a sighting; return its topic, behind which the account stands."""
    cdef uint64_t created
    cdef const uint8_t* digest
    memset(head, 0, sizeof(Seen))
    head.time = placed(unzigzag(get_number(r)))
    created = get_number(r)
    head.created_at = INT64_MIN if created == 0 else unzigzag(created - 1)
    head.arrival = <int64_t>get_number(r)
    head.offset = unzigzag(get_number(r))
    head.partition = get_bounded(r, UINT32_MAX)
    head.revision = get_bounded(r, UINT32_MAX)
    digest = get_bytes(r, 16)
    if digest != NULL:
        memcpy(head.digest, digest, 16)
    return get_text(r, topic_size)


cdef bint restore_sighting(
    Table* t, Reader* r, uint8_t type_, const Sip128* key, uint16_t topic, Seen* head,
) noexcept nogil:
    """Keep a sighting, or what is new of one that is kept; false when memory ran out.

    `head` has the fixed part; the reader stands at the account.
    """
    cdef const uint8_t* account = get_text(r, &head.account_size)
    cdef const uint8_t* post = get_text(r, &head.post_size)
    cdef uint64_t[MAX_GATES] bits
    cdef uint64_t done = 0
    cdef uint32_t rules = get_rules(r, &t.types[type_], bits), i
    cdef Subtable* sub = subtable_of(t, key)
    cdef Seen* seen
    cdef Lone* lone
    cdef uint32_t hash_ = place_of(t, key)
    cdef size_t ids = <size_t>head.account_size + head.post_size
    if r.broken or r.at != r.end:
        r.broken = True
        return True
    for i in range(rules):
        done |= bits[i]
    head.type = type_
    head.state = 0
    head.topic = topic
    if done == 0 and find_slot(sub, hash_, key, type_) == NULL:
        lone = <Lone*>slab_alloc(&t.slab, sizeof(Lone) + ids)
        if lone == NULL:
            return False
        lone.key = key[0]
        lone.seen = head[0]
        memcpy(account_of(&lone.seen), account, head.account_size)
        memcpy(post_of(&lone.seen), post, head.post_size)
        return insert_slot(t, sub, hash_, lone, 0)
    seen = <Seen*>slab_alloc(&t.slab, sizeof(Seen) + ids)
    if seen == NULL:
        return False
    seen[0] = head[0]
    memcpy(account_of(seen), account, head.account_size)
    memcpy(post_of(seen), post, head.post_size)
    return restore_again(t, key, seen, done)


cdef bint restore_again(Table* t, const Sip128* key, Seen* seen, uint64_t done) noexcept nogil:
    """Keep one more sighting of a fingerprint, or the rules that have judged a kept one."""
    cdef Full* full = full_at(t, key, seen.type)
    cdef uint32_t same_at
    if full == NULL or (
        full.count == full.capacity and not reserve_kept(t, full, 2 * full.capacity + 2)
    ):
        slab_free(&t.slab, seen, seen_bytes(seen))
        return False
    full.state |= IS_STALE
    append_kept(t, full, seen)
    full.count -= 1
    same_at = find_twice(full, full.count)
    if same_at < full.count:
        seen.state = full.kept[same_at].seen.state
        slab_free(&t.slab, full.kept[same_at].seen, seen_bytes(full.kept[same_at].seen))
        full.kept[same_at].seen = seen
        full.kept[same_at].done = done
        return True
    full.kept[full.count].done = done
    full.count += 1
    full.newest = max(full.newest, seen.time)
    # A table that has judged indexes sightings however few: what it restores must be found there.
    if full.by_identity == NULL and full.count <= LISTED_KEPT:
        return True
    if not is_index_full(full, full.count):
        index_kept(full, full.count - 1)
        return True
    return new_index(full, full.count)


cdef ssize_t length_of(const OfType* of, uint64_t over_ms) noexcept nogil:
    """Find a length of run, -1 where no rule reads it any more."""
    cdef size_t i
    for i in range(of.lengths):
        if <uint64_t>of.tick_ms[i] * RUN_TICKS == over_ms:
            return <ssize_t>i
    return -1


cdef bint is_tick(const OfType* of, ssize_t length, int64_t tick) noexcept nogil:
    """Say whether a tick is one that a time can have, or the first of a run with such a one."""
    return (
        tick >= floor_divide(FIRST_TIME, of.tick_ms[length]) - RUN_TICKS
        and tick <= floor_divide(LAST_TIME, of.tick_ms[length])
    )


cdef void clear_marks(const OfType* of, Full* full) noexcept nogil:
    cdef size_t i
    cdef uint32_t j
    full.opened = 0
    if full.tracks != NULL:
        for i in range(of.lengths):
            for j in range(full.tracks[i].count):
                full.tracks[i].runs[j].held = 0


cdef void forget_marks(Table* t, uint8_t type_, const Sip128* key) noexcept nogil:
    cdef Slot* slot = find_slot(subtable_of(t, key), place_of(t, key), key, type_)
    if slot != NULL and is_full(slot.entry):
        clear_marks(&t.types[type_], <Full*>slot.entry)


cdef bint restore_marks(Table* t, Reader* r, uint8_t type_, const Sip128* key) noexcept nogil:
    """Set the marks of a fingerprint; false when memory ran out."""
    cdef OfType* of = &t.types[type_]
    cdef Full* full = full_at(t, key, type_)
    cdef uint64_t[MAX_GATES] bits
    cdef uint32_t rules, held
    cdef ssize_t length
    cdef int64_t first
    cdef uint64_t mask
    cdef Run* run
    if full == NULL or not make_tracks(t, full):
        return False
    full.state |= IS_STALE
    clear_marks(of, full)
    rules = get_rules(r, of, bits)
    full.opened = get_mask(r, bits, rules)
    while not r.broken and r.at != r.end:
        length = length_of(of, get_number(r))
        held = get_bounded(r, UINT32_MAX)
        while held > 0 and not r.broken:
            held -= 1
            first = unzigzag(get_number(r))
            mask = get_mask(r, bits, rules)
            if r.broken or length < 0:
                continue
            if not is_tick(of, length, first):
                r.broken = True
                continue
            run = ensure_runs(&full.tracks[length], first, first)
            if run == NULL:
                return False
            run.held = mask
    return True


cdef bint restore_sketch(Table* t, Reader* r, uint8_t type_, const Sip128* key) noexcept nogil:
    """Set the sketch of a tick; false when memory ran out."""
    cdef OfType* of = &t.types[type_]
    cdef ssize_t length = length_of(of, get_number(r))
    cdef int64_t tick = unzigzag(get_number(r))
    cdef uint32_t sightings = get_bounded(r, UINT32_MAX)
    cdef const uint8_t* registers = get_bytes(r, REGISTERS)
    cdef Full* full
    cdef Track* track
    cdef Run* run
    cdef uint32_t i
    if r.broken or r.at != r.end or sightings == 0:
        r.broken = True
        return True
    if length < 0:
        return True
    for i in range(REGISTERS):
        if registers[i] > HASH_BITS + 1:
            r.broken = True
            return True
    full = full_at(t, key, type_)
    if not is_tick(of, length, tick):
        r.broken = True
        return True
    if full == NULL or not make_tracks(t, full):
        return False
    track = &full.tracks[length]
    run = ensure_runs(track, tick, tick)
    if run == NULL or (run.registers == NULL and not give_registers(t, run)):
        return False
    memcpy(run.registers, registers, REGISTERS)
    if not track.sketched:
        let_go(full, track)
    track.size += sightings - run.at_tick
    run.at_tick = sightings
    run.changed = False
    full.state |= IS_STALE
    full.newest = max(full.newest, tick * of.tick_ms[length])
    return True


cdef void let_go(Full* full, Track* track) noexcept nogil:
    """Take back exact counts: this length is past the cap."""
    cdef uint32_t i
    for i in range(track.count):
        track.runs[i].at_tick = 0
    track.size = 0
    track.sketched = True


cdef void recount(Table* t) noexcept nogil:
    """Count anew what is kept exactly by the longest runs."""
    cdef OfType* of
    cdef size_t i
    cdef uint32_t j
    t.recount = False
    t.held = 0
    for i in range(TYPES):
        of = &t.types[i]
        if of.lengths > 0:
            memset(of.held_at, 0, <size_t>of.ring * sizeof(uint32_t))
            of.ring_floor = of.floors[of.lengths - 1]
    for i in range(SUBTABLES):
        for j in range(t.subs[i].capacity):
            if t.subs[i].slots[j].entry != NULL:
                recount_entry(t, t.subs[i].slots[j].entry)


cdef void recount_entry(Table* t, void* entry) noexcept nogil:
    cdef const Lone* lone = <const Lone*>entry
    cdef Full* full = <Full*>entry
    cdef OfType* of = &t.types[lone.seen.type]
    cdef size_t longest = of.lengths - 1
    cdef uint32_t i
    if not is_full(entry):
        if floor_divide(lone.seen.time, of.tick_ms[longest]) >= of.floors[longest]:
            hold(t, of, lone.seen.time)
        return
    retire_all(t, full)
    if full.tracks != NULL and full.tracks[longest].sketched:
        return
    for i in range(full.count):
        if floor_divide(full.kept[i].seen.time, of.tick_ms[longest]) >= of.floors[longest]:
            hold(t, of, full.kept[i].seen.time)
