# From candidates to rows: which keys stand where, which of them count, what is written.
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
    if output.test_start and not has[0] & LETTER_STARTS:
        return False
    if output.test_end and not has[output.size - 1] & LETTER_ENDS:
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


cdef void count_match(
    ScanState* state, Post* post, const View* view, const Output* output, uint32_t end
) noexcept nogil:
    """Add one occurrence to its row, or open a row while the list may have one more."""
    cdef Seen* pattern = &state.patterns[output.pattern]
    cdef Seen* held = &state.lists[output.list]
    cdef Found* found
    cdef uint32_t start = end - output.size
    if pattern.epoch == state.epoch:
        state.found[pattern.row].count += 1
        return
    if held.epoch != state.epoch:
        held.epoch = state.epoch
        held.row = 0
    if held.row == MAX_ROWS:
        post.truncated = True
        return
    held.row += 1
    pattern.epoch = state.epoch
    pattern.row = post.rows
    found = &state.found[post.rows]
    found.pattern = output.pattern
    found.start = start if view.start == NULL else view.start[start]
    found.end = end if view.end == NULL else view.end[end - 1]
    found.count = 1
    post.rows += 1


cdef void meet(Search* search, const Output* output, uint32_t end) noexcept nogil:
    """Count an occurrence, or keep it until the lane is read where its list leaves some out."""
    cdef Occurrence* met
    if search.state != NULL and not output.filtered:
        count_match(search.state, search.post, search.view, output, end)
        return
    met = &search.met[search.met_count]
    met.output = output
    met.start = end - output.size
    met.end = end
    search.met_count += 1


cdef bint visit_outputs(
    Search* search, uint32_t first, uint32_t last, uint32_t end, bint inside
) noexcept nogil:
    """Visit outputs that end here; false when the budget of the lane is used up."""
    cdef const View* view = search.view
    cdef const Output* output
    cdef bint letters = view.letters != NULL
    cdef uint32_t at, cost = 1
    for at in range(first, last):
        output = &search.automaton.outputs[at]
        if inside and output.test_end:
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
    cdef uint32_t current
    while True:
        if not inside:
            current = automaton.states[state].reports
        elif automaton.open_reports == NULL:
            return True
        else:
            current = automaton.open_reports[state]
        if not current:
            return True
        if not visit_outputs(
            search, automaton.states[current].outputs, automaton.states[current + 1].outputs, end,
            inside,
        ):
            return False
        state = automaton.states[current].fallback


cdef bint run_word(
    Search* search, uint32_t* at, uint32_t size, uint32_t* state
) noexcept nogil:
    """Search a whole word at once, from a state where it begins; false: budget."""
    cdef const Automaton* automaton = search.automaton
    cdef WordBytes bytes = gate_load_word(search.view.data + at[0], size)
    cdef const WholeWord* word = slot_of(search.whole, state[0], bytes)
    while not word.behind and state[0] > 1:
        state[0] = automaton.states[state[0]].fallback
        word = slot_of(search.whole, state[0], bytes)
    at[0] += size
    if word.kind & WORD_CHAINED:
        state[0] = word.behind
        return visit(search, word.behind, at[0])
    state[0] = word.behind if word.kind & WORD_GOES_ON else 0
    return visit_outputs(search, word.outputs, word.outputs + word.output_count, at[0], False)


cdef bint run_from(Search* search, uint32_t* at, uint32_t beyond) noexcept nogil:
    """Search from a byte until past `beyond` nothing more can begin before it; false: budget."""
    cdef const Automaton* automaton = search.automaton
    cdef const View* view = search.view
    cdef uint32_t position = at[0], size
    cdef bint begins = not (position and word_at(view.word, position - 1)), word
    cdef uint32_t state = begins and view.word != NULL
    while position < view.size:
        size = word_bytes(view, position) if begins and search.whole != NULL else 0
        if size:
            if not run_word(search, &position, size, &state):
                return False
            begins = False
        else:
            word = word_at(view.word, position)
            state = next_state(automaton, state, view.data[position], word)
            position += 1
            begins = not word
            if (
                state > 1 and automaton.states[state].reports
                and not visit(search, state, position)
            ):
                return False
        if state < 2 and position > beyond:
            break
    at[0] = position
    return True


cdef void run_all(Search* search) noexcept nogil:
    """Search the whole view."""
    cdef uint32_t at = 0
    run_from(search, &at, search.view.size)


