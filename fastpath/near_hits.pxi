# What a call of an index finds, for all of its queries. Included by near.pyx.

cdef void free_hits(NearHits* hits) noexcept nogil:
    free(hits.hits)
    free(hits.capped)
    free(hits.scratch)
    free(hits.candidates)


cdef bint open_hits(NearHits* out, size_t queries) noexcept nogil:
    """Forget earlier hits and make room for the marks and the scratch; false without memory."""
    cdef void* grown
    cdef size_t i
    out.count = 0
    if out.scratch == NULL:
        out.scratch = <uint64_t*>calloc(SCRATCH, sizeof(uint64_t))
        if out.scratch == NULL:
            return False
    if out.queries < queries or out.capped == NULL:
        grown = realloc(out.capped, queries + 1)
        if grown == NULL:
            return False
        out.capped = <uint8_t*>grown
        out.queries = queries
    for i in range(queries):
        out.capped[i] = 0
    return True


cdef bint add_hit(
    NearHits* out, uint32_t query, uint32_t entry, uint32_t distance
) noexcept nogil:
    cdef size_t room
    cdef void* grown
    if out.count == out.room:
        room = 2 * out.room + 64
        grown = realloc(out.hits, room * sizeof(NearHit))
        if grown == NULL:
            return False
        out.hits = <NearHit*>grown
        out.room = room
    out.hits[out.count].query = query
    out.hits[out.count].entry = entry
    out.hits[out.count].distance = distance
    out.count += 1
    return True


cdef int by_query_and_entry(const void* a, const void* b) noexcept nogil:
    cdef const NearHit* first = <const NearHit*>a
    cdef const NearHit* second = <const NearHit*>b
    if first.query != second.query:
        return -1 if first.query < second.query else 1
    if first.entry != second.entry:
        return -1 if first.entry < second.entry else 1
    return 0


cdef void sort_hits(NearHits* out) noexcept nogil:
    if out.count > 1:
        qsort(out.hits, out.count, sizeof(NearHit), by_query_and_entry)


cdef object hits_of(const NearHits* found, size_t queries):
    """Return NearFound and leave the memory to its owner."""
    cdef size_t i, at = 0
    starts = array("I", bytes(4 * (queries + 1)))
    entries = array("I", bytes(4 * found.count))
    distances_ = array("I", bytes(4 * found.count))
    cdef uint32_t[::1] first = starts
    cdef uint32_t[::1] entry = entries
    cdef uint32_t[::1] distance = distances_
    for i in range(queries):
        while at < found.count and found.hits[at].query == i:
            entry[at] = found.hits[at].entry
            distance[at] = found.hits[at].distance
            at += 1
        first[i + 1] = <uint32_t>at
    return NearFound(starts, entries, distances_, found.capped[:queries])
