# From candidates to rows: which keys stand where, and which of them count.
# `fastpath.reference.keywords` defines them.


cdef struct Occurrence:         # of a list that reports not all of them
    const Output* output
    uint32_t start              # bytes of the view
    uint32_t end


cdef struct Post:               # what is known of the post at hand
    uint32_t rows               # in ScanState.found
    uint32_t visited
    bint truncated
    bint searched               # some lane was: scratch is in use


cdef struct Search:             # one lane of one post
    uint32_t lane
    const KeywordTable* table
    const Automaton* automaton
    const WholeWords* whole     # NULL: words are walked byte by byte
    const View* view
    ScanState* state            # NULL while building
    Post* post
    uint64_t budget             # occurrences that may still be looked at
    Occurrence* met             # of filtered lists
    uint32_t met_count


cdef bint letters_fit(const View* view, const Output* output, uint32_t end) noexcept nogil:
    """Compare edges, gaps and runs of letters: `reference.squeezed.fits`."""
    cdef const uint16_t* has = view.letters + (end - output.size)
    cdef const uint8_t* data = view.data + (end - output.size)
    cdef bint fitting = True, doubled = True, drawn
    cdef uint32_t i, run, least
    if output.kind & OUTPUT_TEST_START and not has[0] & LETTER_STARTS:
        return False
    if output.kind & OUTPUT_TEST_END and not has[output.size - 1] & LETTER_ENDS:
        return False
    for i in range(output.size):
        if i and has[i] & LETTER_GAP and not output.asks[i] & LETTER_GAP:
            return False
        if output.asks[i] & LETTER_GAP and not has[i] & LETTER_PARTED:
            return False
        if has[i] & ~output.asks[i] & LETTER_SELF:
            return False
        run = has[i] / LETTER_RUN
        least = output.asks[i] / LETTER_RUN
        drawn = has[i] & LETTER_DRAWN if data[i] == c"i" else run >= MIN_DRAWN
        fitting = fitting and (run == least or (run > least and drawn))
        doubled = doubled and run >= max(least, <uint32_t> 2)
    return fitting or doubled


cdef inline MetPattern* slot_of_pattern(ScanState* state, uint32_t pattern) noexcept nogil:
    """Return the slot of a pattern that has a row in this post, or the free one it would take."""
    cdef uint32_t at = pattern * 0x9E3779B1u >> state.shift
    cdef uint32_t last = 0xFFFFFFFFu >> state.shift
    while state.patterns[at].epoch == state.epoch and state.patterns[at].pattern != pattern:
        at = at + 1 & last
    return &state.patterns[at]


cdef void count_match(Search* search, const Output* output, uint32_t end) noexcept nogil:
    """Add one occurrence to its row, or open a row while the list may have one more."""
    cdef ScanState* state = search.state
    cdef const View* view = search.view
    cdef Post* post = search.post
    cdef MetPattern* met = slot_of_pattern(state, output.pattern)
    cdef MetList* held = &state.lists[output.list]
    cdef MatchRow* row
    cdef uint32_t start = end - output.size
    if met.epoch == state.epoch:
        state.found[met.row].row.count += 1
        return
    if held.epoch != state.epoch:
        held.epoch = state.epoch
        held.rows = 0
    if held.rows == MAX_ROWS:
        post.truncated = True
        return
    held.rows += 1
    met.epoch = state.epoch
    met.pattern = output.pattern
    met.row = post.rows
    state.found[post.rows].pattern = output.pattern
    row = &state.found[post.rows].row
    row.list = output.list
    row.pattern = output.index
    row.lane = search.lane
    row.start = start if view.start == NULL else view.start[start]
    row.end = end if view.end == NULL else view.end[end - 1]
    row.count = 1
    post.rows += 1


cdef void meet(Search* search, const Output* output, uint32_t end) noexcept nogil:
    """Count an occurrence, or keep it until the lane is read where its list leaves some out."""
    cdef Occurrence* met
    if search.state != NULL and not output.kind & OUTPUT_FILTERED:
        count_match(search, output, end)
        return
    met = &search.met[search.met_count]
    met.output = output
    met.start = end - output.size
    met.end = end
    search.met_count += 1