cdef void run_candidates(
    Search* search, const uint32_t* candidates, uint32_t count, uint32_t lead
) noexcept nogil:
    """Search about the candidates alone; a key begins at most `lead` bytes before one."""
    cdef uint32_t i, at = 0, begin
    for i in range(count):
        if candidates[i] < at:
            continue
        begin = candidates[i] - lead if candidates[i] > lead else 0
        at = max(at, begin)
        if not run_from(search, &at, candidates[i]):
            return


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
    if a.output.exception != b.output.exception:
        return 1 if b.output.exception else -1
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
        if met.output.exception:
            covered = max(covered, met.end)
            continue
        # An exception that covers it begins no later, so it was seen.
        if met.end <= covered:
            continue
        if search.table.longest[list_at_hand]:
            if met.start < reach:
                continue
            reach = met.end
        count_match(search.state, search.post, search.view, met.output, met.end)


cdef uint32_t find_candidates(
    const WordGate* gate, const View* view, uint32_t* candidates
) noexcept nogil:
    return gate_words(
        LEVEL, gate.sparse, gate.buckets, gate.shift, gate.least, view.data, view.word, view.size,
        candidates,
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
        count = find_candidates(words, &view, candidates)
        if count == 0:
            return 0
        bump_commit(state.scratch, (<size_t> view.size + 2) * sizeof(uint32_t))
        if view_lane(state.scratch, source, &view):
            return -1
        if view.start != NULL:
            count = find_candidates(words, &view, candidates)
    post.searched = True
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


# Rows.


cdef int compare_found(const void* left, const void* right) noexcept nogil:
    cdef uint32_t a = (<const Found*> left).pattern
    cdef uint32_t b = (<const Found*> right).pattern
    return 1 if a > b else -1


cdef void order_found(Found* found, uint32_t count) noexcept nogil:
    """Order rows by pattern; a few by insertion, which calls nothing."""
    cdef Found at_hand
    cdef uint32_t i, place
    if count > MAX_ROWS:
        qsort(found, count, sizeof(Found), &compare_found)
        return
    for i in range(1, count):
        at_hand = found[i]
        place = i
        while place and found[place - 1].pattern > at_hand.pattern:
            found[place] = found[place - 1]
            place -= 1
        found[place] = at_hand


cdef int map_lane(
    Bump* bump, const Lane* lane, uint32_t number, LaneMap* maps
) noexcept nogil:
    """Map a lane to its source; NULL where each byte comes from the code point at its place."""
    if number == LANE_SQUEEZED:
        return map_squeezed_lane(bump, lane, &maps[number])
    maps[number].start = NULL
    if (
        number != LANE_SKELETON and lane.size == lane.source_size
        and is_ascii(lane.source, lane.source_size)
    ):
        return 0
    if number == LANE_RAW:
        return map_raw_lane(bump, lane, &maps[number])
    return map_folded_lane(bump, lane, &maps[number])


cdef int write_rows(
    const KeywordTable* table, ScanState* state, Bump* bump,
    const PostText* text, uint32_t count, PostMatches* out,
) noexcept nogil:
    """Order the rows of a post and turn lane bytes into code points of its source."""
    cdef LaneMap[LANE_COUNT] maps
    cdef bint[LANE_COUNT] mapped
    cdef const Pattern* pattern
    cdef const Found* found
    cdef MatchRow* row
    cdef uint32_t i
    memset(mapped, 0, sizeof(mapped))
    order_found(state.found, count)
    out.rows = <MatchRow*> bump_alloc(bump, count * sizeof(MatchRow))
    if out.rows == NULL:
        return -1
    for i in range(count):
        found = &state.found[i]
        pattern = &table.patterns[found.pattern]
        if not mapped[pattern.lane]:
            if map_lane(state.scratch, &text.lanes[pattern.lane], pattern.lane, maps):
                return -1
            mapped[pattern.lane] = True
        row = &out.rows[i]
        row.list = pattern.list
        row.pattern = pattern.index
        row.lane = pattern.lane
        row.start = found.start
        row.end = found.end
        if maps[pattern.lane].start != NULL:
            row.start = maps[pattern.lane].start[found.start]
            row.end = maps[pattern.lane].end[found.end - 1]
        row.count = found.count
    out.count = count
    return 0
