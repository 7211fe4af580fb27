# Runs of eight ticks of one fingerprint, exactly or by sketch. Included by fingerprints.pyx.

# --- Runs by first tick --------------------------------------------------------------------------

cdef uint32_t find_run(const Track* track, int64_t first) noexcept nogil:
    """Return the place of the first run at or after a tick; the newest ones are asked for."""
    cdef uint32_t low = 0, high = track.count, middle
    if high > RUN_TICKS and track.runs[high - RUN_TICKS].first <= first:
        low = high - RUN_TICKS
    while low < high:
        middle = (low + high) // 2
        if track.runs[middle].first < first:
            low = middle + 1
        else:
            high = middle
    return low


cdef Run* ensure_runs(Track* track, int64_t first, int64_t last) noexcept nogil:
    """Return the run at `first`, with those up to `last` behind it; NULL when memory ran out."""
    cdef uint32_t at = find_run(track, first), i, capacity
    cdef uint32_t wanted = <uint32_t>(last - first + 1)
    cdef void* grown
    if track.capacity - track.count < wanted:
        capacity = 2 * track.capacity + 2 * RUN_TICKS
        grown = realloc(track.runs, capacity * sizeof(Run))
        if grown == NULL:
            return NULL
        track.runs = <Run*>grown
        track.capacity = capacity
    for i in range(at, at + wanted):
        if i < track.count and track.runs[i].first == first + (i - at):
            continue
        memmove(&track.runs[i + 1], &track.runs[i], (track.count - i) * sizeof(Run))
        memset(&track.runs[i], 0, sizeof(Run))
        track.runs[i].first = first + (i - at)
        track.count += 1
    return &track.runs[at]


cdef void retire(Table* t, Track* track, int64_t floor) noexcept nogil:
    """Drop what was counted before a tick."""
    cdef uint32_t old = 0
    while old < track.count and track.runs[old].first < floor:
        track.size -= track.runs[old].at_tick
        slab_free(&t.slab, track.runs[old].registers, REGISTERS)
        old += 1
    if old > 0:
        track.count -= old
        memmove(track.runs, &track.runs[old], track.count * sizeof(Run))
    if track.size == 0:
        track.sketched = False


cdef void retire_all(Table* t, Full* full) noexcept nogil:
    """Retire in every length; one whose sketches have all passed counts exactly again."""
    cdef const OfType* of = &t.types[full.type]
    cdef size_t i
    for i in range(of.lengths if full.tracks != NULL else 0):
        retire(t, &full.tracks[i], of.floors[i])


# --- A fingerprint that was seen more than once --------------------------------------------------

cdef void free_full(Table* t, Full* full) noexcept nogil:
    """Free everything that a fingerprint owns, itself not included."""
    cdef size_t i
    cdef uint32_t j
    free_kept(t, full)
    free(full.kept)
    free(full.by_identity)
    free(full.by_account)
    if full.tracks != NULL:
        for i in range(t.types[full.type].lengths):
            for j in range(full.tracks[i].count):
                slab_free(&t.slab, full.tracks[i].runs[j].registers, REGISTERS)
            free(full.tracks[i].runs)
            free(full.tracks[i].head)
            free(full.tracks[i].older)
        free(full.tracks)


cdef void free_kept(Table* t, Full* full) noexcept nogil:
    cdef uint32_t i
    for i in range(full.count):
        slab_free(&t.slab, full.kept[i].seen, seen_bytes(full.kept[i].seen))
    full.count = 0
    reindex(full)


cdef Full* new_full(Table* t, const Sip128* key, uint8_t type_) noexcept nogil:
    cdef Full* full = <Full*>slab_alloc(&t.slab, sizeof(Full))
    if full == NULL:
        return NULL
    memset(full, 0, sizeof(Full))
    full.key = key[0]
    full.type = type_
    full.state = IS_FULL
    full.newest = INT64_MIN
    return full


