# Building the tables of all lanes from keys, without the GIL.


cdef struct ListOptions:
    bint start                  # the starts of patterns are tested for word boundaries
    bint end
    bint insist


cdef struct Build:
    KeywordTable* table
    Pattern* patterns           # KeywordTable.patterns while it is filled
    Source* sources             # every form, in the order of patterns
    uint32_t source_count
    ListOptions* options        # per list
    uint8_t* filtered           # per list: some of what it finds may not count
    uint8_t* longest            # per list: KeywordTable.longest
    Key* keys                   # in the order of sources
    uint8_t* remarks            # per pattern, REMARK_* bits
    Bump* bump                  # of what scanning reads
    Bump* scratch               # of what building alone reads
    uint64_t limit              # bytes that the table may take
    uint64_t taken
    uint32_t refused            # source of the key that could not be made
    uint32_t actual


cdef enum:
    REMARK_OWN_KEY = 1
    REMARK_OPEN_START = 2
    REMARK_OPEN_END = 4
    REMARK_DOMINATED = 8
    REMARK_EXCEPTED = 16
    REMARK_IDLE = 32


cdef int make_keys(Build* build) noexcept nogil:
    """Make the key of every source; KEY_* of the first that is refused."""
    cdef uint32_t i
    cdef int made
    cdef const Key* folded = NULL  # of the pattern and reading at hand
    cdef const Pattern* pattern
    cdef const ListOptions* options
    for i in range(build.source_count):
        pattern = &build.patterns[build.sources[i].pattern]
        options = &build.options[pattern.list]
        made = make_key(
            &build.sources[i], pattern, options.start, options.end, options.insist,
            build.bump, build.scratch, &build.keys[i], &build.actual,
        )
        if made != KEY_MADE:
            build.refused = i
            return made
        if build.sources[i].folded:
            folded = &build.keys[i]
        elif pattern.lane == LANE_SQUEEZED:
            ask_alike(&build.keys[i], folded)
    return KEY_MADE


cdef int build_lane(Build* build, uint32_t lane, Key* keys, uint32_t count) noexcept nogil:
    """Sort the keys of one lane and build its automaton and gates."""
    cdef LaneTable* made = &build.table.lane[lane]
    cdef uint64_t states, size = 0, whole = 0
    cdef uint32_t* order
    cdef uint32_t i, known = 0
    cdef int result
    qsort(keys, count, sizeof(Key), &compare_keys)
    for i in range(1, count):
        keys[i].duplicate = is_same(build.table, &keys[i - 1], &keys[i])
    states = count_states(keys, count)
    build.taken += automaton_bytes(states, count, tested_ends(keys, count) < 1)
    if lane != LANE_SQUEEZED:
        for i in range(count):
            known += first_word(&keys[i]).known
    if known:
        size = word_gate_bytes(known)
    if known and has_whole_words(keys, count):
        whole = whole_words_bytes(count_whole_words(keys, count))
    build.taken += size + whole
    if build.taken > build.limit:
        return TABLE_TOO_LARGE
    if known:
        result = build_word_gate(&made.words, build.bump, keys, count, size)
        if result != BUILT:
            return result
    result = build_byte_gate(
        build.table, &made.bytes, build.bump, build.scratch, keys, count,
        lane != LANE_SQUEEZED, build.limit - build.taken, &size,
    )
    build.taken += size
    if result != BUILT:
        return result
    result = build_automaton(
        build.table, build.filtered, &made.automaton, build.bump, build.scratch, keys, count,
        <uint32_t> states, &order,
    )
    if result == BUILT and whole:
        result = build_whole_words(&made.whole, &made.automaton, build.bump, keys, count, whole)
    return result


cdef void remark_on(Build* build, uint32_t lane, const Key* key, Occurrence* met) noexcept nogil:
    """Note what of its own list stands in the first key of a pattern."""
    cdef const Pattern* pattern = &build.patterns[key.pattern]
    cdef const Output* output
    cdef uint8_t* remarks = &build.remarks[key.pattern]
    cdef Post post
    cdef View view
    cdef Search search
    cdef uint32_t i
    cdef bint idle = True
    memset(&view, 0, sizeof(view))
    memset(&post, 0, sizeof(post))
    view.data = key.data
    view.word = key.word
    view.size = key.size
    search.table = build.table
    search.automaton = &build.table.lane[lane].automaton
    search.whole = NULL         # what lies behind a key may not be read
    search.view = &view
    search.state = NULL
    search.post = &post
    search.budget = VISITS_FIXED + <uint64_t> VISITS_PER_BYTE * key.size
    search.met = met
    search.met_count = 0
    run_all(&search)
    for i in range(search.met_count):
        output = met[i].output
        if output.list != key.list:
            continue
        if output.kind & OUTPUT_EXCEPTION:
            if output.size == key.size and not pattern.exception:
                remarks[0] |= REMARK_EXCEPTED
            continue
        idle = False
        if output.size < key.size and not pattern.exception and not build.longest[key.list]:
            remarks[0] |= REMARK_DOMINATED
    if pattern.exception and idle:
        remarks[0] |= REMARK_IDLE


cdef int make_remarks(
    Build* build, uint32_t lane, const Key* keys, uint32_t count
) noexcept nogil:
    """Note what the authors of lists should know; every key of the lane is in its automaton."""
    cdef uint32_t i
    cdef uint8_t* remarks
    cdef Occurrence* met = <Occurrence*> bump_alloc(
        build.scratch, (VISITS_FIXED + VISITS_PER_BYTE * LONGEST_KEY) * sizeof(Occurrence)
    )
    if met == NULL:
        return NO_MEMORY
    for i in range(count):
        if not keys[i].duplicate:
            build.remarks[keys[i].pattern] |= REMARK_OWN_KEY
    for i in range(count):
        remarks = &build.remarks[keys[i].pattern]
        if not keys[i].first or not remarks[0] & REMARK_OWN_KEY:
            continue
        if lane != LANE_SQUEEZED:
            remark_on(build, lane, &keys[i], met)
        if build.patterns[keys[i].pattern].exception:
            continue
        if build.options[keys[i].list].start and not keys[i].test_start:
            remarks[0] |= REMARK_OPEN_START
        if build.options[keys[i].list].end and not keys[i].test_end:
            remarks[0] |= REMARK_OPEN_END
    return BUILT


cdef int build_lanes(Build* build) noexcept nogil:
    """Make keys and all automata; BUILT or why not, KEY_* included."""
    cdef uint32_t lane, i, count
    cdef Key* of_lane
    cdef int result = make_keys(build)
    if result != KEY_MADE:
        return result
    of_lane = <Key*> bump_alloc(build.scratch, <size_t> build.source_count * sizeof(Key))
    if of_lane == NULL:
        return NO_MEMORY
    for lane in range(<uint32_t> LANE_COUNT):
        count = 0
        for i in range(build.source_count):
            if build.patterns[build.keys[i].pattern].lane == lane:
                of_lane[count] = build.keys[i]
                count += 1
        if count == 0:
            continue
        build.table.lanes |= 1u << lane
        result = build_lane(build, lane, of_lane, count)
        if result == BUILT:
            result = make_remarks(build, lane, of_lane, count)
        if result != BUILT:
            return result
    return BUILT