cdef bint visit_outputs(
    Search* search, const Output* outputs, uint32_t count, uint32_t end, bint inside
) noexcept nogil:
    """Visit outputs that end here; false when the budget of the lane is used up."""
    cdef const View* view = search.view
    cdef const Output* output
    cdef bint letters = view.letters != NULL
    cdef uint32_t i, cost = 1
    for i in range(count):
        output = &outputs[i]
        if inside and output.kind & OUTPUT_TEST_END:
            continue
        if letters:
            cost = output.size
        if search.budget < cost:
            search.post.truncated = True
            return False
        search.budget -= cost
        search.post.visited += cost
        if not letters or letters_fit(view, output, end):
            meet(search, output, end)
    return True


cdef bint visit(Search* search, uint32_t state, uint32_t end) noexcept nogil:
    """Visit what ends here, longest first; false when the budget of the lane is used up."""
    cdef const Automaton* automaton = search.automaton
    cdef const View* view = search.view
    # Where a word goes on, outputs whose end is tested do not stand and are not even met.
    cdef bint inside = view.letters == NULL and end < view.size and word_at(view.word, end)
    cdef uint32_t current, first
    while True:
        if not inside:
            current = automaton.states[state].reports
        elif automaton.open_reports == NULL:
            return True
        else:
            current = automaton.open_reports[state]
        if not current:
            return True
        first = automaton.states[current].outputs
        if not visit_outputs(
            search, &automaton.outputs[first], automaton.states[current + 1].outputs - first,
            end, inside,
        ):
            return False
        state = automaton.states[current].fallback


cdef struct Cursor:             # how far a lane is read
    uint32_t at                 # the next byte
    uint32_t state              # of the automaton, before it
    bint begins                 # no word character stands before it
    bint rooted                 # where the state has no such word, state 1 is asked next


cdef bint run_word(Search* search, Cursor* cursor, uint32_t size) noexcept nogil:
    """Search a whole word at once, and the space behind it; false: budget."""
    cdef const Automaton* automaton = search.automaton
    cdef const View* view = search.view
    cdef WordBytes bytes = gate_load_word(view.data + cursor.at, size)
    cdef const WholeWord* word = slot_of(search.whole, cursor.state, bytes)
    cdef const Output* outputs
    cdef bint going
    while not word.behind and cursor.state > 1:
        cursor.state = 1 if cursor.rooted else automaton.states[cursor.state].fallback
        word = slot_of(search.whole, cursor.state, bytes)
    cursor.at += size
    if word.kind & WORD_SUFFIX_REPORTS:
        going = visit(search, word.behind, cursor.at)
    else:
        outputs = &word.output
        if word.output_count > 1:
            outputs = &automaton.outputs[word.outputs]
        going = visit_outputs(search, outputs, word.output_count, cursor.at, False)
    if word.spaced and cursor.at < view.size and view.data[cursor.at] == c" ":
        cursor.at += 1
        cursor.state = word.spaced
        cursor.begins = True
        cursor.rooted = not word.kind & WORD_SPACED_FALLS
    else:
        cursor.state = word.behind if word.kind & WORD_GOES_ON else 0
        cursor.begins = False
    return going


cdef bint run_byte(Search* search, Cursor* cursor) noexcept nogil:
    """Search one byte; false: budget."""
    cdef const Automaton* automaton = search.automaton
    cdef const View* view = search.view
    cdef bint word = word_at(view.word, cursor.at)
    cursor.state = next_state(automaton, cursor.state, view.data[cursor.at], word)
    cursor.at += 1
    cursor.begins = not word
    cursor.rooted = False
    return (
        cursor.state < 2 or not automaton.states[cursor.state].reports
        or visit(search, cursor.state, cursor.at)
    )


cdef inline void skip_to(Cursor* cursor, const View* view, uint32_t at) noexcept nogil:
    """Go on at a later byte, where nothing is under way."""
    cursor.at = at
    cursor.begins = not word_at(view.word, at - 1)
    cursor.state = cursor.begins


cdef void run_candidates(
    Search* search, const uint32_t* candidates, uint32_t count, uint32_t lead
) noexcept nogil:
    """Search about the candidates alone; a key begins at most `lead` bytes before one."""
    cdef const View* view = search.view
    cdef uint32_t i = 0, size
    cdef Cursor cursor
    cursor.at = 0
    cursor.begins = True
    cursor.rooted = False
    cursor.state = view.word != NULL
    while cursor.at < view.size:
        if cursor.state < 2:
            while i < count and candidates[i] < cursor.at:
                i += 1
            if i == count:
                return
            if candidates[i] > cursor.at + lead:
                skip_to(&cursor, view, candidates[i] - lead)
        size = word_bytes(view, cursor.at) if cursor.begins and search.whole != NULL else 0
        if not (run_word(search, &cursor, size) if size else run_byte(search, &cursor)):
            return