cdef Full* unfold(Table* t, Lone* lone) noexcept nogil:
    """Make a fingerprint of a lone sighting, whose memory is freed; NULL: nothing was changed."""
    cdef size_t size = seen_bytes(&lone.seen)
    cdef Full* full = new_full(t, &lone.key, lone.seen.type)
    cdef Seen* seen
    if full == NULL:
        return NULL
    seen = <Seen*>slab_alloc(&t.slab, size)
    if seen == NULL or not reserve_kept(t, full, 2):
        if seen != NULL:
            slab_free(&t.slab, seen, size)
        free_full(t, full)
        slab_free(&t.slab, full, sizeof(Full))
        return NULL
    memcpy(seen, &lone.seen, size)
    full.state |= seen.state & IS_LISTED
    seen.state &= IS_CHANGED
    append_kept(t, full, seen)
    full.newest = seen.time
    slab_free(&t.slab, lone, sizeof(Sip128) + size)
    return full


cdef bint reserve_kept(Table* t, Full* full, uint32_t capacity) noexcept nogil:
    """Make room for sightings and for what is kept beside each."""
    cdef OfType* of = &t.types[full.type]
    cdef void* grown
    cdef size_t i
    if capacity <= full.capacity:
        return True
    grown = realloc(full.kept, capacity * sizeof(Kept))
    if grown == NULL:
        return False
    full.kept = <Kept*>grown
    if full.tracks != NULL:
        for i in range(of.lengths):
            grown = realloc(full.tracks[i].head, capacity * sizeof(uint32_t))
            if grown == NULL:
                return False
            full.tracks[i].head = <uint32_t*>grown
            grown = realloc(full.tracks[i].older, capacity * sizeof(uint32_t))
            if grown == NULL:
                return False
            full.tracks[i].older = <uint32_t*>grown
    full.capacity = capacity
    return True


cdef inline uint32_t hash_bytes(
    const Table* t, uint8_t tag, const uint8_t* at, size_t size
) noexcept nogil:
    return <uint32_t>siphash128(&t.placement, tag, at, size).first


cdef void append_kept(Table* t, Full* full, Seen* seen) noexcept nogil:
    """Append a sighting for which there is room."""
    cdef Kept* kept = &full.kept[full.count]
    kept.seen = seen
    kept.done = 0
    kept.account = hash_bytes(t, 1, account_of(seen), seen.account_size)
    kept.identity = kept.account ^ hash_bytes(t, 2, post_of(seen), seen.post_size)
    kept.identity ^= <uint32_t>siphash13(&t.placement, <uint64_t>seen.time, seen.revision)
    kept.leader = 0
    full.count += 1


cdef bint is_same(const Seen* a, const Seen* b) noexcept nogil:
    return (
        a.time == b.time
        and a.revision == b.revision
        and a.account_size == b.account_size
        and a.post_size == b.post_size
        and memcmp(account_of(a), account_of(b), <size_t>a.account_size + a.post_size) == 0
    )


cdef inline bint is_same_account(const Seen* a, const Seen* b) noexcept nogil:
    return a.account_size == b.account_size and memcmp(
        account_of(a), account_of(b), a.account_size
    ) == 0


cdef uint32_t find_twice(const Full* full, uint32_t newest) noexcept nogil:
    """Find the very same sighting as that at `newest`, not yet in the index; `newest` if none."""
    cdef const Kept* kept = &full.kept[newest]
    cdef uint32_t i, at
    if full.by_identity == NULL:
        for i in range(newest):
            if full.kept[i].identity == kept.identity and is_same(full.kept[i].seen, kept.seen):
                return i
        return newest
    at = kept.identity & full.mask
    while full.by_identity[at] != 0:
        i = full.by_identity[at] - 1
        if full.kept[i].identity == kept.identity and is_same(full.kept[i].seen, kept.seen):
            return i
        at = (at + 1) & full.mask
    return newest


cdef void index_kept(Full* full, uint32_t index) noexcept nogil:
    """Enter a sighting into both indexes and find the first one of its account."""
    cdef Kept* kept = &full.kept[index]
    cdef uint32_t at = kept.identity & full.mask, leader
    while full.by_identity[at] != 0:
        at = (at + 1) & full.mask
    full.by_identity[at] = index + 1
    at = kept.account & full.mask
    while full.by_account[at] != 0:
        leader = full.by_account[at] - 1
        if full.kept[leader].account == kept.account and is_same_account(
            full.kept[leader].seen, kept.seen
        ):
            kept.leader = leader
            return
        at = (at + 1) & full.mask
    full.by_account[at] = index + 1
    kept.leader = index


