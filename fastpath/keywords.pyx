"""Find many keyword lists in batches of lanes: gates pass most of them over, an automaton finds.

Nearly every lane holds no keyword, so per lane a word gate and a byte gate (prefilter.pxi) look
first, and the automaton (automaton.pxi) reads the lanes, or parts of lanes, that they let through.
The automaton alone decides (occurrences.pxi). What a list's patterns are in a lane is made without
the GIL (patterns.pxi), so a table can be built while another one is in use.

`fastpath.reference.keywords` defines the results.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

from fastpath.arena cimport Arena, Bump, bump_alloc, bump_commit, bump_reserve, bump_reset
from fastpath.isa cimport isa_level
from fastpath.text cimport (
    CLASS_ALNUM,
    CLASS_SPACE,
    CLASS_UNSPACED,
    CLASS_WORD,
    LANE_COUNT,
    LANE_FOLDED,
    LANE_RAW,
    LANE_SKELETON,
    LANE_SQUEEZED,
    LETTER_DRAWN,
    LETTER_ENDS,
    LETTER_GAP,
    LETTER_PARTED,
    LETTER_RUN,
    LETTER_SELF,
    LETTER_STARTS,
    MIN_DRAWN,
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
    squeezed_pattern,
)
from fastpath.utf8 cimport is_ascii

import time

from fastpath import lanes as limits
from fastpath.errors import BuildError
from fastpath.lanes import PatternNote, TextMatches
from fastpath.spec import LANES
from fastpath.spec import MAX_ROWS as ROWS_PER_LIST
from fastpath.spec import Match

cdef enum:
    MAX_ROWS = 32               # per list and post (fastpath.spec.MAX_ROWS)
    VISITS_FIXED = 64           # occurrences looked at per lane and post (fastpath.lanes)
    VISITS_PER_BYTE = 8
    LONGEST_KEY = 1024          # MAX_PATTERN_BYTES
    LEAST_LETTERS = 5           # MIN_SQUEEZED_LETTERS
    # Kept between posts: candidates and offsets of the largest text that is likely, 64 KiB, twelve
    # bytes per lane byte. A lane of 256 KiB takes more for its post alone.
    SCRATCH_KEPT = 1024 * 1024
    # A byte gate that leaves the second-level cache costs more than the posts it lets through.
    GATE_BYTES = 1024 * 1024
    CHUNK = 256                 # texts whose lanes stay in the second-level cache
    LANES_KEPT = 8 * 1024 * 1024
    ROW_BYTES = 28              # of a row of find_columns: its place and a MatchRow
    TURN = 4096                 # patterns read before other threads may run

    BUILT = 0
    NO_MEMORY = -1
    TABLE_TOO_LARGE = -2

if (MAX_ROWS, VISITS_FIXED, VISITS_PER_BYTE, LONGEST_KEY, LEAST_LETTERS) != (
    ROWS_PER_LIST, limits.VISITS_FIXED, limits.VISITS_PER_BYTE, limits.MAX_PATTERN_BYTES,
    limits.MIN_SQUEEZED_LETTERS,
):
    raise ImportError("fastpath.keywords was compiled with other limits than fastpath.lanes has")
if sizeof(WholeWord) != GATE_LINE:
    raise ImportError("fastpath.keywords was compiled with words that fill no cache line")

cdef int LEVEL = isa_level()

include "views.pxi"
include "patterns.pxi"
include "automaton.pxi"
include "prefilter.pxi"
include "whole_words.pxi"
include "occurrences.pxi"
include "keyword_rows.pxi"
include "keyword_build.pxi"
include "keyword_lists.pxi"


# Scanning.


cdef int make_lanes(
    Bump* bump, const KeywordTable* table, const uint8_t* text, size_t size, PostText* out
) noexcept nogil:
    """Make the lanes of one post; see keywords.pxd."""
    cdef Lane* folded = &out.lanes[LANE_FOLDED]
    cdef Lane* skeleton = &out.lanes[LANE_SKELETON]
    cdef uint32_t disguise = 1u << LANE_SKELETON | 1u << LANE_SQUEEZED
    # Each by itself: stores in a row, where all at once would be a string instruction that takes
    # longer to start than they do. The folded lane is always made.
    memset(&out.lanes[LANE_RAW], 0, sizeof(Lane))
    memset(skeleton, 0, sizeof(Lane))
    memset(&out.lanes[LANE_SQUEEZED], 0, sizeof(Lane))
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


cdef int scan_post(
    const KeywordTable* table, ScanState* state, Bump* bump, const PostText* text,
    View** views, uint8_t** hits, size_t place, PostMatches* out,
) noexcept nogil:
    """Scan one post in every lane that a list reads; views and hits by lane, of the whole batch."""
    cdef Post post
    cdef View view
    cdef const Lane* lane
    cdef uint32_t number
    cdef bint whole
    memset(&post, 0, sizeof(post))
    memset(out, 0, sizeof(PostMatches))
    state.epoch += 1
    for number in range(<uint32_t> LANE_COUNT):
        lane = &text.lanes[number]
        post.truncated = post.truncated or (lane.truncated and table.lanes >> number & 1)
        if lane.size == 0 or not table.lanes >> number & 1:
            continue
        whole = views[number] != NULL and hits[number][place]
        if whole:
            view = views[number][place]
        else:
            show_lane(lane, &view)
        if search_lane(table, state, &post, number, &view, lane, whole):
            return -1
    if post.rows and write_rows(state, bump, text, post.rows, out):
        return -1
    out.visited = post.visited
    out.truncated = post.truncated
    if post.searched:
        bump_reset(state.scratch, SCRATCH_KEPT)
    return 0


cdef int scan(
    const KeywordTable* table, ScanState* state, Bump* bump,
    const PostText* posts, size_t count, PostMatches* out,
) noexcept nogil:
    """Scan a batch; see keywords.pxd."""
    cdef View* views[LANE_COUNT]
    cdef uint8_t* hits[LANE_COUNT]
    cdef uint32_t lane
    cdef size_t i
    for lane in range(<uint32_t> LANE_COUNT):
        views[lane] = NULL
        if not table.lane[lane].bytes.count:
            continue
        views[lane] = <View*> bump_alloc(bump, count * sizeof(View))
        hits[lane] = <uint8_t*> bump_alloc(bump, count)
        if views[lane] == NULL or hits[lane] == NULL:
            return -1
        for i in range(count):
            if view_lane(bump, &posts[i].lanes[lane], &views[lane][i]):
                return -1
        if find_bytes(
            &table.lane[lane].bytes, state.scratch, views[lane], count, hits[lane]
        ):
            return -1
        bump_reset(state.scratch, SCRATCH_KEPT)
    for i in range(count):
        if scan_post(table, state, bump, &posts[i], views, hits, i, &out[i]):
            return -1
    return 0


# Owners.


cdef class Keywords:
    """Own the automata of all keyword lists; immutable, may be shared by threads."""

    def __cinit__(self, lists):
        started = time.perf_counter()
        self.arena = Arena()
        self.lists = tuple(lists)
        self.notes = build_table(self)
        self.build_seconds = time.perf_counter() - started

    @property
    def states(self):
        """Return the states of the automaton of each lane, in the order of spec.LANES."""
        return tuple([self.table.lane[i].automaton.count for i in range(<uint32_t> LANE_COUNT)])

    def find(self, str text not None):
        """Return what the lists find in one text."""
        return self.find_all([text])[0]

    def find_all(self, texts):
        """Return what the lists find in each text, scanned as one batch."""
        return Scanner(self).find_all(texts)


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
        self.lanes = Arena()
        cdef size_t lists = table.lists * sizeof(MetList)
        cdef size_t rows = min(<size_t> table.lists * MAX_ROWS, <size_t> table.pattern_count)
        cdef size_t patterns = 2 * sizeof(MetPattern)
        self.state.shift = 31
        while patterns < 2 * rows * sizeof(MetPattern):
            patterns *= 2
            self.state.shift -= 1
        self.state.patterns = <MetPattern*> bump_alloc(&self.arena.bump, patterns)
        self.state.lists = <MetList*> bump_alloc(&self.arena.bump, lists)
        self.state.found = <Found*> bump_alloc(&self.arena.bump, rows * sizeof(Found))
        if self.state.patterns == NULL or self.state.lists == NULL or self.state.found == NULL:
            raise MemoryError("no memory for scanning")
        memset(self.state.patterns, 0, patterns)
        memset(self.state.lists, 0, lists)
        self.state.scratch = &self.scratch.bump

    def find_all(self, texts):
        """Return what the lists find in each text."""
        cdef TextBatch batch = TextBatch(texts)
        found = [TextMatches((), 0, False)] * <Py_ssize_t> batch.count
        for at, matches in self.find_hits(batch):
            found[at] = matches
        return found

    def find_hits(self, TextBatch batch not None):
        """Return (place, matches) of each text in which something is found, or a cap was met."""
        cdef size_t start = 0, count = 0, i, total = batch.count
        cdef PostMatches[CHUNK] out
        found = []
        while start < total:
            count = min(total - start, <size_t> CHUNK)
            self.scan_chunk(batch, start, count, out)
            for i in range(count):
                if out[i].count or out[i].visited or out[i].truncated:
                    found.append((start + i, matches_of(self.keywords, &out[i])))
            start += count
        return found

    def find_columns(self, TextBatch batch not None):
        """Return rows of seven little-endian u32: place, list, pattern, lane, start, end, count."""
        cdef size_t start = 0, count = 0, i, total = batch.count
        cdef PostMatches[CHUNK] out
        cdef uint32_t row
        cdef Py_ssize_t held = 0, rows
        cdef uint32_t* column
        cdef bytearray columns = bytearray()
        while start < total:
            count = min(total - start, <size_t> CHUNK)
            self.scan_chunk(batch, start, count, out)
            rows = 0
            for i in range(count):
                rows += out[i].count
            PyByteArray_Resize(columns, held + rows * <Py_ssize_t> ROW_BYTES)
            column = <uint32_t*> (PyByteArray_AS_STRING(columns) + held)
            held += rows * <Py_ssize_t> ROW_BYTES
            for i in range(count):
                for row in range(out[i].count):
                    column[0] = <uint32_t> (start + i)
                    memcpy(column + 1, &out[i].rows[row], sizeof(MatchRow))
                    column += ROW_BYTES / sizeof(uint32_t)
            start += count
        return columns

    cdef int scan_chunk(
        self, TextBatch batch, size_t start, size_t count, PostMatches* out
    ) except -1:
        cdef int failed
        bump_reset(&self.lanes.bump, LANES_KEPT)
        with nogil:
            failed = scan_texts(
                &self.keywords.table, &self.state, &self.lanes.bump,
                batch.texts + start, batch.sizes + start, count, out,
            )
        if failed:
            raise MemoryError("no memory for a batch")
        return 0


cdef int scan_texts(
    const KeywordTable* table, ScanState* state, Bump* bump,
    const uint8_t** texts, const uint32_t* sizes, size_t count, PostMatches* out,
) noexcept nogil:
    """Make the lanes of texts and scan them; 0, or -1 when the arena has no memory."""
    cdef PostText* posts = <PostText*> bump_alloc(bump, count * sizeof(PostText))
    cdef size_t i
    if posts == NULL:
        return -1
    for i in range(count):
        if make_lanes(bump, table, texts[i], sizes[i], &posts[i]):
            return -1
    return scan(table, state, bump, posts, count, out)


cdef class TextBatch:
    """Own texts as UTF-8, ready to be scanned again and again; immutable."""

    def __cinit__(self, texts):
        cdef size_t i = 0
        cdef bytes encoded
        cdef uint8_t* copy
        self.arena = Arena()
        self.count = len(texts)
        self.texts = <const uint8_t**> bump_alloc(
            &self.arena.bump, self.count * sizeof(uint8_t*)
        )
        self.sizes = <uint32_t*> bump_alloc(&self.arena.bump, self.count * sizeof(uint32_t))
        if self.texts == NULL or self.sizes == NULL:
            raise MemoryError("no memory for texts")
        for text in texts:
            encoded = text.encode()
            copy = <uint8_t*> bump_alloc(&self.arena.bump, len(encoded))
            if copy == NULL:
                raise MemoryError("no memory for texts")
            memcpy(copy, <const char*> encoded, len(encoded))
            self.texts[i] = copy
            self.sizes[i] = <uint32_t> len(encoded)
            self.bytes += len(encoded)
            i += 1
