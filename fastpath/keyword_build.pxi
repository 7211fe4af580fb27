# Building a table: what Python knows of the lists is read first, the rest needs no GIL.


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
    cdef uint64_t states, size = 0
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
    build.taken += size
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
    return build_automaton(
        build.table, build.filtered, &made.automaton, build.bump, build.scratch, keys, count,
        <uint32_t> states, &order,
    )


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
        if output.exception:
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


# What needs the GIL.


cdef int check_list(held) except -1:
    where = f"list {held.name!r}"
    if held.pattern_lanes and len(held.pattern_lanes) != len(held.patterns):
        raise BuildError(
            "lanes per pattern", len(held.patterns), len(held.pattern_lanes), where
        )
    for lanes in {held.lanes, *held.pattern_lanes}:
        if not lanes:
            raise BuildError("lanes of a list", "at least one", 0, where)
        for lane in lanes:
            if lane not in LANES:
                raise BuildError("lane", " or ".join(LANES), lane, where)
    if held.boundary not in ("word", "prefix", "none"):
        raise BuildError("boundary", "word or prefix or none", held.boundary, where)
    if held.report not in ("all", "leftmost-longest"):
        raise BuildError("report", "all or leftmost-longest", held.report, where)
    return 0


cdef uint32_t lane_bits(lanes):
    return sum([1 << LANES.index(lane) for lane in set(lanes)])


cdef list lanes_of_patterns(held):
    """Return the lanes of each pattern of a list as bits; one entry where all are the same."""
    if not held.pattern_lanes:
        return [lane_bits(held.lanes)]
    bits = {lanes: lane_bits(lanes) for lanes in set(held.pattern_lanes)}
    return [bits[lanes] for lanes in held.pattern_lanes]


cdef size_t count_entries(held, list bits, uint32_t lane):
    """Count the patterns of a list in a lane, and its exceptions where it has any pattern."""
    cdef size_t patterns = 0
    if len(bits) == 1 and len(held.patterns) != 1:
        patterns = len(held.patterns) if bits[0] >> lane & 1 else 0
    else:
        patterns = sum([each >> lane & 1 for each in bits]) if held.patterns else 0
    return patterns + len(held.exceptions) if patterns else 0


cdef int add_form(
    Build* build, str form, uint32_t pattern, bint folded, bint as_latin
) except -1:
    """Add one form of a pattern; its bytes live as long as `form`."""
    cdef Source* source = &build.sources[build.source_count]
    cdef Py_ssize_t size = 0
    source.data = <const uint8_t*> PyUnicode_AsUTF8AndSize(form, &size)
    source.size = <uint32_t> size
    source.pattern = pattern
    source.first = (
        build.source_count == 0 or build.sources[build.source_count - 1].pattern != pattern
    )
    source.folded = folded
    source.as_latin = as_latin
    build.source_count += 1
    return 0


cdef int add_forms(
    Build* build, str written, uint32_t pattern, uint32_t lane, bint as_latin, list kept
) except -1:
    if lane != LANE_SKELETON:
        add_form(build, written, pattern, True, as_latin)
    if lane >= LANE_SKELETON:
        # Case mappings are the interpreter's: those of Unicode 14.0 to 15.1 are the same.
        for form in (written.lower(), written.upper(), written.title()):
            kept.append(form)
            add_form(build, form, pattern, False, as_latin)
    return 0


cdef int add_entry(Build* build, held, str written, uint32_t pattern, uint32_t lane, list kept
                   ) except -1:
    """Add the forms of one entry in one lane; `kept` keeps alive what was made for it."""
    try:
        add_forms(build, written, pattern, lane, True, kept)
        if lane == LANE_SQUEEZED and not written.isascii():
            add_forms(build, written, pattern, lane, False, kept)
    except UnicodeEncodeError as error:
        where = f"list {held.name!r}, pattern {written!r}, lane {LANES[lane]}"
        raise BuildError("pattern encoding", "UTF-8", error.reason, where) from None
    return 0


cdef int add_entries(
    Build* build, uint32_t list_index, held, list bits, uint32_t lane, uint32_t* number, list kept
) except -1:
    """Number the patterns of a list in a lane, then its exceptions, and add their forms."""
    cdef uint32_t index, count = 0
    cdef Pattern* pattern
    cdef bint exception
    if count_entries(held, bits, lane) == 0:
        return 0
    for exception in (False, True):
        for index, written in enumerate(held.exceptions if exception else held.patterns):
            if not exception and not bits[index if len(bits) > 1 else 0] >> lane & 1:
                continue
            pattern = &build.patterns[number[0]]
            pattern.list = list_index
            pattern.index = index
            pattern.lane = lane
            pattern.exception = exception
            add_entry(build, held, written, number[0], lane, kept)
            number[0] += 1
            count += 1
            if count % TURN == 0:
                with nogil:
                    pass
    return 0


