# Reading keyword lists for a build, and saying what it made of them: what needs the GIL.


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
