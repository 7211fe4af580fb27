"""Find many keyword lists in batches of lanes: one Aho-Corasick automaton per lane.

The automaton (Aho and Corasick 1975) is a dense DFA over byte classes: a row of 32-bit entries per
state, each the offset of the next row with the top bit set where patterns end, so that a byte
costs one dependent load. States are numbered breadth first, which keeps the hot shallow rows
together and lets the build run over sorted patterns without a separate trie. What a state reports
are its own outputs and those of shorter suffix states, longest first.

`fastpath.reference.keywords` defines the results.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

from fastpath.arena cimport Arena, Bump, bump_alloc, bump_reserve, bump_reset
from fastpath.text cimport (
    CLASS_ALNUM,
    CLASS_UNSPACED,
    CLASS_WORD,
    LANE_COUNT,
    LANE_FOLDED,
    LANE_RAW,
    LANE_SKELETON,
    LANE_SQUEEZED,
    LETTER_ENDS,
    LETTER_GAP,
    LETTER_PARTED,
    LETTER_RUN,
    LETTER_STARTS,
    Lane,
    LaneMap,
    code_point_class,
    fold,
    map_folded_lane,
    map_raw_lane,
    map_squeezed_lane,
    opens_squeezed_lane,
    raw_lane,
    skeleton_lane,
    squeezed_lane,
)

from fastpath.errors import BuildError
from fastpath.lanes import (
    MAX_PATTERN_BYTES,
    MAX_PATTERNS,
    MAX_TABLE_BYTES,
    MIN_SQUEEZED_LETTERS,
    PatternNote,
    TextMatches,
)
from fastpath.spec import LANES, Match

cdef enum:
    MAX_ROWS = 32               # per list and post (fastpath.spec.MAX_ROWS)
    VISITS_FIXED = 64           # outputs looked at per lane and post (fastpath.lanes)
    VISITS_PER_BYTE = 8
    # Kept between posts: hits and offsets of the largest text that is likely, 64 KiB, twelve
    # bytes per lane byte. A lane of 256 KiB takes more for its post alone.
    SCRATCH_KEPT = 1024 * 1024

    MAX_FORMS = 4               # keys of one pattern in one lane

    BUILT = 0
    NO_MEMORY = -1
    TABLE_TOO_LARGE = -2

# Keys of a pattern by lane; lower, upper and title form of skeletons, squeezed the folded one too.
FORMS = {"raw": 1, "folded": 1, "skeleton": 3, "squeezed": MAX_FORMS}

cdef uint32_t HAS_OUTPUT = 0x80000000u
cdef uint32_t ROW_OFFSET = 0x7FFFFFFFu


# Building.


cdef struct Key:                # one pattern in the bytes of one lane
    const uint8_t* data
    uint32_t size
    uint32_t pattern            # index in KeywordTable.patterns
    uint32_t list
    bint test_start
    bint test_end
    bint duplicate              # of an earlier key of its list
    const uint8_t* asks         # squeezed: gaps and runs per byte; else NULL


cdef struct Node:               # a state while its row is not yet filled
    uint32_t first              # keys that begin with what leads here: [first, last)
    uint32_t last
    uint32_t depth              # bytes that lead here
    uint32_t fallback           # state of the longest proper suffix that is a prefix


cdef int compare_keys(const void* left, const void* right) noexcept nogil:
    """Order by bytes, then by gaps and runs, then by pattern."""
    cdef const Key* a = <const Key*> left
    cdef const Key* b = <const Key*> right
    cdef int order = memcmp(a.data, b.data, a.size if a.size < b.size else b.size)
    if order:
        return order
    if a.size != b.size:
        return 1 if a.size > b.size else -1
    order = memcmp(a.asks, b.asks, a.size) if a.asks != NULL else 0
    if order:
        return order
    return 1 if a.pattern > b.pattern else -1


cdef bint is_bounded(uint32_t code_point) noexcept nogil:
    """Say whether a word boundary can be asked for beside this end of a pattern."""
    cdef uint32_t classes = code_point_class(code_point)
    return classes & CLASS_WORD and not classes & CLASS_UNSPACED


cdef uint32_t shared_prefix(const Key* a, const Key* b) noexcept nogil:
    cdef uint32_t size = 0
    while size < a.size and size < b.size and a.data[size] == b.data[size]:
        size += 1
    return size


cdef uint64_t measure(Automaton* automaton, const Key* keys, uint32_t count) noexcept nogil:
    """Number byte classes, count states; return the bytes of the table. Keys are sorted."""
    cdef bint used[256]
    cdef uint64_t states = 1
    cdef uint32_t i, j
    memset(used, 0, sizeof(used))
    for i in range(count):
        states += keys[i].size - (shared_prefix(&keys[i - 1], &keys[i]) if i else 0)
        for j in range(keys[i].size):
            used[keys[i].data[j]] = True
    automaton.stride = 1
    for i in range(256):
        automaton.classes[i] = 0
        # With all 256 bytes used the stride is 257; UTF-8 never has all of them.
        if used[i]:
            automaton.classes[i] = <uint8_t> automaton.stride
            automaton.stride += 1
    automaton.states = <uint32_t> states
    return states * automaton.stride * sizeof(uint32_t)


cdef uint32_t add_outputs(
    Automaton* automaton, uint32_t made, const Key* keys, const Node* node
) noexcept nogil:
    """Append the outputs of the keys that end at a node; return how many outputs there are."""
    cdef uint32_t i = node.first
    cdef Output* output
    while i < node.last and keys[i].size == node.depth:
        if not keys[i].duplicate:
            output = &automaton.outputs[made]
            output.pattern = keys[i].pattern
            output.size = keys[i].size
            output.test_start = keys[i].test_start
            output.test_end = keys[i].test_end
            output.asks = keys[i].asks
            made += 1
        i += 1
    return made


cdef void fill(Automaton* automaton, const Key* keys, uint32_t count, Node* nodes) noexcept nogil:
    """Number states breadth first and fill rows, outputs and suffix links."""
    cdef uint32_t made = 1, outputs = 0, state, at, to, previous, column, entry, below
    cdef uint32_t* row
    cdef Node* node
    nodes[0].first = 0
    nodes[0].last = count
    nodes[0].depth = 0
    nodes[0].fallback = 0
    automaton.outputs_from[0] = 0
    automaton.outputs_from[1] = 0
    automaton.suffix[0] = 0
    for state in range(automaton.states):
        node = &nodes[state]
        row = automaton.table + <size_t> state * automaton.stride
        if state == 0:
            memset(row, 0, automaton.stride * sizeof(uint32_t))
        else:
            # A shorter state has a smaller number, so its row is complete.
            memcpy(
                row,
                automaton.table + <size_t> node.fallback * automaton.stride,
                automaton.stride * sizeof(uint32_t),
            )
        at = node.first
        while at < node.last and keys[at].size == node.depth:
            at += 1
        while at < node.last:
            to = at
            while to < node.last and keys[to].data[node.depth] == keys[at].data[node.depth]:
                to += 1
            column = automaton.classes[keys[at].data[node.depth]]
            below = row[column]                     # where the suffix goes on this byte
            nodes[made].first = at
            nodes[made].last = to
            nodes[made].depth = node.depth + 1
            nodes[made].fallback = (below & ROW_OFFSET) / automaton.stride
            previous = outputs
            outputs = add_outputs(automaton, outputs, keys, &nodes[made])
            automaton.outputs_from[made + 1] = outputs
            automaton.suffix[made] = nearest_with_outputs(automaton, nodes[made].fallback)
            entry = made * automaton.stride
            if outputs > previous or below & HAS_OUTPUT:
                entry |= HAS_OUTPUT
            row[column] = entry
            made += 1
            at = to


cdef inline uint32_t nearest_with_outputs(
    const Automaton* automaton, uint32_t state
) noexcept nogil:
    """Return a state if it has outputs of its own, else the next shorter suffix that has."""
    if automaton.outputs_from[state + 1] > automaton.outputs_from[state]:
        return state
    return automaton.suffix[state]


cdef int build(
    Automaton* automaton, Bump* bump, Bump* scratch, Key* keys, uint32_t count,
    uint64_t budget, uint64_t* table_bytes,
) noexcept nogil:
    """Build the automaton of one lane within `budget` bytes of table."""
    cdef Node* nodes
    cdef uint32_t i
    table_bytes[0] = 0
    if count == 0:
        return BUILT
    qsort(keys, count, sizeof(Key), &compare_keys)
    for i in range(1, count):
        keys[i].duplicate = (
            keys[i].list == keys[i - 1].list
            and keys[i].size == keys[i - 1].size
            and memcmp(keys[i].data, keys[i - 1].data, keys[i].size) == 0
            and (
                keys[i].asks == NULL
                or memcmp(keys[i].asks, keys[i - 1].asks, keys[i].size) == 0
            )
        )
    table_bytes[0] = measure(automaton, keys, count)
    if table_bytes[0] > budget:
        return TABLE_TOO_LARGE
    automaton.table = <uint32_t*> bump_alloc(bump, table_bytes[0])
    automaton.outputs_from = <uint32_t*> bump_alloc(
        bump, (<size_t> automaton.states + 1) * sizeof(uint32_t)
    )
    automaton.suffix = <uint32_t*> bump_alloc(
        bump, <size_t> automaton.states * sizeof(uint32_t)
    )
    automaton.outputs = <Output*> bump_alloc(bump, <size_t> count * sizeof(Output))
    nodes = <Node*> bump_alloc(scratch, <size_t> automaton.states * sizeof(Node))
    if (
        automaton.table == NULL or automaton.outputs_from == NULL or automaton.suffix == NULL
        or automaton.outputs == NULL or nodes == NULL
    ):
        return NO_MEMORY
    fill(automaton, keys, count, nodes)
    return BUILT


# Scanning.


cdef struct Hit:
    uint32_t row                # offset of the state's row
    uint32_t end                # lane bytes read when it was entered


cdef uint32_t walk(const Automaton* automaton, const Lane* lane, Hit* hits) noexcept nogil:
    """Run a lane through the automaton; note each state with outputs, return their number."""
    cdef const uint32_t* table = automaton.table
    cdef const uint8_t* classes = <const uint8_t*> automaton.classes
    cdef const uint8_t* data = lane.data
    cdef uint32_t entry = 0, count = 0, i
    for i in range(lane.size):
        entry = table[(entry & ROW_OFFSET) + classes[data[i]]]
        if entry & HAS_OUTPUT:
            hits[count].row = entry & ROW_OFFSET
            hits[count].end = i + 1
            count += 1
    return count


cdef inline bint word_at(const Lane* lane, uint32_t at) noexcept nogil:
    return lane.word[at >> 3] >> (at & 7) & 1


cdef inline bint at_boundaries(const Lane* lane, const Output* output, uint32_t end) noexcept nogil:
    cdef uint32_t start = end - output.size
    if output.test_start and start and word_at(lane, start - 1):
        return False
    return not (output.test_end and word_at(lane, end))


cdef bint letters_fit(const Lane* lane, const Output* output, uint32_t end) noexcept nogil:
    """Compare edges, gaps and runs of letters: `reference.lookalikes.fits`."""
    cdef const uint8_t* has = lane.letters + (end - output.size)
    cdef const uint8_t* data = lane.data + (end - output.size)
    cdef bint fitting = True, doubled = True
    cdef uint32_t i, run, least, longest
    if output.test_start and not has[0] & LETTER_STARTS:
        return False
    if output.test_end and not has[output.size - 1] & LETTER_ENDS:
        return False
    for i in range(output.size):
        if i and has[i] & LETTER_GAP and not output.asks[i] & LETTER_GAP:
            return False
        if output.asks[i] & LETTER_GAP and not has[i] & LETTER_PARTED:
            return False
        run = has[i] / LETTER_RUN
        least = output.asks[i] / LETTER_RUN
        longest = least + 2 if data[i] == c"i" else max(least, <uint32_t> 3)
        fitting = fitting and (run == least or run >= longest)
        doubled = doubled and run >= max(least, <uint32_t> 2)
    return fitting or doubled


cdef struct Post:               # what is known of the post at hand
    uint32_t rows               # in ScanState.found
    uint32_t visited
    bint truncated


cdef void count_match(
    const KeywordTable* table, ScanState* state, Post* post, const Output* output, uint32_t end
) noexcept nogil:
    """Add one occurrence to its row, or open a row while the list may have one more."""
    cdef Seen* pattern = &state.patterns[output.pattern]
    cdef Seen* held = &state.lists[table.patterns[output.pattern].list]
    cdef Found* found
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
    found.start = end - output.size
    found.end = end
    found.count = 1
    post.rows += 1


cdef void resolve(
    const KeywordTable* table, ScanState* state, Post* post,
    const Automaton* automaton, const Lane* lane, const Hit* hits, uint32_t hit_count,
) noexcept nogil:
    """Visit the outputs of all hits, longest first, within the budget of the lane."""
    cdef uint64_t budget = VISITS_FIXED + <uint64_t> VISITS_PER_BYTE * lane.size
    cdef uint32_t i, at, current, cost = 1
    cdef bint stands
    for i in range(hit_count):
        current = nearest_with_outputs(automaton, hits[i].row / automaton.stride)
        while current:
            for at in range(automaton.outputs_from[current], automaton.outputs_from[current + 1]):
                if lane.letters != NULL:
                    cost = automaton.outputs[at].size
                if budget < cost:
                    post.truncated = True
                    return
                budget -= cost
                post.visited += cost
                if lane.letters != NULL:
                    stands = letters_fit(lane, &automaton.outputs[at], hits[i].end)
                else:
                    stands = at_boundaries(lane, &automaton.outputs[at], hits[i].end)
                if stands:
                    count_match(table, state, post, &automaton.outputs[at], hits[i].end)
            current = automaton.suffix[current]


cdef int compare_found(const void* left, const void* right) noexcept nogil:
    cdef uint32_t a = (<const Found*> left).pattern
    cdef uint32_t b = (<const Found*> right).pattern
    return 1 if a > b else -1


cdef int map_lane(
    Bump* bump, const Lane* lane, uint32_t number, LaneMap* maps
) noexcept nogil:
    """Map a lane to its source."""
    if number == LANE_RAW:
        return map_raw_lane(bump, lane, &maps[number])
    if number == LANE_SQUEEZED:
        return map_squeezed_lane(bump, lane, &maps[number])
    return map_folded_lane(bump, lane, &maps[number])


cdef int write_rows(
    const KeywordTable* table, ScanState* state, Bump* bump,
    const PostText* text, uint32_t count, PostMatches* out,
) noexcept nogil:
    """Order the rows of a post and turn lane bytes into code points of its source."""
    cdef LaneMap maps[LANE_COUNT]
    cdef bint mapped[LANE_COUNT]
    cdef const Pattern* pattern
    cdef const Found* found
    cdef MatchRow* row
    cdef uint32_t i
    memset(mapped, 0, sizeof(mapped))
    qsort(state.found, count, sizeof(Found), &compare_found)
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
        row.start = maps[pattern.lane].start[found.start]
        row.end = maps[pattern.lane].end[found.end - 1]
        row.count = found.count
    out.count = count
    return 0


cdef int scan_post(
    const KeywordTable* table, ScanState* state, Bump* bump,
    const PostText* text, PostMatches* out,
) noexcept nogil:
    """Scan one post in every lane that a list reads."""
    cdef Post post
    cdef const Lane* lane
    cdef Hit* hits
    cdef uint32_t i, hit_count
    cdef int failed = 0
    memset(&post, 0, sizeof(post))
    memset(out, 0, sizeof(PostMatches))
    state.epoch += 1
    for i in range(<uint32_t> LANE_COUNT):
        if table.automata[i].states == 0:
            continue
        lane = &text.lanes[i]
        hits = <Hit*> bump_reserve(state.scratch, lane.size * sizeof(Hit))
        if hits == NULL:
            return -1
        hit_count = walk(&table.automata[i], lane, hits)
        if hit_count:
            resolve(table, state, &post, &table.automata[i], lane, hits, hit_count)
        post.truncated = post.truncated or lane.truncated
    if post.rows:
        failed = write_rows(table, state, bump, text, post.rows, out)
        bump_reset(state.scratch, SCRATCH_KEPT)
    out.visited = post.visited
    out.truncated = post.truncated
    return failed


cdef int scan(
    const KeywordTable* table, ScanState* state, Bump* bump,
    const PostText* posts, size_t count, PostMatches* out,
) noexcept nogil:
    """Scan a batch; see keywords.pxd."""
    cdef size_t i
    for i in range(count):
        if scan_post(table, state, bump, &posts[i], &out[i]):
            return -1
    return 0


cdef int make_lanes(
    Bump* bump, const KeywordTable* table, const uint8_t* text, size_t size, PostText* out
) noexcept nogil:
    """Make the lanes of one post; see keywords.pxd."""
    cdef Lane* folded = &out.lanes[LANE_FOLDED]
    cdef Lane* skeleton = &out.lanes[LANE_SKELETON]
    cdef uint32_t disguise = 1u << LANE_SKELETON | 1u << LANE_SQUEEZED
    memset(out, 0, sizeof(PostText))
    if table.lanes & (1u << LANE_RAW) and raw_lane(bump, text, size, &out.lanes[LANE_RAW]):
        return -1
    if fold(bump, text, size, folded):
        return -1
    if not table.lanes & disguise:
        return 0
    if folded.disguised and skeleton_lane(bump, text, size, skeleton):
        return -1
    if table.lanes & (1u << LANE_SQUEEZED) and opens_squeezed_lane(folded):
        return squeezed_lane(
            bump, skeleton if folded.disguised else folded, &out.lanes[LANE_SQUEEZED]
        )
    return 0


# Owners.


cdef class Keywords:
    """Own the automata of all keyword lists; immutable, may be shared by threads."""

    def __cinit__(self, lists):
        self.arena = Arena()
        self.lists = tuple(lists)
        cdef size_t total = 0
        cdef size_t forms = 0
        for held in self.lists:
            check_list(held)
            total += len(held.patterns) * len(set(held.lanes))
            forms += len(held.patterns) * <size_t> sum(
                [FORMS[lane] for lane in set(held.lanes)]
            )
        if total > MAX_PATTERNS:
            raise BuildError("patterns times lanes", MAX_PATTERNS, total)
        cdef Arena scratch = Arena()
        cdef Key* keys = <Key*> bump_alloc(&scratch.bump, forms * sizeof(Key))
        cdef Pattern* patterns = <Pattern*> bump_alloc(&self.arena.bump, total * sizeof(Pattern))
        if keys == NULL or patterns == NULL:
            raise MemoryError("no memory for patterns")
        self.table.patterns = patterns
        self.table.pattern_count = <uint32_t> total
        self.table.lists = <uint32_t> len(self.lists)
        cdef uint32_t count = add_patterns(self, patterns, keys, scratch)
        build_automata(self, keys, count, scratch)
        self.notes = tuple(make_notes(self, keys, count))

    @property
    def states(self):
        """Return the states of the automaton of each lane, in the order of spec.LANES."""
        return tuple([self.table.automata[lane].states for lane in range(<uint32_t> LANE_COUNT)])

    def find(self, str text not None):
        """Return what the lists find in one text."""
        return self.find_all([text])[0]

    def find_all(self, texts):
        """Return what the lists find in each text, scanned as one batch."""
        return Scanner(self).find_all(texts)


cdef uint32_t add_patterns(
    Keywords owner, Pattern* patterns, Key* keys, Arena scratch
) except? 0:
    """Number patterns by list, lane, index, and make their keys; return how many keys."""
    cdef uint32_t number = 0, made = 0, lane, index
    for list_index, held in enumerate(owner.lists):
        for lane in range(<uint32_t> LANE_COUNT):
            if LANES[lane] not in held.lanes:
                continue
            owner.table.lanes |= 1u << lane
            for index, written in enumerate(held.patterns):
                patterns[number].list = list_index
                patterns[number].index = index
                patterns[number].lane = lane
                made += make_keys(
                    &keys[made], number, list_index, held, written, lane, owner.arena, scratch
                )
                number += 1
    return made


cdef int build_automata(Keywords owner, Key* keys, uint32_t key_count, Arena scratch) except -1:
    """Sort keys by lane and build one automaton for each that has any."""
    cdef Key* of_lane = <Key*> bump_alloc(&scratch.bump, <size_t> key_count * sizeof(Key))
    cdef uint64_t limit = MAX_TABLE_BYTES, taken = 0, table_bytes
    cdef uint32_t lane, i, count, done = 0
    cdef int result
    if of_lane == NULL:
        raise MemoryError("no memory for patterns")
    for lane in range(<uint32_t> LANE_COUNT):
        count = 0
        for i in range(key_count):
            if owner.table.patterns[keys[i].pattern].lane == lane:
                of_lane[done + count] = keys[i]
                count += 1
        with nogil:
            result = build(
                &owner.table.automata[lane], &owner.arena.bump, &scratch.bump,
                of_lane + done, count, limit - taken, &table_bytes,
            )
        taken += table_bytes
        if result == TABLE_TOO_LARGE:
            raise BuildError("keyword table bytes", limit, taken)
        if result == NO_MEMORY:
            raise MemoryError(f"no memory for a keyword table of {table_bytes} bytes")
        done += count
    owner.table_bytes = taken
    # A pattern without a key of its own is the same as earlier ones: mark its first key.
    cdef uint8_t* placed = <uint8_t*> bump_alloc(&scratch.bump, owner.table.pattern_count)
    if placed == NULL:
        raise MemoryError("no memory for patterns")
    memset(placed, 0, owner.table.pattern_count)
    for i in range(key_count):
        if not of_lane[i].duplicate:
            placed[of_lane[i].pattern] = 1
    for i in range(key_count):
        keys[i].duplicate = not placed[keys[i].pattern]
    return 0


cdef list make_notes(Keywords owner, const Key* keys, uint32_t key_count):
    """Tell the author of each list what the build made of its patterns, by their first keys."""
    cdef uint32_t i
    cdef const Pattern* pattern
    notes = []
    for i in range(key_count):
        if i and keys[i].pattern == keys[i - 1].pattern:
            continue
        pattern = &owner.table.patterns[keys[i].pattern]
        held = owner.lists[pattern.list]
        written = held.patterns[pattern.index]
        lane = LANES[pattern.lane]
        if keys[i].duplicate:
            notes.append(PatternNote(held.name, written, lane, "duplicate"))
            continue
        if held.boundary != "none" and not keys[i].test_start:
            notes.append(PatternNote(held.name, written, lane, "unbounded_start"))
        if held.boundary == "word" and not keys[i].test_end:
            notes.append(PatternNote(held.name, written, lane, "unbounded_end"))
    return notes


cdef int check_list(held) except -1:
    where = f"list {held.name!r}"
    if not held.lanes:
        raise BuildError("lanes of a list", "at least one", 0, where)
    for lane in held.lanes:
        if lane not in LANES:
            raise BuildError("lane", " or ".join(LANES), lane, where)
    if held.boundary not in ("word", "prefix", "none"):
        raise BuildError("boundary", "word or prefix or none", held.boundary, where)
    return 0


cdef uint32_t make_keys(
    Key* keys, uint32_t number, uint32_t list_index, held, written, uint32_t lane,
    Arena arena, Arena scratch,
) except? 0:
    """Fill the keys that a pattern has in a lane; return how many."""
    where = f"list {held.name!r}, pattern {written!r}, lane {LANES[lane]}"
    cdef uint32_t i, made = 0
    try:
        written.encode()
    except UnicodeEncodeError as error:
        raise BuildError("pattern encoding", "UTF-8", error.reason, where) from None
    if lane == LANE_SQUEEZED:
        check_letters(held, written, where)
    forms = [written]
    if lane >= LANE_SKELETON:
        # Case mappings are the interpreter's: those of Unicode 14.0 to 15.1 are the same.
        forms = [written.lower(), written.upper(), written.title()]
    if lane == LANE_SQUEEZED:
        forms.insert(0, written)
    for i, form in enumerate(forms):
        make_key(&keys[made], held, form.encode(), lane, i == 0, arena, scratch, where)
        keys[made].pattern = number
        keys[made].list = list_index
        keys[made].duplicate = False
        made += 1
    return made


cdef int check_letters(held, str written, str where) except -1:
    """Refuse a pattern that is too short for the squeezed lane."""
    cdef Arena arena = Arena()
    cdef Lane folded
    cdef uint32_t letters = 0
    cdef bytes encoded = written.encode()
    if fold(&arena.bump, <const uint8_t*> <const char*> encoded, len(encoded), &folded):
        raise MemoryError("no memory for patterns")
    for character in folded.data[:folded.size].decode():
        letters += code_point_class(ord(character)) & CLASS_ALNUM != 0
    if letters < MIN_SQUEEZED_LETTERS and not held.insist:
        least = f"at least {MIN_SQUEEZED_LETTERS}, unless the list insists"
        raise BuildError("letters of a squeezed pattern", least, letters, where)
    return 0


cdef int make_key(
    Key* key, held, bytes form, uint32_t lane, bint folded,
    Arena arena, Arena scratch, str where,
) except -1:
    """Fill the bytes of a key and which of its ends are tested.

    What scanning reads lives in `arena`, the rest in `scratch`.
    `folded`: a squeezed key is made from the folded form, else from the skeleton.
    """
    cdef Lane below, view
    cdef const uint8_t* data = <const uint8_t*> <const char*> form
    cdef uint8_t* asks
    cdef uint32_t i
    cdef int failed
    if lane == LANE_RAW:
        failed = raw_lane(&scratch.bump, data, len(form), &view)
    elif lane == LANE_FOLDED or (lane == LANE_SQUEEZED and folded):
        failed = fold(&scratch.bump, data, len(form), &view)
    else:
        failed = skeleton_lane(&scratch.bump, data, len(form), &view)
    if not failed and lane == LANE_SQUEEZED:
        below = view
        failed = squeezed_lane(&scratch.bump, &below, &view)
    if failed:
        raise MemoryError("no memory for patterns")
    if not 1 <= view.size <= MAX_PATTERN_BYTES:
        raise BuildError("pattern bytes", f"1 to {MAX_PATTERN_BYTES}", view.size, where)
    key.data = view.data
    key.size = view.size
    key.asks = NULL
    if lane == LANE_SQUEEZED:
        asks = <uint8_t*> bump_alloc(&arena.bump, view.size)
        if asks == NULL:
            raise MemoryError("no memory for patterns")
        for i in range(view.size):
            # Where it stands in the entry is nothing to ask for.
            asks[i] = view.letters[i] & <uint8_t> (LETTER_GAP | (256 - LETTER_RUN))
        key.asks = asks
    lane_text = view.data[:view.size].decode()
    strict = lane == LANE_SQUEEZED
    key.test_start = (strict or held.boundary != "none") and is_bounded(ord(lane_text[0]))
    key.test_end = (strict or held.boundary == "word") and is_bounded(
        ord(lane_text[len(lane_text) - 1])
    )
    return 0


cdef object matches_of(Keywords owner, const PostMatches* post):
    cdef const MatchRow* row
    cdef uint32_t i
    matches = []
    for i in range(post.count):
        row = &post.rows[i]
        held = owner.lists[row.list]
        matches.append(
            Match(
                held.name, held.patterns[row.pattern], LANES[row.lane],
                row.start, row.end, row.count,
            )
        )
    return TextMatches(tuple(matches), post.visited, post.truncated != 0)


cdef class Scanner:
    """Own one worker's scan memory for one table; not to be shared by threads."""

    def __cinit__(self, Keywords keywords not None):
        cdef const KeywordTable* table = &keywords.table
        self.keywords = keywords
        self.arena = Arena()
        self.scratch = Arena()
        cdef size_t patterns = table.pattern_count * sizeof(Seen)
        cdef size_t lists = table.lists * sizeof(Seen)
        cdef size_t rows = <size_t> table.lists * MAX_ROWS
        if rows > table.pattern_count:
            rows = table.pattern_count
        self.state.patterns = <Seen*> bump_alloc(&self.arena.bump, patterns)
        self.state.lists = <Seen*> bump_alloc(&self.arena.bump, lists)
        self.state.found = <Found*> bump_alloc(&self.arena.bump, rows * sizeof(Found))
        if self.state.patterns == NULL or self.state.lists == NULL or self.state.found == NULL:
            raise MemoryError("no memory for scanning")
        memset(self.state.patterns, 0, patterns)
        memset(self.state.lists, 0, lists)
        self.state.scratch = &self.scratch.bump

    def find_all(self, texts):
        """Return what the lists find in each text, scanned as one batch."""
        cdef Arena arena = Arena()
        cdef size_t count = len(texts), i
        cdef const KeywordTable* table = &self.keywords.table
        cdef PostText* posts = <PostText*> bump_alloc(&arena.bump, count * sizeof(PostText))
        cdef PostMatches* out = <PostMatches*> bump_alloc(&arena.bump, count * sizeof(PostMatches))
        cdef const uint8_t* data
        cdef int failed = posts == NULL or out == NULL
        cdef list encoded = [text.encode() for text in texts]
        for i in range(0 if failed else count):
            data = <const uint8_t*> <const char*> (<bytes> encoded[i])
            failed |= make_lanes(&arena.bump, table, data, len(encoded[i]), &posts[i])
        if not failed:
            with nogil:
                failed = scan(table, &self.state, &arena.bump, posts, count, out)
        if failed:
            raise MemoryError("no memory for a batch")
        return [matches_of(self.keywords, &out[i]) for i in range(count)]
