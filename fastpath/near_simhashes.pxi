# The index of SimHashes: most entries by words (near_words.pxi), those added since one by one.
# Included by near.pyx.

cdef int build_simhashes(NearTable* table, const uint64_t* hashes, uint32_t count) noexcept nogil:
    table.hashes = <uint64_t*>pages_alloc(<size_t>count + PENDING_SIMHASH, 8)
    if table.hashes == NULL:
        return -1
    if count > 0:
        memcpy(table.hashes, hashes, <size_t>count * 8)
    return build_words(
        &table.index, table.hashes, SIMHASH_WORDS, count, table.radius, RUN_SIMHASH
    )


cdef bint scan_simhashes(
    const NearTable* table, uint64_t query, uint32_t number, NearHits* out
) noexcept nogil:
    """Compare one query with the pending entries; false without memory."""
    cdef uint32_t* places = <uint32_t*>out.scratch
    cdef const uint64_t* added = table.hashes + table.index.count
    cdef uint32_t i, near = near64(
        LEVEL, added, table.pending, query, <int>table.radius, places
    )
    for i in range(near):
        if not add_hit(
            out, number, table.index.count + places[i],
            distance_words(LEVEL, &query, added + places[i], 1),
        ):
            return False
    return True


cdef int find_simhashes(
    const NearTable* table, const uint64_t* queries, size_t count, NearHits* out
) noexcept nogil:
    """Fill in the hits of all queries; 0, or -1 without memory."""
    cdef size_t i
    if not open_hits(out, count):
        return -1
    if table.index.count > 0 and not search_words(&table.index, queries, count, out):
        return -1
    if table.pending > 0:
        for i in range(count):
            if not scan_simhashes(table, queries[i], <uint32_t>i, out):
                return -1
    sort_hits(out)
    return 0


cdef class SimHashIndex(NearIndex):
    """Find SimHashes within a radius of 0 to 7 bits among up to 16 million entries.

    `hashes` is a contiguous buffer of uint64; entries are numbered in its order. Raises
    BuildError. Building and queries release the GIL; what is built does not change but for
    entries added, which one thread at a time may do.
    """

    def __cinit__(self, const uint64_t[::1] hashes not None, int radius):
        cdef size_t count = <size_t>hashes.shape[0]
        cdef int failed
        if not 0 <= radius <= distances.MAX_SIMHASH_RADIUS:
            raise BuildError("simhash radius", f"0 to {distances.MAX_SIMHASH_RADIUS}", radius)
        if count > distances.MAX_SIMHASHES:
            raise BuildError("simhash entries", distances.MAX_SIMHASHES, count)
        self.table.radius = <uint32_t>radius
        with nogil:
            failed = build_simhashes(
                &self.table, &hashes[0] if count > 0 else NULL, <uint32_t>count
            )
        if failed != 0:
            raise MemoryError
        # The pigeonhole condition: too few bits differ to make every word unlike.
        assert self.table.radius < SIMHASH_WORDS * (self.table.index.flips + 1)

    def add(self, const uint64_t[::1] hashes not None):
        """Add entries behind the others; raises BuildError where they must be merged first."""
        cdef NearTable* table = &self.table
        cdef size_t count = <size_t>hashes.shape[0]
        if count > <size_t>(PENDING_SIMHASH - table.pending):
            raise BuildError("pending simhashes", PENDING_SIMHASH, table.pending + count)
        if count > 0:
            memcpy(table.hashes + table.index.count + table.pending, &hashes[0], count * 8)
        table.pending += <uint32_t>count

    def merged(self):
        """Return an index of all entries, pending ones included; meant for another thread."""
        cdef uint32_t count = self.table.index.count + self.table.pending
        if count == 0:
            return SimHashIndex(array("Q"), self.table.radius)
        return SimHashIndex(<uint64_t[:count]>self.table.hashes, self.table.radius)

    def query(self, const uint64_t[::1] hashes not None):
        """Return NearFound for a batch of hashes; releases the GIL."""
        cdef NearHits found
        cdef size_t count = <size_t>hashes.shape[0]
        cdef int failed
        memset(&found, 0, sizeof(NearHits))
        try:
            with nogil:
                failed = find_simhashes(
                    &self.table, &hashes[0] if count > 0 else NULL, count, &found
                )
            if failed != 0:
                raise MemoryError
            return hits_of(&found, count)
        finally:
            free_hits(&found)

    def __len__(self):
        return self.table.index.count + self.table.pending

    @property
    def memory_bytes(self):
        """Return the bytes held."""
        return words_bytes(&self.table.index) + 8 * (self.table.index.count + PENDING_SIMHASH)
