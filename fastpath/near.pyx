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


# --- Entries by word -----------------------------------------------------------------------------

cdef void free_words(WordIndex* index) noexcept nogil:
    free(index.starts)
    free(index.numbers)
    free(index.nexts)
    free(index.full)
    free(index.dropped)


cdef inline const uint16_t* words_of(const WordIndex* index, uint64_t entry) noexcept nogil:
    return <const uint16_t*>index.hashes + entry * index.words


cdef inline uint32_t next_word(const WordIndex* index, uint32_t word) noexcept nogil:
    return (word + 1) & (index.words - 1)


cdef bint note_dropped(
    WordIndex* index, uint32_t word, uint32_t value, uint32_t entry
) noexcept nogil:
    """Note that a full bucket leaves an entry out; false without memory."""
    cdef uint64_t place = <uint64_t>word * VALUES + value
    if index.full == NULL:
        index.full = <uint64_t*>calloc(index.words * VALUES // 64, 8)
        index.dropped = <uint16_t*>calloc(index.count, 2)
        if index.full == NULL or index.dropped == NULL:
            return False
    if not (index.full[place >> 6] >> (place & 63)) & 1:
        index.full[place >> 6] |= <uint64_t>1 << (place & 63)
        index.capped_runs += 1
    index.dropped[entry] |= <uint16_t>(1 << word)
    return True


cdef bint build_word(
    WordIndex* index, uint32_t word, uint32_t cap, uint32_t* filled
) noexcept nogil:
    """Sort the entries by one word (counting sort), each bucket in order of entry."""
    cdef uint32_t* starts = index.starts + <uint64_t>word * ROW
    cdef uint64_t part = <uint64_t>word * index.count, place
    cdef uint32_t entry, value, size, total = 0, following = next_word(index, word)
    memset(filled, 0, VALUES * sizeof(uint32_t))
    for entry in range(index.count):
        filled[words_of(index, entry)[word]] += 1
    for value in range(VALUES):
        size = filled[value]
        index.longest_run = max(index.longest_run, size)
        starts[value] = total
        total += min(size, cap)
        filled[value] = 0
    starts[VALUES] = total
    for entry in range(index.count):
        value = words_of(index, entry)[word]
        if filled[value] == cap:
            if not note_dropped(index, word, value, entry):
                return False
            continue
        place = part + starts[value] + filled[value]
        index.numbers[place] = entry
        index.nexts[place] = words_of(index, entry)[following]
        filled[value] += 1
    return True


cdef int build_words(
    WordIndex* index, const uint64_t* hashes, uint32_t words, uint32_t count, uint32_t radius,
    uint32_t cap,
) noexcept nogil:
    """Build the index of `count` hashes of `words` words each; 0, or -1 without memory."""
    cdef uint32_t* filled = <uint32_t*>calloc(VALUES, sizeof(uint32_t))
    cdef uint32_t word = 0
    cdef bint built
    index.words = words
    index.radius = radius
    index.flips = radius // words
    index.pair_limit = 2 * radius // words
    index.count = count
    index.hashes = hashes
    index.starts = <uint32_t*>pages_alloc(<size_t>words * ROW, sizeof(uint32_t))
    index.numbers = <uint32_t*>pages_alloc(<size_t>words * count + 1, sizeof(uint32_t))
    index.nexts = <uint16_t*>pages_alloc(<size_t>words * count + OVERREAD, sizeof(uint16_t))
    built = (
        filled != NULL and index.starts != NULL and index.numbers != NULL and index.nexts != NULL
    )
    if built:
        memset(index.nexts + <size_t>words * count, 0, OVERREAD * sizeof(uint16_t))
    while built and word < words:
        built = build_word(index, word, cap, filled)
        word += 1
    free(filled)
    return 0 if built else -1


cdef inline uint32_t flips_of(const WordIndex* index) noexcept nogil:
    """Return the probes of one word: its own value, and each that differs in one bit."""
    return 1 + WORD_BITS * index.flips


cdef inline uint32_t flipped(uint32_t value, uint32_t flip) noexcept nogil:
    return value if flip == 0 else value ^ (<uint32_t>1 << (flip - 1))


cdef void prefetch_starts(const WordIndex* index, const uint16_t* query) noexcept nogil:
    cdef uint32_t word, flip
    for word in range(index.words):
        for flip in range(flips_of(index)):
            __builtin_prefetch(index.starts + <uint64_t>word * ROW + flipped(query[word], flip))


cdef bint find_runs(const WordIndex* index, const uint16_t* query, Run* runs) noexcept nogil:
    """Look the buckets of a query up and prefetch them; true where one left entries out."""
    cdef uint32_t word, flip, value, n = 0
    cdef const uint32_t* starts
    cdef const uint8_t* first
    cdef uint64_t place
    cdef bint capped = False
    for word in range(index.words):
        for flip in range(flips_of(index)):
            value = flipped(query[word], flip)
            starts = index.starts + <uint64_t>word * ROW + value
            runs[n].start = starts[0]
            runs[n].size = starts[1] - starts[0]
            if index.full != NULL:
                place = <uint64_t>word * VALUES + value
                capped |= (index.full[place >> 6] >> (place & 63)) & 1
            first = <const uint8_t*>(index.nexts + <uint64_t>word * index.count + starts[0])
            __builtin_prefetch(first)
            __builtin_prefetch(first + 64)
            n += 1
    return capped


cdef bint find_candidates(
    const WordIndex* index, const uint16_t* query, const Run* runs, NearHits* out
) noexcept nogil:
    """Keep the places of buckets whose next word is near too; false without memory."""
    cdef uint32_t word, flip, i, near, limit, wanted, n = 0
    cdef uint32_t* places = <uint32_t*>out.scratch
    cdef uint64_t part
    cdef void* grown
    out.candidate_count = 0
    for word in range(index.words):
        wanted = query[next_word(index, word)]
        for flip in range(flips_of(index)):
            limit = index.pair_limit - (0 if flip == 0 else 1)
            part = <uint64_t>word * index.count + runs[n].start
            near = near16(
                LEVEL, index.nexts + part, runs[n].size, <uint16_t>wanted, <int>limit, places
            )
            n += 1
            if near == 0:
                continue
            if near > out.candidate_room - out.candidate_count:
                grown = realloc(out.candidates, (2 * out.candidate_room + near) * 8)
                if grown == NULL:
                    return False
                out.candidates = <uint64_t*>grown
                out.candidate_room = 2 * out.candidate_room + near
            for i in range(near):
                __builtin_prefetch(index.numbers + part + places[i])
                out.candidates[out.candidate_count] = (part + places[i]) | <uint64_t>word << 32
                out.candidate_count += 1
    return True


cdef inline bint leads(
    const WordIndex* index, const uint16_t* query, const uint16_t* held, uint32_t word,
    uint32_t entry,
) noexcept nogil:
    """Say whether a word leads from the query to an entry."""
    cdef uint32_t own = __builtin_popcount(<uint32_t>(query[word] ^ held[word]))
    cdef uint32_t following = next_word(index, word)
    if own > index.flips:
        return False
    if own + __builtin_popcount(<uint32_t>(query[following] ^ held[following])) > index.pair_limit:
        return False
    return index.dropped == NULL or not (index.dropped[entry] >> word) & 1


cdef bint check_candidates(
    const WordIndex* index, const uint64_t* query, uint32_t number, NearHits* out
) noexcept nogil:
    """Compare whole hashes; an entry counts at the first word that leads to it."""
    cdef const uint16_t* wanted = <const uint16_t*>query
    cdef const uint16_t* held
    cdef uint32_t entry, word, earlier, distance
    cdef size_t i, stride = index.words // 4
    for i in range(out.candidate_count):
        word = <uint32_t>(out.candidates[i] >> 32)
        entry = index.numbers[<uint32_t>out.candidates[i]]
        __builtin_prefetch(index.hashes + stride * entry)
        out.candidates[i] = <uint64_t>word << 32 | entry
    for i in range(out.candidate_count):
        word = <uint32_t>(out.candidates[i] >> 32)
        entry = <uint32_t>out.candidates[i]
        distance = distance_words(LEVEL, query, index.hashes + stride * entry, <int>stride)
        if distance > index.radius:
            continue
        held = words_of(index, entry)
        earlier = 0
        while earlier < word and not leads(index, wanted, held, earlier, entry):
            earlier += 1
        if earlier == word and not add_hit(out, number, entry, distance):
            return False
    return True


cdef bint search_words(
    const WordIndex* index, const uint64_t* queries, size_t count, NearHits* out
) noexcept nogil:
    """Search a batch: the starts of a query are on their way `lag` queries before its buckets.

    Those are on their way `lag` queries before they are read. False without memory.
    """
    cdef Run[RUNS] runs  # of lag + 1 queries
    cdef uint32_t each = index.words * flips_of(index)
    cdef size_t lag = RUNS // each - 1, stride = index.words // 4
    cdef size_t step, at
    if lag > MAX_LAG:
        lag = MAX_LAG
    for step in range(count + 2 * lag):
        if step < count:
            prefetch_starts(index, <const uint16_t*>(queries + stride * step))
        if lag <= step < count + lag:
            at = step - lag
            out.capped[at] = find_runs(
                index, <const uint16_t*>(queries + stride * at), runs + (at % (lag + 1)) * each
            )
        if step >= 2 * lag:
            at = step - 2 * lag
            if not find_candidates(
                index, <const uint16_t*>(queries + stride * at), runs + (at % (lag + 1)) * each,
                out,
            ) or not check_candidates(index, queries + stride * at, <uint32_t>at, out):
                return False
    return True


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


cdef class SimHashIndex:
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

    def __dealloc__(self):
        free_table(&self.table)

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
    def radius(self):
        """Return the greatest distance of a hit."""
        return self.table.radius

    @property
    def pending(self):
        """Return the entries added since the index was built."""
        return self.table.pending

    @property
    def longest_run(self):
        """Return the entries of the fullest bucket before its cap."""
        return self.table.index.longest_run

    @property
    def capped_runs(self):
        """Return the buckets that leave entries out."""
        return self.table.index.capped_runs

    @property
    def memory_bytes(self):
        """Return the bytes held."""
        return words_bytes(&self.table.index) + 8 * (self.table.index.count + PENDING_SIMHASH)


cdef object words_bytes(const WordIndex* index):
    return index.words * (4 * ROW + 6 * index.count)


cdef void free_table(NearTable* table) noexcept nogil:
    free_words(&table.index)
    free(table.hashes)
    free(table.blocks)


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


cdef class PdqIndex:
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

    def __dealloc__(self):
        free_table(&self.table)

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

    @property
    def memory_bytes(self):
        """Return the bytes held."""
        held = PDQ_BYTES * (self.table.index.count + self.table.block_room)
        return held + (words_bytes(&self.table.index) if self.table.index.count > 0 else 0)
