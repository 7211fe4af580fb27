# Targets that read a text: urls, keywords, lanes. Included by native.pyx.

cdef uint8_t* text_of(const uint8_t* data, size_t size) noexcept nogil:
    """Copy the input as valid UTF-8 of the same size; what is not becomes ASCII."""
    cdef uint8_t* text = <uint8_t*>malloc(size if size > 0 else 1)
    cdef bint valid = is_utf8(data, size)
    cdef size_t i
    for i in range(size):
        text[i] = data[i] if valid else data[i] & 0x7F
    return text


# --- URLs ----------------------------------------------------------------------------------------

cdef void one_url(const uint8_t* url, size_t size) noexcept nogil:
    """Bring a URL to its canonical form, and that again: the host stays."""
    cdef UrlView view, again
    must(canonical_url(&ARENA.bump, url, size, &view) == 0, b"memory for a URL")
    mixed(0, view.canonical, view.size)
    mixed(0, view.host, view.host_size)
    if view.host_size == 0:
        return
    must(view.host >= view.canonical, b"a host inside its URL")
    must(
        view.host + view.host_size <= view.canonical + view.size, b"a host that ends inside its URL"
    )
    must(canonical_url(&ARENA.bump, view.canonical, view.size, &again) == 0, b"memory for a URL")
    must(
        again.host_size == 0 or again.size <= 10 * view.size + 64, b"canonical forms do not explode"
    )