cdef void reindex(Full* full) noexcept nogil:
    """Enter every sighting anew; who leads an account stays the same."""
    cdef uint32_t i
    if full.by_identity == NULL:
        return
    memset(full.by_identity, 0, (<size_t>full.mask + 1) * sizeof(uint32_t))
    memset(full.by_account, 0, (<size_t>full.mask + 1) * sizeof(uint32_t))
    for i in range(full.count):
        index_kept(full, i)


cdef inline bint is_index_full(const Full* full, uint32_t count) noexcept nogil:
    return full.by_identity == NULL or full.mask + 1 < 2 * count


cdef bint new_index(Full* full, uint32_t count) noexcept nogil:
    """Make both indexes a quarter full with `count` sightings; false when memory ran out."""
    cdef uint32_t size = 64
    while size < 4 * count:
        size *= 2
    free(full.by_identity)
    free(full.by_account)
    full.by_identity = <uint32_t*>malloc(size * sizeof(uint32_t))
    full.by_account = <uint32_t*>malloc(size * sizeof(uint32_t))
    full.mask = size - 1
    if full.by_identity == NULL or full.by_account == NULL:
        free(full.by_identity)
        free(full.by_account)
        full.by_identity = full.by_account = NULL
        return False
    reindex(full)
    return True


cdef bint is_kept(const Table* t, const Full* full, const Seen* seen) noexcept nogil:
    """Say whether a run that counts exactly may still read a sighting."""
    cdef const OfType* of = &t.types[full.type]
    cdef size_t i
    for i in range(of.lengths):
        if (full.tracks == NULL or not full.tracks[i].sketched) and (
            floor_divide(seen.time, of.tick_ms[i]) >= of.floors[i]
        ):
            return True
    return False


cdef void drop_past(Table* t, Full* full) noexcept nogil:
    """Free the sightings that no run reads any more; indexes must be built anew."""
    cdef uint32_t i, kept = 0
    for i in range(full.count):
        if is_kept(t, full, full.kept[i].seen):
            full.kept[kept] = full.kept[i]
            kept += 1
        else:
            slab_free(&t.slab, full.kept[i].seen, seen_bytes(full.kept[i].seen))
    full.count = kept


cdef inline void start_account(const OfType* of, Full* full, uint32_t index) noexcept nogil:
    """Let no length know of ticks of an account whose first sighting is at `index`."""
    cdef size_t i
    if full.kept[index].leader == index:
        for i in range(of.lengths):
            full.tracks[i].head[index] = 0


cdef bint count_exactly(
    const OfType* of, Full* full, size_t length, uint32_t index
) noexcept nogil:
    """Count a sighting in the runs of one length that hold it; false when memory ran out."""
    cdef Track* track = &full.tracks[length]
    cdef int64_t tick_ms = of.tick_ms[length], tick, lowest, first, last, other
    cdef uint32_t newer = 0, older, i
    cdef uint32_t* head = &track.head[full.kept[index].leader]
    cdef Run* runs
    tick = floor_divide(full.kept[index].seen.time, tick_ms)
    lowest = max(tick - RUN_TICKS + 1, of.floors[length])
    runs = ensure_runs(track, lowest, tick)
    if runs == NULL:
        return False
    for i in range(<uint32_t>(tick - lowest + 1)):
        runs[i].sightings += 1
    runs[tick - lowest].at_tick += 1
    track.size += 1
    # The account's ticks, newest first: it stood in the runs of its neighbours already.
    older = head[0]
    first, last = lowest, tick
    while older != 0:
        other = floor_divide(full.kept[older - 1].seen.time, tick_ms)
        if other == tick:
            return True
        if other < tick:
            first = max(lowest, other + 1)
            break
        last = min(tick, other - RUN_TICKS)
        newer = older
        older = track.older[older - 1]
    track.older[index] = older
    if newer != 0:
        track.older[newer - 1] = index + 1
    else:
        head[0] = index + 1
    while first <= last:
        runs[first - lowest].accounts += 1
        first += 1
    return True