cdef object refuse(Build* build, owner_lists, int result):
    """Return the error for what could not be built."""
    cdef const Pattern* pattern
    if result == NO_MEMORY:
        return MemoryError(f"no memory for a keyword table of {build.taken} bytes")
    if result == TABLE_TOO_LARGE:
        return BuildError("keyword table bytes", build.limit, build.taken)
    pattern = &build.patterns[build.sources[build.refused].pattern]
    held = owner_lists[pattern.list]
    written = (held.exceptions if pattern.exception else held.patterns)[pattern.index]
    where = f"list {held.name!r}, pattern {written!r}, lane {LANES[pattern.lane]}"
    if result == KEY_LETTERS:
        least = f"at least {LEAST_LETTERS}, unless the list insists"
        return BuildError("letters of a squeezed pattern", least, build.actual, where)
    return BuildError("pattern bytes", f"1 to {LONGEST_KEY}", build.actual, where)


cdef list read_notes(Build* build, owner_lists):
    """Return the notes of every pattern that has any."""
    cdef uint32_t number
    cdef const Pattern* pattern
    cdef uint8_t remarks
    notes = []
    for number in range(build.table.pattern_count):
        remarks = build.remarks[number]
        if remarks == REMARK_OWN_KEY:
            continue
        pattern = &build.patterns[number]
        held = owner_lists[pattern.list]
        written = (held.exceptions if pattern.exception else held.patterns)[pattern.index]
        for bit, remark in REMARKS:
            if bool(remarks & bit) != (bit == REMARK_OWN_KEY):
                notes.append(PatternNote(held.name, written, LANES[pattern.lane], remark))
                if bit == REMARK_OWN_KEY:
                    break
    return notes


REMARKS = (
    (REMARK_OWN_KEY, "duplicate"),                  # where it has none
    (REMARK_OPEN_START, "unbounded_start"),
    (REMARK_OPEN_END, "unbounded_end"),
    (REMARK_EXCEPTED, "excepted"),
    (REMARK_DOMINATED, "dominated"),
    (REMARK_IDLE, "idle_exception"),
)

# Forms of a pattern by lane, the written one included.
FORMS = (1, 1, 3, 4)


cdef size_t count_forms(held, size_t entries, uint32_t lane):
    """Count the forms of a list's entries in a lane; beyond ASCII squeezed ones are read twice."""
    cdef size_t twice = 0
    if entries and lane == LANE_SQUEEZED:
        twice = sum([not each.isascii() for each in (*held.patterns, *held.exceptions)])
    return (entries + twice) * <size_t> FORMS[lane]


cdef int open_build(Build* build, Keywords owner, Arena scratch, size_t total, size_t forms
                    ) except -1:
    """Make room for a build of so many patterns times lanes."""
    cdef size_t lists = len(owner.lists)
    memset(build, 0, sizeof(Build))
    build.table = &owner.table
    build.bump = &owner.arena.bump
    build.scratch = &scratch.bump
    build.limit = limits.MAX_TABLE_BYTES
    build.patterns = <Pattern*> bump_alloc(build.bump, total * sizeof(Pattern))
    build.longest = <uint8_t*> bump_alloc(build.bump, lists)
    build.sources = <Source*> bump_alloc(build.scratch, forms * sizeof(Source))
    build.keys = <Key*> bump_alloc(build.scratch, forms * sizeof(Key))
    build.remarks = <uint8_t*> bump_alloc(build.scratch, total)
    build.options = <ListOptions*> bump_alloc(build.scratch, lists * sizeof(ListOptions))
    build.filtered = <uint8_t*> bump_alloc(build.scratch, lists)
    if (
        build.patterns == NULL or build.longest == NULL or build.sources == NULL
        or build.keys == NULL or build.remarks == NULL or build.options == NULL
        or build.filtered == NULL
    ):
        raise MemoryError("no memory for patterns")
    memset(build.remarks, 0, total)
    owner.table.patterns = build.patterns
    owner.table.longest = build.longest
    owner.table.pattern_count = <uint32_t> total
    owner.table.lists = <uint32_t> lists
    return 0


cdef tuple build_table(Keywords owner):
    """Build the table of a Keywords and return its notes; raises BuildError or MemoryError."""
    cdef Build build
    cdef Arena scratch = Arena()
    cdef uint32_t lane, number = 0
    cdef size_t total = 0, forms = 0, entries
    cdef int result
    cdef list kept = []
    lanes = []
    for held in owner.lists:
        check_list(held)
        lanes.append(lanes_of_patterns(held))
        for lane in range(<uint32_t> LANE_COUNT):
            entries = count_entries(held, lanes[len(lanes) - 1], lane)
            total += entries
            forms += count_forms(held, entries, lane)
    if total > limits.MAX_PATTERNS:
        raise BuildError("patterns times lanes", limits.MAX_PATTERNS, total)
    open_build(&build, owner, scratch, total, forms)
    for index, held in enumerate(owner.lists):
        build.options[index].start = held.boundary != "none"
        build.options[index].end = held.boundary == "word"
        build.options[index].insist = held.insist
        build.longest[index] = held.report == "leftmost-longest"
        build.filtered[index] = build.longest[index] or len(held.exceptions) > 0
        owner.table.filtered = owner.table.filtered or build.filtered[index]
        for lane in range(<uint32_t> LANE_COUNT):
            add_entries(&build, <uint32_t> index, held, lanes[index], lane, &number, kept)
    with nogil:
        result = build_lanes(&build)
    if result != BUILT:
        raise refuse(&build, owner.lists, result)
    owner.table_bytes = build.taken
    return tuple(read_notes(&build, owner.lists))
