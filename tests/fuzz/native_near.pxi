# The target near: indexes of hashes by distance, against a loop over every entry. Included by
# native.pyx.

cdef enum:
    NEAR_ENTRIES = 128  # each is compared on every input
    PDQ_ENTRIES = 17000  # above distances.BRUTE_PDQS, so that the index is built

cdef uint64_t[NEAR_ENTRIES] near_hashes
cdef uint64_t[4 * PDQ_ENTRIES] pdq_hashes
cdef uint64_t random_state = 88172645463325252


cdef uint64_t random_word() noexcept nogil:
    """Step xorshift64 (Marsaglia 2003)."""
    global random_state
    random_state ^= random_state << 13
    random_state ^= random_state >> 7
    random_state ^= random_state << 17
    return random_state


cdef bytes filled(uint64_t* words, int count, int of):
    """Fill in entries, each second one a few bits off the one before."""
    cdef int i
    for i in range(count):
        words[i] = random_word()
        if i >= of and (i // of) % 2:
            words[i] = words[i - of] ^ (<uint64_t>1 << (random_word() & 63))
    return (<const char*>words)[:8 * count]


def simhashes():
    from array import array
    held = array("Q")
    held.frombytes(filled(near_hashes, NEAR_ENTRIES, 1))
    return held


NEAR_INDEXES = [SimHashIndex(simhashes(), radius) for radius in (3,)] + [
    PdqIndex(filled(pdq_hashes, 4 * PDQ_ENTRIES, 4), 31)
]
cdef NearTable* simhash_table = &(<SimHashIndex>NEAR_INDEXES[0]).table
cdef NearTable* pdq_table = &(<PdqIndex>NEAR_INDEXES[1]).table
cdef NearHits near_hits


cdef void check_near(
    const NearTable* table, const uint64_t* held, int count, int words, const uint64_t* query,
    int radius,
) noexcept nogil:
    """Compare what an index finds with a loop over every entry."""
    cdef int i, word, distance
    cdef size_t found = 0
    if words == 1:
        must(find_simhashes(table, query, 1, &near_hits) == 0, b"memory")
    else:
        must(find_pdqs(table, query, 1, &near_hits) == 0, b"memory")
    for i in range(count):
        distance = 0
        for word in range(words):
            distance += __builtin_popcountll(held[words * i + word] ^ query[word])
        if distance > radius:
            continue
        must(found < near_hits.count, b"every entry that is near is found")
        must(near_hits.hits[found].entry == <uint32_t>i, b"entries in their order")
        must(near_hits.hits[found].distance == <uint32_t>distance, b"the distance")
        found += 1
    must(found == near_hits.count, b"nothing else is found")


cdef int fuzz_near(const uint8_t* data, size_t size) noexcept nogil:
    """Read an entry and bits to flip in it; ask both indexes for what results."""
    cdef uint64_t[4] query
    cdef size_t i
    cdef int entry
    if size < 2:
        return 0
    entry = (data[0] | data[1] << 8) % NEAR_ENTRIES
    query[0] = near_hashes[entry]
    for i in range(2, min(size, 14)):
        query[0] ^= <uint64_t>1 << (data[i] & 63)
    check_near(simhash_table, near_hashes, NEAR_ENTRIES, 1, query, 3)
    if data[size - 1] or size & 3:  # the loop over 17,000, on one input in a thousand
        return 0
    entry = (data[0] | data[1] << 8) % PDQ_ENTRIES
    memcpy(query, pdq_hashes + 4 * entry, 32)
    for i in range(2, min(size, 40)):
        query[data[i] >> 6] ^= <uint64_t>1 << (data[i] & 63)
    check_near(pdq_table, pdq_hashes, PDQ_ENTRIES, 4, query, 31)
    return 0
