"""Find many keyword lists in batches of lanes: layouts and signatures for screen."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.arena cimport Arena, Bump
from fastpath.text cimport Lane


cdef struct PostText:           # made by make_lanes; not to be moved, squeezed points into it
    Lane[4] lanes               # by LANE_x; all zero where no list reads it or it did not run,
    #                             but folded is always made


cdef struct MatchRow:           # one pattern found in one post
    uint32_t list               # index in the lists the table was built from
    uint32_t pattern            # index in that list's patterns
    uint32_t lane               # LANE_x
    uint32_t start              # first occurrence: code points of the source text, [start, end)
    uint32_t end
    uint32_t count              # occurrences; a lower bound where `truncated` is set


cdef struct PostMatches:
    MatchRow* rows              # ordered by list, lane, pattern; NULL where there are none
    uint32_t count              # rows
    uint32_t visited            # occurrences looked at; bytes of keys when squeezed
    bint truncated              # a cap was met: set flag matches_truncated


cdef struct Output:             # one pattern or exception that ends in a state
    const uint16_t* asks        # squeezed: LETTER_* per byte; else NULL
    uint32_t pattern            # index in KeywordTable.patterns
    uint32_t list               # as Pattern has them
    uint32_t index
    uint16_t size               # bytes of the key
    uint16_t kind               # bits OUTPUT_x


cdef struct Pattern:            # one entry of one list in one lane
    uint32_t list
    uint32_t index              # in the list's patterns, or exceptions
    uint32_t lane
    bint exception


cdef packed struct State:
    uint32_t children           # its first child; the others follow it
    uint32_t fallback           # state of the longest proper suffix
    uint32_t outputs            # its first output; they end where those of the next state begin
    uint32_t reports            # the longest suffix with outputs, itself included; 0 for none
    uint16_t count              # children
    uint8_t label               # the byte that leads to it


cdef struct Automaton:          # every key of one lane: finds patterns and spans
    uint32_t count              # states; 0: no list reads this lane
    uint32_t[512] roots         # children of state 0, then of state 1; 0 for none
    State* states               # depth first, and one more behind the last
    uint32_t* open_reports      # as State.reports, for outputs whose end is not tested; or NULL
    Output* outputs


cdef extern from "word_gate.h" nogil:
    ctypedef struct WordBytes:
        uint64_t low
        uint64_t high


cdef struct WholeWord:          # a word of keys, in a cache line with what it reports
    WordBytes bytes             # zero behind its end, which no word holds
    uint32_t before             # state of the automaton where the word begins
    uint32_t behind             # state where it ends; 0: the slot is free
    uint32_t spaced             # state behind a space that follows; not 0
    uint32_t outputs            # the first that ends here, as State.outputs
    uint16_t output_count
    uint16_t kind               # bits WORD_x
    Output output               # a copy of the first, if there is one


cdef struct WholeWords:
    WholeWord* slots            # by hash, linear probing; NULL: some end in this lane is open
    uint32_t count              # slots


cdef struct WordGate:           # hashes of the first words of keys
    uint64_t* sparse            # one bit is set per hash; NULL: no key has words
    uint64_t* buckets           # three bits are set per hash
    uint32_t shift              # a hash shifted right by it is a bucket, of both
    uint32_t lead               # most bytes that stand before the first word of a key
    uint32_t least              # bytes of the shortest word that a key is known by, at most 8


cdef struct ByteGate:           # a dense automaton over the beginnings of keys without such words
    uint32_t count              # states, the one for a hit included; 0: there are no such keys
    uint32_t stride             # byte classes
    uint32_t hit                # row of the state that is never left
    bint needs_word             # bytes outside ASCII have a class as part of a word and another
    uint16_t[512] classes       # by byte, then by 256 + byte inside words
    uint32_t* table             # rows of `stride` entries: the next row


cdef struct LaneTable:          # what is known of the keys of one lane
    Automaton automaton
    WholeWords whole
    WordGate words
    ByteGate bytes


cdef struct KeywordTable:
    uint32_t lanes              # bit LANE_x: some list reads lane x
    uint32_t lists
    uint32_t pattern_count      # exceptions included
    const Pattern* patterns
    const uint8_t* longest      # per list: reports the longest alone
    bint filtered               # some list has exceptions or reports the longest alone
    LaneTable lane[4]           # LANE_COUNT


cdef struct MetPattern:         # a pattern that the post at hand has a row for
    uint64_t epoch              # of the post it was last met in; older: the slot is free
    uint32_t pattern            # index in KeywordTable.patterns
    uint32_t row                # in ScanState.found


cdef struct MetList:
    uint64_t epoch              # of the post it was last met in; older: no rows yet
    uint32_t rows


cdef struct Found:              # a row before it is ordered and mapped to the source
    uint32_t pattern            # index in KeywordTable.patterns, which is the order of rows
    MatchRow row                # start and end in lane bytes


cdef struct ScanState:          # one worker's memory while scanning; made by Scanner
    uint64_t epoch
    MetPattern* patterns        # by hash, linear probing; twice as many slots as rows, or more
    uint32_t shift              # a hash shifted right by it is a slot
    MetList* lists              # per list
    Found* found                # at most 32 per list
    Bump* scratch               # candidates, occurrences and offsets of one post


# Make the lanes of one post that `table` reads; 0, or -1 when the arena has no memory.
cdef int make_lanes(
    Bump* bump, const KeywordTable* table, const uint8_t* text, size_t size, PostText* out
) noexcept nogil

# Scan `count` posts and fill `out[0:count]`; rows live in `bump`. Returns 0, or -1 when the
# arena has no memory. What stands in `out` depends on the table and that post alone.
cdef int scan(
    const KeywordTable* table, ScanState* state, Bump* bump,
    const PostText* posts, size_t count, PostMatches* out,
) noexcept nogil


cdef class Keywords:
    """Own the automata of all keyword lists; immutable, may be shared by threads."""

    cdef KeywordTable table
    cdef Arena arena
    cdef readonly tuple lists
    cdef readonly tuple notes
    cdef readonly size_t table_bytes
    cdef readonly double build_seconds


cdef class TextBatch:
    """Own texts as UTF-8, ready to be scanned again and again; immutable."""

    cdef Arena arena
    cdef const uint8_t** texts
    cdef uint32_t* sizes
    cdef readonly size_t count
    cdef readonly size_t bytes


cdef class Scanner:
    """Own one worker's scan memory for one table; not to be shared by threads."""

    cdef ScanState state
    cdef Keywords keywords
    cdef Arena arena
    cdef Arena scratch
    cdef Arena lanes            # of the texts that find_hits looks at

    cdef int scan_chunk(
        self, TextBatch batch, size_t start, size_t count, PostMatches* out
    ) except -1
