# The index of PDQ hashes: most entries by words (near_words.pxi), those added since, and all of a
# short list, in blocks of eight that are compared whole. Included by near.pyx.

cdef int build_pdqs(NearTable* table, const uint8_t* hashes, uint32_t count) noexcept nogil:
    if count <= BRUTE:
        return 0 if append_pdqs(table, hashes, count) else -1
    table.hashes = <uint64_t*>pages_alloc(count, PDQ_BYTES)
    if table.hashes == NULL:
        return -1
    memcpy(table.hashes, hashes, <size_t>count * PDQ_BYTES)
    return build_words(&table.index, table.hashes, PDQ_WORDS, count, table.radius, RUN_PDQ)


cdef bint append_pdqs(NearTable* table, const uint8_t* hashes, uint32_t count) noexcept nogil:
    """Put entries into the blocks that are searched one by one; false without memory."""
    cdef uint32_t room = (table.blocked + count + 7) & ~<uint32_t>7, i, word, place
    cdef void* grown
    if room > table.block_room:
        grown = realloc(table.blocks, <size_t>room * PDQ_BYTES)
        if grown == NULL:
            return False
        table.blocks = <uint64_t*>grown
        memset(
            table.blocks + 4 * <size_t>table.block_room, 0,
            <size_t>(room - table.block_room) * PDQ_BYTES,
        )
        table.block_room = room
    for i in range(count):
        place = table.blocked + i
        for word in range(4):
            memcpy(
                table.blocks + 4 * <size_t>(place & ~<uint32_t>7) + 8 * word + (place & 7),
                hashes + PDQ_BYTES * <size_t>i + 8 * word, 8,
            )
    table.blocked += count
    return True


cdef void copy_pdqs(const NearTable* table, uint8_t* out, uint32_t blocked) noexcept nogil:
    """Write all entries one after another, of those in blocks the first `blocked`."""
    cdef size_t i, word, place = table.index.count
    if place > 0:
        memcpy(out, table.hashes, place * PDQ_BYTES)
    for i in range(blocked):
        for word in range(4):
            memcpy(
                out + (place + i) * PDQ_BYTES + 8 * word,
                table.blocks + 4 * (i & ~<size_t>7) + 8 * word + (i & 7), 8,
            )


cdef bint scan_pdqs(
    const NearTable* table, const uint64_t* queries, size_t first, size_t count, NearHits* out
) noexcept nogil:
    """Compare up to eight queries with all entries in blocks; false without memory."""
    cdef uint32_t at = 0, found, i, query, place, word, distance
    cdef const uint64_t* block
    while at < table.blocked:
        found = scan256(
            LEVEL, table.blocks, table.blocked, queries, <uint32_t>count, <int>table.radius,
            &at, out.scratch, SCAN_ROOM,
        )
        for i in range(found):
            query = <uint32_t>(out.scratch[i] >> 32)
            place = <uint32_t>out.scratch[i]
            block = table.blocks + 4 * <size_t>(place & ~<uint32_t>7) + (place & 7)
            distance = 0
            for word in range(4):
                distance += distance_words(
                    LEVEL, block + 8 * word, queries + 4 * query + word, 1
                )
            if not add_hit(out, <uint32_t>first + query, table.index.count + place, distance):
                return False
    return True


cdef int find_pdqs(
    const NearTable* table, const uint64_t* queries, size_t count, NearHits* out
) noexcept nogil:
    """Fill in the hits of all queries; 0, or -1 without memory."""
    cdef size_t at = 0
    if not open_hits(out, count):
        return -1
    if table.index.count > 0 and not search_words(&table.index, queries, count, out):
        return -1
    while at < count and table.blocked > 0:
        if not scan_pdqs(table, queries + 4 * at, at, min(<size_t>PASS, count - at), out):
            return -1
        at += PASS
    sort_hits(out)
    return 0


