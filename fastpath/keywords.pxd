"""Find many keyword lists in batches of lanes: layouts and signatures for screen."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

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
    uint32_t visited            # outputs looked at, for the work budget; bytes when squeezed
    bint truncated              # a cap was met: set flag matches_truncated


cdef struct Output:             # one pattern that ends in a state
    uint32_t pattern            # index in KeywordTable.patterns
    uint32_t size               # bytes of the pattern in this lane
    bint test_start             # must not follow a word character
    bint test_end               # must not precede one
    const uint8_t* asks         # squeezed: gaps and runs per byte; else NULL


cdef struct Pattern:            # one entry of one list in one lane
    uint32_t list
    uint32_t index
    uint32_t lane


cdef struct Automaton:          # one per lane
    uint8_t classes[256]        # byte -> column; 0 for bytes of no pattern
    uint32_t* table             # states x stride: row offset of the next state, top bit: has output
    uint32_t stride             # byte classes
    uint32_t states             # 0: no list reads this lane
    uint32_t* outputs_from      # states + 1 offsets into outputs
    Output* outputs
    uint32_t* suffix            # nearest shorter suffix state with outputs, 0 for none


cdef struct KeywordTable:
    uint32_t lanes              # bit LANE_x: some list reads lane x
    uint32_t lists
    uint32_t pattern_count
    const Pattern* patterns
    Automaton automata[4]       # LANE_COUNT


cdef struct Seen:               # what the post at hand has met of one pattern or list
    uint64_t epoch              # of the post it was last met in; older: nothing yet
    uint32_t row                # pattern: its row; list: number of rows


cdef struct Found:              # a row before it is ordered and mapped to the source
    uint32_t pattern            # index in KeywordTable.patterns, which is the order of rows
    uint32_t start              # lane bytes
    uint32_t end
    uint32_t count


cdef struct ScanState:          # one worker's memory while scanning; made by Scanner
    uint64_t epoch
    Seen* patterns              # per KeywordTable.patterns
    Seen* lists                 # per list
    Found* found                # at most 32 per list
    Bump* scratch               # hits and offsets of one post


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


cdef class Scanner:
    """Own one worker's scan memory for one table; not to be shared by threads."""

    cdef ScanState state
    cdef Keywords keywords
    cdef Arena arena
    cdef Arena scratch
