"""Find the entries of a list within a Hamming distance: SimHash-64 and PDQ-256.

Multi-index hashing (Norouzi, Punjani and Fleet 2012) over the 16-bit words of a hash: where two
hashes differ in at most `radius` bits, one word differs in at most radius / words, and every
entry stands in one bucket per word. Read as a ring, some such word even goes on so: it and the
next word differ in at most 2 * radius / words bits together (the pigeonring principle, Qin and
Xiao 2018). So a bucket holds the next word of each entry beside its number, and of a hundred
entries in a bucket about one is ever looked at. `fastpath.reference.near` is the definition.
"""

from array import array

from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memcpy, memset

from fastpath.isa cimport isa_level

from fastpath import distances
from fastpath.distances import NearFound
from fastpath.errors import BuildError

cdef extern from "hamming.h" nogil:
    int hamming_level(int isa)
    uint32_t near64(
        int level, const uint64_t* hashes, uint32_t count, uint64_t query, int radius,
        uint32_t* out,
    )
    uint32_t near16(
        int level, const uint16_t* words, uint32_t count, uint16_t query, int limit, uint32_t* out
    )
    uint32_t scan256(
        int level, const uint64_t* blocks, uint32_t count, const uint64_t* query,
        uint32_t queries, int radius, uint32_t* begin, uint64_t* out, uint32_t room,
    )
    uint32_t distance_words(int level, const uint64_t* a, const uint64_t* b, int words)

cdef extern from "pages.h" nogil:
    void* pages_alloc(size_t count, size_t size)

cdef extern from *:
    uint32_t __builtin_popcount(unsigned int value) nogil
    uint32_t __builtin_popcountll(unsigned long long value) nogil
    void __builtin_prefetch(const void* address) nogil

cdef enum:
    VALUES = 65536  # of a word
    ROW = 65537  # starts of one word
    WORD_BITS = 16
    SIMHASH_WORDS = 4
    PDQ_WORDS = 16
    PDQ_BYTES = 32
    RUN_SIMHASH = 4096  # distances.MAX_RUN_SIMHASH
    RUN_PDQ = 1024
    BRUTE = 16384
    PENDING_SIMHASH = 4096
    PENDING_PDQ = 65536
    RUNS = 544  # of two PDQ queries: 16 words, 17 values each
    MAX_LAG = 16  # queries whose buckets are on their way
    OVERREAD = 32  # words that near16 may read behind a run
    SCRATCH = 4104  # uint64: places of a run and one more, hits of a pass
    PASS = 8  # queries that share one walk over all entries
    SCAN_ROOM = 512  # hits of one call of scan256

cdef int LEVEL = hamming_level(isa_level())

if (
    distances.MAX_RUN_SIMHASH, distances.MAX_RUN_PDQ, distances.BRUTE_PDQS,
    distances.MAX_PENDING_SIMHASH, distances.MAX_PENDING_PDQ,
) != (RUN_SIMHASH, RUN_PDQ, BRUTE, PENDING_SIMHASH, PENDING_PDQ):
    raise ImportError("fastpath.near was compiled with other limits than fastpath.distances has")


# --- Hits ----------------------------------------------------------------------------------------

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


include "near_words.pxi"


cdef void free_table(NearTable* table) noexcept nogil:
    free_words(&table.index)
    free(table.hashes)
    free(table.blocks)


cdef class NearIndex:
    """Hold what indexes of both kinds have: a table, and what can be asked of it."""

    def __dealloc__(self):
        free_table(&self.table)

    @property
    def radius(self):
        """Return the greatest distance of a hit."""
        return self.table.radius

    @property
    def pending(self):
        """Return the entries added since the index was built."""
        return self.table.pending

    @property
    def longest_run(self):
        """Return the entries of the fullest bucket before its cap; 0 without an index."""
        return self.table.index.longest_run

    @property
    def capped_runs(self):
        """Return the buckets that leave entries out."""
        return self.table.index.capped_runs


# --- SimHash -------------------------------------------------------------------------------------

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


# --- PDQ -----------------------------------------------------------------------------------------

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
