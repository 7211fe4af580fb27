# Entries by the value of each of their 16-bit words: built, probed, candidates checked. Included by
# near.pyx.

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


cdef object words_bytes(const WordIndex* index):
    return index.words * (4 * ROW + 6 * index.count)
