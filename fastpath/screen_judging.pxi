# What follows once all of a post is looked up: windows of its account count it, gates of the rules
# compare it, the counters take it in. Included by screen.pyx.

cdef enum:
    DAY_MS = 86400000
    VALUES_AHEAD = 3  # posts whose distinct values are on their way while one is counted,
    ROWS_AHEAD = 8  # whose rows are, and
    SLOTS_AHEAD = 16  # whose index slots are
    TARGET_TAG = 6  # first byte hashed: 0 account, 1 to 5 fingerprints, 6 reply or repost target


cdef void fetch_ahead(
    const WindowTable* windows, Found* found, size_t at, size_t count
) noexcept nogil:
    """Send for what counting will read of the posts behind the one at hand."""
    cdef size_t ahead = at + SLOTS_AHEAD
    if ahead < count and found[ahead].status == STATUS_POST:
        fetch_slot(windows, &found[ahead].account, found[ahead].tag)
    ahead = at + ROWS_AHEAD
    if ahead < count and found[ahead].status == STATUS_POST:
        found[ahead].row = fetch_row(windows, &found[ahead].account, found[ahead].tag)
    ahead = at + VALUES_AHEAD
    if ahead < count and found[ahead].status == STATUS_POST and found[ahead].row != NULL:
        fetch_values(windows, found[ahead].row)


cdef void count_windows(
    Screen screen, const Post* post, Found* found, AccountWindows windows
) noexcept nogil:
    cdef WindowPost record
    cdef int seen
    record.account = found.account
    record.tag = found.tag
    record.id = post.account.data
    record.id_size = post.account.size
    record.time = found.time
    record.links = found.url_count
    record.targets = 0
    if screen.every_target and post.reply_to.size > 0:
        record.target[0] = siphash128(
            &screen.key, TARGET_TAG, post.reply_to.data, post.reply_to.size
        ).first
        record.targets = 1
    if screen.every_target and post.repost_of.size > 0:
        record.target[record.targets] = siphash128(
            &screen.key, TARGET_TAG, post.repost_of.data, post.repost_of.size
        ).first
        record.targets += 1
    record.has_text = screen.every_digest and found.folded.size > 0
    memcpy(&record.digest, found.digest, 8)
    seen = count_post(&windows.table, &record, found.windows)
    if seen & SEEN_LATE:
        found.flags |= FLAG_LATE
    if seen & SEEN_DISTINCT_FULL:
        found.flags |= FLAG_DISTINCT_FULL
    if seen & SEEN_TABLE_FULL:
        found.flags |= FLAG_TABLE_FULL


cdef int gate_post(Screen screen, const Post* post, Found* found) noexcept nogil:
    """Compare every atom once and run each gate over the outcomes."""
    cdef Columns_ columns
    cdef uint32_t i, at, size
    found.gated = False
    found.gates = NULL
    if screen.gates.gate_count == 0:
        return READ_OK
    found.gates = <uint64_t*>bump_alloc(&screen.arena.bump, screen.gate_words * 8)
    if found.gates == NULL:
        return READ_NO_MEMORY
    memset(found.gates, 0, screen.gate_words * 8)
    fill_columns(screen, post, found, &columns)
    for i in range(screen.gates.atom_count):
        screen.outcomes[i] = atom_holds(&screen.gates.atoms[i], &columns)
    for i in range(screen.gates.gate_count):
        at = screen.gates.starts[i]
        size = screen.gates.starts[i + 1] - at
        if gate_holds(&screen.gates.ops[at], size, screen.outcomes, screen.stack):
            found.gates[i >> 6] |= <uint64_t>1 << (i & 63)
            found.gated = True
    return READ_OK


cdef inline void fill_columns(
    Screen screen, const Post* post, const Found* found, Columns_* columns
) noexcept nogil:
    """Set what atoms may read; numbers in the order of NUMBER_COLUMNS."""
    cdef Evasions evasions
    columns.lists = found.lists
    columns.distances = found.distances
    columns.windows = found.windows
    columns.flags = found.flags
    columns.numbers[0] = -1
    if post.account_created_at != INT64_MIN and post.account_created_at <= found.time:
        columns.numbers[0] = (found.time - post.account_created_at) // DAY_MS
    columns.numbers[1] = post.followers
    columns.numbers[2] = post.revision
    columns.numbers[3] = 0
    if screen.every_length:
        columns.numbers[3] = <int64_t>count_code_points(post.text.data, post.text.size)
    columns.numbers[4] = post.url_count
    columns.numbers[5] = post.hashtag_count
    columns.numbers[6] = post.media_count
    memset(&evasions, 0, sizeof(Evasions))
    if screen.every_evasion:
        measure_evasion(post.text.data, post.text.size, &evasions)
    columns.numbers[7] = evasions.mixed_words
    columns.numbers[8] = evasions.hidden_characters
    columns.numbers[9] = evasions.direction_overrides
    columns.scores = post.scores
    columns.lang = post.lang
    columns.op = post.op


cdef void count_outcome(Screen screen, const Found* found) noexcept nogil:
    """Add one accepted create or edit to the counters."""
    cdef uint64_t* of_flags = screen.counts + COUNT_SLOW_CAUSES + SLOW_CAUSE_COUNT
    cdef uint64_t* of_gates = of_flags + FLAG_COUNT
    cdef uint64_t* of_lists = of_gates + screen.gates.gate_count
    cdef uint32_t i
    screen.counts[COUNT_OF_POSTS] += 1
    for i in range(screen.all_lists):
        if found.lists[i] > 0:
            of_lists[i] += 1
    if found.flags == 0 and not found.gated:
        return
    screen.counts[COUNT_FLAGGED] += 1
    screen.counts[COUNT_LATE] += found.flags & FLAG_LATE
    for i in range(<uint32_t>FLAG_COUNT):
        of_flags[i] += (found.flags >> i) & 1
    for i in range(screen.gates.gate_count):
        of_gates[i] += (found.gates[i >> 6] >> (i & 63)) & 1