cdef void sort_by_arrival(Full* full) noexcept nogil:
    """Sort restored sightings, which stand in order but for a few (insertion sort)."""
    cdef Kept moved
    cdef uint32_t i, at
    for i in range(1, full.count):
        if full.kept[i - 1].seen.arrival <= full.kept[i].seen.arrival:
            continue
        moved = full.kept[i]
        at = i
        while at > 0 and full.kept[at - 1].seen.arrival > moved.seen.arrival:
            full.kept[at] = full.kept[at - 1]
            at -= 1
        full.kept[at] = moved


cdef bint count_anew(Table* t, Full* full) noexcept nogil:
    """Build runs and indexes from what is kept; false when memory ran out."""
    cdef OfType* of = &t.types[full.type]
    cdef Track* track
    cdef size_t j
    cdef uint32_t i
    retire_all(t, full)
    drop_past(t, full)
    if not is_index_full(full, full.count + 1):
        reindex(full)
    elif not new_index(full, full.count + 1):
        return False
    for i in range(full.count):
        start_account(of, full, i)
    for j in range(of.lengths):
        track = &full.tracks[j]
        if track.sketched:
            if not sum_sketched(track, of.floors[j]):
                return False
            continue
        track.size = 0
        for i in range(track.count):
            track.runs[i].sightings = track.runs[i].accounts = track.runs[i].at_tick = 0
        for i in range(full.count):
            if floor_divide(full.kept[i].seen.time, of.tick_ms[j]) < of.floors[j]:
                continue  # another length keeps it
            if not count_exactly(of, full, j, i):
                return False
    return True


cdef bint sum_sketched(Track* track, int64_t floor) noexcept nogil:
    """Count the sightings of every run anew from those of the ticks."""
    cdef uint32_t i, j
    track.size = 0
    for i in range(track.count):
        track.runs[i].sightings = track.runs[i].estimate = 0
        track.size += track.runs[i].at_tick
    i = track.count
    while i > 0:  # from the newest: what is made on the way stands before it
        i -= 1
        if track.runs[i].at_tick > 0:
            j = track.count
            if ensure_runs(
                track, max(track.runs[i].first - RUN_TICKS + 1, floor), track.runs[i].first
            ) == NULL:
                return False
            i += track.count - j
    for i in range(track.count):
        for j in range(i, track.count):
            if track.runs[j].first >= track.runs[i].first + RUN_TICKS:
                break
            track.runs[i].sightings += track.runs[j].at_tick
    return True


cdef bint make_tracks(Table* t, Full* full) noexcept nogil:
    cdef size_t lengths = t.types[full.type].lengths, i
    if full.tracks != NULL:
        return True
    full.tracks = <Track*>calloc(lengths, sizeof(Track))
    if full.tracks == NULL:
        return False
    for i in range(lengths):
        full.tracks[i].head = <uint32_t*>malloc((full.capacity + 1) * sizeof(uint32_t))
        full.tracks[i].older = <uint32_t*>malloc((full.capacity + 1) * sizeof(uint32_t))
        if full.tracks[i].head == NULL or full.tracks[i].older == NULL:
            return False
    return True


cdef bint build_tracks(Table* t, OfType* of, Full* full) noexcept nogil:
    """Begin to count runs, now that a rule could hold."""
    return make_tracks(t, full) and count_anew(t, full)


cdef bint sketch_all(Table* t, OfType* of, Full* full, size_t length) noexcept nogil:
    """Turn what a length keeps into sketches and let it go; false when memory ran out."""
    cdef Track* track = &full.tracks[length]
    cdef int64_t tick
    cdef Run* run
    cdef uint32_t i
    for i in range(full.count):
        tick = floor_divide(full.kept[i].seen.time, of.tick_ms[length])
        if tick < of.floors[length]:
            continue
        run = &track.runs[find_run(track, tick)]
        if run.registers == NULL and not give_registers(t, run):
            return False
        add_account(
            t, run.registers, account_of(full.kept[i].seen), full.kept[i].seen.account_size
        )
        if length == of.lengths - 1:
            held_counter(of, tick)[0] -= 1
            t.held -= 1
    for i in range(track.count):
        track.runs[i].accounts = track.runs[i].estimate = 0
    track.sketched = True
    return True


