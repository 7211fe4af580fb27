"""Fuzz the entry points that need no Python, from C: some ten thousand executions a second.

`fuzz(target, options)` hands one of the callbacks below to libFuzzer, whose runtime the sanitized
build is started with. What a callback finds wrong ends the process by `abort`, which libFuzzer
reports with the input. Each judges without the twin, by what must hold of any input: what is found
lies inside what was given, is the same on every level of vector instructions and whatever stands
beside it in a batch, and is what a plain loop finds. fuzz_*.py compare with the twin.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memchr, memcmp, memcpy

from fastpath.arena cimport Arena, Bump, bump_reset
from fastpath.changelog cimport (
    ENTRY_FOUND, EntryBuffer, EntryReader, EntryView, append_entry, free_entries, next_entry,
)
from fastpath.hashes cimport TextSpan, UrlView, canonical_url, next_url
from fastpath.keywords cimport (
    Keywords, KeywordTable, MatchRow, PostMatches, PostText, Scanner, ScanState, make_lanes, scan,
)
from fastpath.evasion cimport Evasions, measure_evasion
from fastpath.near cimport NearHits, NearTable, PdqIndex, SimHashIndex, find_pdqs, find_simhashes
from fastpath.posts cimport (
    POST_MEDIA, POST_URLS, READ_OK, Post, PostReader, ScoreNames, Text, is_utf8,
)
from fastpath.records cimport BatchView, RecordRef
from fastpath.simhash cimport simhash_lane
from fastpath.text cimport (
    Lane, LaneMap, Normalised, count_code_points, fold, map_folded_lane, map_raw_lane,
    map_squeezed_lane, normalise, raw_lane, skeleton_lane, squeezed_lane,
)

from fastpath import ISA
from fastpath.batches import RecordBatches
from fastpath.field_maps import PRESETS, load_field_map
from fastpath.isa import LEVELS
from fastpath.spec import KeywordList

ctypedef int (*Callback)(const uint8_t*, size_t) noexcept nogil

cdef extern from *:
    """
    int LLVMFuzzerRunDriver(int*, char***, int (*)(const unsigned char*, size_t));
    """
    int LLVMFuzzerRunDriver(int* count, char*** arguments, Callback callback) nogil
    int __builtin_popcountll(unsigned long long word) nogil

cdef enum:
    KEPT = 1 << 20  # bytes of an arena from one execution to the next
    NEAR_ENTRIES = 128  # each is compared on every input
    PDQ_ENTRIES = 17000  # above distances.BRUTE_PDQS, so that the index is built

cdef Arena ARENA = Arena()


cdef void must(bint held, const char* what) noexcept nogil:
    """End the process where something does not hold."""
    if not held:
        fprintf(stderr, b"does not hold: %s\n", what)
        abort()


cdef uint64_t mixed(uint64_t digest, const uint8_t* data, size_t size) noexcept nogil:
    """Read every byte into a running digest (FNV-1a), and how many there are."""
    cdef size_t i
    must(size < <size_t>1 << 32, b"a size below 4 GiB")
    digest = (digest ^ size) * <uint64_t>0x100000001B3
    for i in range(size):
        digest = (digest ^ data[i]) * <uint64_t>0x100000001B3
    return digest


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


# --- Posts ---------------------------------------------------------------------------------------

READERS = [
    PostReader(load_field_map(preset), isa)
    for preset in PRESETS for isa in LEVELS[: LEVELS.index(ISA) + 1]
]
cdef int MAP_COUNT = <int>len(PRESETS)
cdef int LEVEL_COUNT = <int>(len(READERS) // len(PRESETS))
cdef (void*)[64] reader_at
FRESH_READERS = [PostReader(load_field_map(preset)) for preset in PRESETS]
cdef (void*)[64] fresh_at
cdef ScoreNames no_scores
no_scores.count = 0
no_scores.names = NULL
for reader_place, reader_held in enumerate(READERS):
    reader_at[<int>reader_place] = <void*>reader_held
for reader_place, reader_held in enumerate(FRESH_READERS):
    fresh_at[<int>reader_place] = <void*>reader_held


cdef uint64_t mixed_text(uint64_t digest, const Text* text) noexcept nogil:
    return mixed(digest, text.data, text.size)


cdef uint64_t mixed_post(const Post* post) noexcept nogil:
    """Read every field."""
    cdef uint64_t digest = 0
    cdef uint32_t i
    digest = mixed_text(digest, &post.id)
    digest = mixed_text(digest, &post.account)
    digest = mixed_text(digest, &post.text)
    digest = mixed_text(digest, &post.lang)
    digest = mixed_text(digest, &post.repost_of)
    digest = mixed_text(digest, &post.reply_to)
    digest = mixed_text(digest, &post.device)
    must(post.text.size == 0 or is_utf8(post.text.data, post.text.size), b"a text of UTF-8")
    for i in range(min(post.url_count, <uint32_t>POST_URLS)):
        digest = mixed_text(digest, &post.urls[i])
    for i in range(min(post.media_count, <uint32_t>POST_MEDIA)):
        digest = mixed_text(digest, &post.media[i].sha256)
        digest = mixed_text(digest, &post.media[i].md5)
        digest = mixed_text(digest, &post.media[i].pdq)
        digest ^= <uint64_t>post.media[i].pdq_quality
    digest ^= <uint64_t>post.created_at ^ <uint64_t>post.account_created_at << 1
    digest ^= <uint64_t>post.followers << 2 ^ <uint64_t>post.revision << 3
    return digest ^ post.op ^ <uint64_t>post.url_count << 8 ^ <uint64_t>post.hashtag_count << 20


cdef int read_with(
    void* reader, const uint8_t* data, size_t size, Post* out
) noexcept nogil:
    return (<PostReader>reader).read(&ARENA.bump, &no_scores, data, size, False, out)


cdef void judge_document(int preset, const uint8_t* data, size_t size) noexcept nogil:
    """Hold readers that have seen other documents, and this one, against one that has not."""
    cdef Post post
    cdef int first, result, level, _turn
    cdef uint64_t digest, due
    (<PostReader>fresh_at[preset]).forget_shapes()
    first = read_with(fresh_at[preset], data, size, &post)
    must(first >= READ_OK, b"memory for a post")
    due = mixed_post(&post) if first == READ_OK else 0
    for level in range(LEVEL_COUNT):
        for _turn in range(2):
            result = read_with(reader_at[preset * LEVEL_COUNT + level], data, size, &post)
            digest = mixed_post(&post) if result == READ_OK else 0
            must(result == first and digest == due, b"the same post whatever was read before")


cdef int fuzz_json(const uint8_t* data, size_t size) noexcept nogil:
    """Read documents, between bytes that no JSON holds, in a row."""
    cdef const uint8_t* end
    cdef int level, preset
    if size == 0:
        return 0
    preset = data[0] % MAP_COUNT
    bump_reset(&ARENA.bump, KEPT)
    for level in range(LEVEL_COUNT):
        (<PostReader>reader_at[preset * LEVEL_COUNT + level]).forget_shapes()
    data += 1
    size -= 1
    while True:
        end = <const uint8_t*>memchr(data, 0x1E, size)
        judge_document(preset, data, size if end == NULL else <size_t>(end - data))
        if end == NULL:
            return 0
        size -= <size_t>(end + 1 - data)
        data = end + 1


# --- Record batches ------------------------------------------------------------------------------

cdef void check_view(BatchView view, int64_t* last) except *:
    cdef Py_ssize_t i
    cdef RecordRef* ref
    for i in range(len(view)):
        ref = view.ref(i)
        must(ref.offset > last[0], b"offsets that rise")
        last[0] = ref.offset
        if ref.key_size > 0:
            mixed(0, ref.key, <size_t>ref.key_size)
        if ref.value_size > 0:
            mixed(0, ref.value, <size_t>ref.value_size)
        must(ref.record_size >= 7, b"a record of at least seven bytes")
        mixed(0, ref.record, <size_t>ref.record_size)


cdef int read_batches(const uint8_t* data, size_t size) except -1:
    """Read as the first byte says: with CRCs, from an offset, with aborted producers."""
    cdef bytes buffer = (<const char*>data)[1:size]
    cdef int64_t fetch_offset = data[0] >> 4
    cdef int64_t last = fetch_offset - 1
    aborted = [(1, 0), (2, 3)] if data[0] & 2 else None
    reader = RecordBatches(
        "t", 0, buffer, fetch_offset=fetch_offset, check_crcs=bool(data[0] & 1), aborted=aborted
    )
    while not reader.ended:
        view = reader.read()
        if view is not None:
            check_view(view, &last)
        must(reader.bytes_read <= <size_t>len(buffer), b"no more read than there is")
    must(reader.next_offset > last, b"the next offset behind the last record")
    if reader.error is not None:
        must(buffer.endswith(reader.bad + reader.after_bad), b"what is bad is what is left")
    return 0


cdef int fuzz_batches(const uint8_t* data, size_t size) noexcept with gil:
    if size == 0:
        return 0
    try:
        return read_batches(data, size)
    except BaseException as error:
        must(False, repr(error).encode())
    return 0


# --- Changelog -----------------------------------------------------------------------------------

cdef int fuzz_changelog(const uint8_t* data, size_t size) noexcept nogil:
    """Read entries; what is read and written again is what was there."""
    cdef EntryReader reader
    cdef EntryView entry
    cdef EntryBuffer copy
    cdef const uint8_t* sound = data
    copy.data = NULL
    copy.size = copy.capacity = 0
    copy.broken = False
    reader.at = data
    reader.end = data + size
    while next_entry(&reader, &entry) == ENTRY_FOUND:
        must(reader.at <= reader.end, b"a reader inside its bytes")
        mixed(0, entry.value, entry.size)
        must(
            append_entry(&copy, &entry.key, entry.op, entry.value, entry.size), b"an entry appended"
        )
        sound = reader.at
    must(copy.size == <size_t>(sound - data), b"as many bytes as were read")
    must(copy.size == 0 or memcmp(copy.data, data, copy.size) == 0, b"the bytes that were read")
    free_entries(&copy)
    return 0


# --- Hashes by distance --------------------------------------------------------------------------

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


# --- Running them --------------------------------------------------------------------------------

cdef Callback callback_of(str target) except *:
    if target == "urls":
        return fuzz_urls
    if target == "lanes":
        return fuzz_lanes
    if target == "keywords":
        return fuzz_keywords
    if target == "json":
        return fuzz_json
    if target == "batches":
        return fuzz_batches
    if target == "changelog":
        return fuzz_changelog
    if target == "near":
        return fuzz_near
    raise ValueError(target)


def fuzz(str target not None, list line not None):
    """Run a target under libFuzzer; `line` is its command line. Ends the process."""
    cdef Callback callback = callback_of(target)
    cdef list held = [argument.encode() for argument in line]
    cdef int count = <int>len(held)
    cdef char** arguments = <char**>malloc((count + 1) * sizeof(char*))
    cdef int i, result
    for i in range(count):
        arguments[i] = <bytes>held[i]
    arguments[count] = NULL
    with nogil:
        result = LLVMFuzzerRunDriver(&count, &arguments, callback)
    raise SystemExit(result)