cdef void run_all(Search* search) noexcept nogil:
    """Search the whole view."""
    run_candidates(search, &search.view.size, 1, search.view.size)


cdef int compare_occurrences(const void* left, const void* right) noexcept nogil:
    """Order by list, start, longest first, exceptions first, pattern."""
    cdef const Occurrence* a = <const Occurrence*> left
    cdef const Occurrence* b = <const Occurrence*> right
    if a.output.list != b.output.list:
        return 1 if a.output.list > b.output.list else -1
    if a.start != b.start:
        return 1 if a.start > b.start else -1
    if a.end != b.end:
        return 1 if a.end < b.end else -1
    if (a.output.kind ^ b.output.kind) & OUTPUT_EXCEPTION:
        return 1 if b.output.kind & OUTPUT_EXCEPTION else -1
    return (a.output.pattern > b.output.pattern) - (a.output.pattern < b.output.pattern)


cdef void count_filtered(Search* search) noexcept nogil:
    """Count what no exception covers and, where a list asks for it, what nothing overlaps."""
    cdef const Occurrence* met
    cdef uint32_t i, list_at_hand = 0, covered = 0, reach = 0
    qsort(search.met, search.met_count, sizeof(Occurrence), &compare_occurrences)
    for i in range(search.met_count):
        met = &search.met[i]
        if i == 0 or met.output.list != list_at_hand:
            list_at_hand = met.output.list
            covered = reach = 0
        if met.output.kind & OUTPUT_EXCEPTION:
            covered = max(covered, met.end)
            continue
        # An exception that covers it begins no later, so it was seen.
        if met.end <= covered:
            continue
        if search.table.longest[list_at_hand]:
            if met.start < reach:
                continue
            reach = met.end
        count_match(search, met.output, met.end)


cdef uint32_t find_candidates(
    const LaneTable* table, const View* view, uint32_t* candidates
) noexcept nogil:
    cdef const WordGate* gate = &table.words
    return gate_words(
        LEVEL, gate.sparse, gate.buckets, gate.shift, gate.least, table.whole.slots,
        table.whole.count, view.data, view.word, view.size, candidates,
    )


cdef int search_lane(
    const KeywordTable* table, ScanState* state, Post* post, uint32_t lane, const View* seen,
    const Lane* source, bint whole,
) noexcept nogil:
    """Find and count what stands in one lane; 0, or -1 when the arena has no memory.

    `whole`: the byte gate let it through and `seen` has single spaces; else it is the lane as it
    is, which is the same to the word gate.
    """
    cdef const WordGate* words = &table.lane[lane].words
    cdef uint32_t* candidates = NULL
    cdef uint32_t count = 0
    cdef Search search
    cdef View view = seen[0]
    if not whole:
        if words.sparse == NULL:
            return 0
        candidates = <uint32_t*> bump_reserve(
            state.scratch, (<size_t> view.size + 2) * sizeof(uint32_t)
        )
        if candidates == NULL:
            return -1
        count = find_candidates(&table.lane[lane], &view, candidates)
        if count == 0:
            return 0
        bump_commit(state.scratch, (<size_t> view.size + 2) * sizeof(uint32_t))
        if view_lane(state.scratch, source, &view):
            return -1
        if view.start != NULL:
            count = find_candidates(&table.lane[lane], &view, candidates)
    post.searched = True
    search.lane = lane
    search.table = table
    search.automaton = &table.lane[lane].automaton
    search.whole = NULL
    if table.lane[lane].whole.slots != NULL:
        search.whole = &table.lane[lane].whole
    search.view = &view
    search.state = state
    search.post = post
    search.budget = VISITS_FIXED + <uint64_t> VISITS_PER_BYTE * view.size
    search.met_count = 0
    if table.filtered:
        search.met = <Occurrence*> bump_reserve(state.scratch, search.budget * sizeof(Occurrence))
        if search.met == NULL:
            return -1
    if whole:
        run_all(&search)
    else:
        run_candidates(&search, candidates, count, words.lead)
    if search.met_count:
        count_filtered(&search)
    return 0