cdef int fuzz_urls(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint8_t* text = text_of(data, size)
    cdef uint8_t* whole
    cdef size_t pos = 0, before = 0
    cdef TextSpan found
    bump_reset(&ARENA.bump, KEPT)
    while next_url(text, size, &pos, &found):
        must(found.data >= text + before, b"URLs in their order")
        must(found.data + found.size <= text + pos and pos <= size, b"a URL inside its text")
        before = pos
        one_url(found.data, found.size)
    one_url(text, size)
    whole = <uint8_t*>malloc(size + 7)
    memcpy(whole, b"http://", 7)
    if size > 0:
        memcpy(whole + 7, text, size)
    one_url(whole, size + 7)
    free(whole)
    free(text)
    return 0


# --- Lanes and keywords --------------------------------------------------------------------------

TABLES = [
    Keywords([
        KeywordList(name="words", patterns=("free", "gold coin", "fire", "straße", "文字", "ab-c"),
                    lanes=("folded",), boundary="word"),
    ]),
    Keywords([
        KeywordList(name="disguised", patterns=("paypal", "viagra", "crypto", "password reset"),
                    lanes=("folded", "skeleton", "squeezed"), boundary="word"),
        KeywordList(name="short", patterns=("ass", "kkk", "a b"), lanes=("squeezed",),
                    boundary="word", insist=True),
    ]),
    Keywords([
        KeywordList(name="nested", patterns=("a", "aa", "aaa", "ab", "ba", "b", "é", "aé"),
                    lanes=("raw",), boundary="none"),
    ]),
    Keywords([
        KeywordList(name="longest", patterns=("hell", "hell fire", "he", "hello"),
                    lanes=("folded", "raw"), boundary="prefix", report="leftmost-longest",
                    exceptions=("hell's kitchen", "hello there")),
        KeywordList(name="any", patterns=("l", "lo", "fi"), lanes=("folded",), boundary="none"),
    ]),
]
SCANNERS = [Scanner(table) for table in TABLES]
NESTED = 2  # the table that a plain loop is compared with
cdef (KeywordTable*)[4] table_at
cdef (ScanState*)[4] state_at
cdef (const uint8_t*)[8] nested_keys
cdef size_t[8] nested_sizes
NESTED_BYTES = [pattern.encode() for pattern in TABLES[NESTED].lists[0].patterns]


cdef void point_at_tables():
    cdef Keywords table
    cdef Scanner scanner
    cdef bytes key
    for place in range(4):
        table = TABLES[place]
        scanner = SCANNERS[place]
        table_at[place] = &table.table
        state_at[place] = &scanner.state
    for place, key in enumerate(NESTED_BYTES):
        nested_keys[place] = key
        nested_sizes[place] = len(key)


point_at_tables()


cdef size_t plain_count(const uint8_t* text, size_t size, int key) noexcept nogil:
    """Count the places of a key by looking at each."""
    cdef size_t at = 0, found = 0
    while nested_sizes[key] <= size and at <= size - nested_sizes[key]:
        found += memcmp(text + at, nested_keys[key], nested_sizes[key]) == 0
        at += 1
    return found


cdef void check_rows(
    const KeywordTable* table, const PostMatches* found, size_t points
) noexcept nogil:
    cdef uint32_t i
    cdef const MatchRow* row
    for i in range(found.count):
        row = &found.rows[i]
        must(row.list < table.lists, b"a list that there is")
        must(row.lane < 4, b"a lane that there is")
        must(row.start < row.end, b"a match of some text")
        must(row.end <= points, b"a match inside the text")
        must(row.count > 0, b"a match that occurs")


cdef int fuzz_keywords(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint8_t* text
    cdef size_t points, half
    cdef PostText[3] posts
    cdef PostMatches[3] found
    cdef int which, key
    cdef uint32_t i
    if size == 0:
        return 0
    which = data[0] & 3
    size -= 1
    text = text_of(data + 1, size)
    half = size // 2
    while half > 0 and (text[half] & 0xC0) == 0x80:
        half -= 1
    bump_reset(&ARENA.bump, KEPT)
    must(make_lanes(&ARENA.bump, table_at[which], text, size, &posts[0]) == 0, b"memory")
    must(make_lanes(&ARENA.bump, table_at[which], text, half, &posts[1]) == 0, b"memory")
    must(make_lanes(&ARENA.bump, table_at[which], text, size, &posts[2]) == 0, b"memory")
    must(scan(table_at[which], state_at[which], &ARENA.bump, posts, 3, found) == 0, b"memory")
    points = count_code_points(text, size)
    check_rows(table_at[which], &found[0], points)
    check_rows(table_at[which], &found[1], points)
    must(
        found[0].count == found[2].count and found[0].visited == found[2].visited
        and found[0].truncated == found[2].truncated
        and (found[0].count == 0 or memcmp(
            found[0].rows, found[2].rows, found[0].count * sizeof(MatchRow)
        ) == 0),
        b"a post is the same wherever it stands in a batch",
    )
    if which == 2 and not found[0].truncated:
        i = 0
        for key in range(8):
            half = plain_count(text, size, key)
            if half == 0:
                continue
            must(i < found[0].count, b"a row for each key that occurs")
            must(found[0].rows[i].pattern == <uint32_t>key, b"rows in the order of keys")
            must(found[0].rows[i].count == half, b"as many occurrences as there are")
            i += 1
        must(i == found[0].count, b"no row for a key that does not occur")
    free(text)
    return 0


cdef void check_map(const Lane* lane, const LaneMap* where, size_t points) noexcept nogil:
    cdef uint32_t i
    mixed(0, lane.data, lane.size)
    for i in range(lane.size):
        must(where.start[i] < where.end[i] <= points, b"a lane byte that comes from the text")


cdef int fuzz_lanes(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint8_t* text = text_of(data, size)
    cdef size_t points = count_code_points(text, size)
    cdef Lane raw, folded, skeleton, squeezed, again
    cdef LaneMap where
    cdef Normalised form
    cdef uint64_t simhash
    cdef Evasions evasions
    cdef Bump* bump = &ARENA.bump
    bump_reset(bump, KEPT)
    must(raw_lane(bump, text, size, &raw) == 0, b"memory")
    must(map_raw_lane(bump, &raw, &where) == 0, b"memory")
    check_map(&raw, &where, points)
    must(fold(bump, text, size, &folded) == 0, b"memory")
    must(is_utf8(folded.data, folded.size), b"a folded lane of UTF-8")
    must(map_folded_lane(bump, &folded, &where) == 0, b"memory")
    check_map(&folded, &where, points)
    must(skeleton_lane(bump, text, size, &skeleton) == 0, b"memory")
    must(is_utf8(skeleton.data, skeleton.size), b"a skeleton lane of UTF-8")
    must(map_folded_lane(bump, &skeleton, &where) == 0, b"memory")
    check_map(&skeleton, &where, points)
    must(squeezed_lane(bump, &skeleton, &squeezed) == 0, b"memory")
    must(is_utf8(squeezed.data, squeezed.size), b"a squeezed lane of UTF-8")
    must(map_squeezed_lane(bump, &squeezed, &where) == 0, b"memory")
    check_map(&squeezed, &where, points)
    must(normalise(bump, &folded, &form) == 0, b"memory")
    mixed(0, form.data, form.size)
    measure_evasion(text, size, &evasions)
    must(
        3 * evasions.mixed_words + evasions.hidden_characters + evasions.direction_overrides
        <= points,
        b"no more evasion than code points",
    )
    must(simhash_lane(bump, &folded, &simhash) == 0, b"memory")
    if folded.marks_dropped == 0 and not folded.truncated and folded.size > 0:
        must(fold(bump, folded.data, folded.size, &again) == 0, b"memory")
        must(
            again.size == folded.size and memcmp(again.data, folded.data, folded.size) == 0,
            b"folding twice is folding once",
        )
    free(text)
    return 0