cdef class PdqIndex(NearIndex):
    """Find PDQ hashes within a radius of 0 to 31 bits among up to 16 million entries.

    `hashes` is a contiguous buffer of bytes, 32 for each entry; entries are numbered in its
    order. Raises BuildError. Building and queries release the GIL; what is built does not change
    but for entries added, which one thread at a time may do.
    """

    def __cinit__(self, const uint8_t[::1] hashes not None, int radius):
        cdef size_t count = <size_t>hashes.shape[0] // PDQ_BYTES
        cdef int failed
        if not 0 <= radius <= distances.MAX_PDQ_RADIUS:
            raise BuildError("pdq radius", f"0 to {distances.MAX_PDQ_RADIUS}", radius)
        if hashes.shape[0] % PDQ_BYTES:
            raise BuildError("bytes of pdq hashes", "32 each", hashes.shape[0])
        if count > distances.MAX_PDQS:
            raise BuildError("pdq entries", distances.MAX_PDQS, count)
        self.table.radius = <uint32_t>radius
        with nogil:
            failed = build_pdqs(&self.table, &hashes[0] if count > 0 else NULL, <uint32_t>count)
        if failed != 0:
            raise MemoryError
        # The pigeonhole condition: too few bits differ to make every word unlike.
        assert self.table.index.count == 0 or self.table.radius < PDQ_WORDS * (
            self.table.index.flips + 1
        )

    def add(self, const uint8_t[::1] hashes not None):
        """Add entries behind the others; raises BuildError where they must be merged first."""
        cdef NearTable* table = &self.table
        cdef size_t count = <size_t>hashes.shape[0] // PDQ_BYTES
        if hashes.shape[0] % PDQ_BYTES:
            raise BuildError("bytes of pdq hashes", "32 each", hashes.shape[0])
        if count > <size_t>(PENDING_PDQ - table.pending):
            raise BuildError("pending pdq hashes", PENDING_PDQ, table.pending + count)
        if count > 0 and not append_pdqs(table, &hashes[0], <uint32_t>count):
            raise MemoryError
        table.pending += <uint32_t>count

    def merged(self):
        """Return an index of all entries, pending ones included; meant for another thread."""
        cdef size_t count = len(self)
        cdef uint32_t blocked = <uint32_t>count - self.table.index.count
        cdef uint8_t* memory = <uint8_t*>pages_alloc(count + 1, PDQ_BYTES)
        if memory == NULL:
            raise MemoryError
        try:
            if count == 0:
                return PdqIndex(b"", self.table.radius)
            with nogil:
                copy_pdqs(&self.table, memory, blocked)
            return PdqIndex(<uint8_t[:count * PDQ_BYTES]>memory, self.table.radius)
        finally:
            free(memory)

    def query(self, const uint8_t[::1] hashes not None):
        """Return NearFound for a batch of hashes, 32 bytes each; releases the GIL."""
        cdef NearHits found
        cdef size_t count = <size_t>hashes.shape[0] // PDQ_BYTES
        cdef uint64_t* queries
        cdef int failed
        if hashes.shape[0] % PDQ_BYTES:
            raise ValueError(f"{hashes.shape[0]} bytes, where each hash has 32")
        memset(&found, 0, sizeof(NearHits))
        queries = <uint64_t*>pages_alloc(count + 1, PDQ_BYTES)
        if queries == NULL:
            raise MemoryError
        try:
            if count > 0:
                memcpy(queries, &hashes[0], count * PDQ_BYTES)
            with nogil:
                failed = find_pdqs(&self.table, queries, count, &found)
            if failed != 0:
                raise MemoryError
            return hits_of(&found, count)
        finally:
            free(queries)
            free_hits(&found)

    def __len__(self):
        return self.table.index.count + self.table.blocked

    @property
    def memory_bytes(self):
        """Return the bytes held."""
        held = PDQ_BYTES * (self.table.index.count + self.table.block_room)
        return held + (words_bytes(&self.table.index) if self.table.index.count > 0 else 0)
