# Runs of eight ticks of one fingerprint, counted from the number of sightings on at which a rule
# could hold; past the exact cap fingerprint_sketches.pxi counts. Included by fingerprints.pyx.

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


# --- Counting ------------------------------------------------------------------------------------

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


cdef bint build_tracks(Table* t, Full* full) noexcept nogil:
    """Begin to count runs, now that a rule could hold."""
    return make_tracks(t, full) and count_anew(t, full)


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
