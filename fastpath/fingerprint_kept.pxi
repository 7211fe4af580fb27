# The sightings of a fingerprint that was seen more than once: in order of arrival, found again by
# identity and by account. What is counted over them is in fingerprint_runs.pxi. Included by
# fingerprints.pyx.

# --- Making and freeing --------------------------------------------------------------------------

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


# --- Appending and finding -----------------------------------------------------------------------

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


# --- Letting go of what has passed ---------------------------------------------------------------

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