cdef bint give_registers(Table* t, Run* run) noexcept nogil:
    run.registers = <uint8_t*>slab_alloc(&t.slab, REGISTERS)
    if run.registers == NULL:
        return False
    memset(run.registers, 0, REGISTERS)
    run.changed = True
    return True


cdef bint count_sketched(
    Table* t, OfType* of, Track* track, size_t length, const uint8_t* entry
) noexcept nogil:
    """Count a sighting past the exact cap; false when memory ran out."""
    cdef int64_t tick = floor_divide(placed(load64(entry + 44)), of.tick_ms[length])
    cdef int64_t lowest = max(tick - RUN_TICKS + 1, of.floors[length])
    cdef Run* runs = ensure_runs(track, lowest, tick)
    cdef uint32_t i
    cdef bint moved
    if runs == NULL:
        return False
    if runs[tick - lowest].registers == NULL and not give_registers(t, &runs[tick - lowest]):
        return False
    moved = add_account(t, runs[tick - lowest].registers, entry + ENTRY, load16(entry + 76))
    for i in range(<uint32_t>(tick - lowest + 1)):
        runs[i].sightings += 1
        if moved:
            runs[i].estimate = 0
    runs[tick - lowest].at_tick += 1
    runs[tick - lowest].changed = True
    track.size += 1
    return True


cdef bint make_current(Table* t, OfType* of, Full* full) noexcept nogil:
    """Retire what has passed; what is freed lags behind, by half at most."""
    cdef size_t i
    cdef uint32_t live = 0
    if full.state & IS_STALE:
        sort_by_arrival(full)
        full.state &= ~<uint8_t>IS_STALE
        if full.tracks != NULL or full.by_identity != NULL:
            return build_tracks(t, of, full)
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
        if not build_tracks(t, of, full):
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


# --- Gates ---------------------------------------------------------------------------------------

cdef inline bint passes(const RunGate* gate, uint32_t accounts, uint32_t sightings) noexcept nogil:
    cdef uint32_t i
    for i in range(gate.corners):
        if accounts >= gate.corner[i].accounts and sightings >= gate.corner[i].sightings:
            return True
    return False


cdef int find_runs(
    Table* t, OfType* of, Full* full, int64_t time, uint64_t counted
) noexcept nogil:
    """Note the runs with a sighting for which a rule holds or may hold; FOUND if there are any."""
    cdef RunGate* gate
    cdef Track* track
    cdef size_t i
    t.full = full
    t.found_count = 0
    for i in range(of.gate_count):
        gate = &of.gates[i]
        track = &full.tracks[gate.length]
        if not counted >> gate.length & 1:
            continue
        # No run has more sightings or accounts than there are sightings.
        if track.sketched or passes(gate, track.size, track.size):
            note_runs(t, gate, track, floor_divide(time, of.tick_ms[gate.length]))
    return FOUND if t.found_count > 0 else COUNTED


cdef void note_runs(Table* t, RunGate* gate, Track* track, int64_t tick) noexcept nogil:
    cdef uint32_t at = find_run(track, tick - RUN_TICKS + 1), accounts
    cdef FoundAt* found
    cdef Run* run
    cdef bint held, told = False
    while at < track.count and track.runs[at].first <= tick:
        run = &track.runs[at]
        held = run.held & gate.bit
        if held and told:
            at += 1  # the first run that the rule held for tells of the sighting
            continue
        told |= held
        accounts = estimate_run(track, at) if track.sketched else run.accounts
        if held or passes(gate, accounts, run.sightings):
            found = &t.found[t.found_count]
            t.found_count += 1
            found.gate = gate
            found.first = run.first
            found.accounts = accounts
            found.sightings = run.sightings
            found.sketched = track.sketched
            found.held = held
        at += 1
