# Documents of one producer differ in their strings and numbers and in little else. What stands
# between those is remembered as pieces, in a tree: a document that goes down one of its paths is
# read without an index and without a walk. This is the tree, and when it is tried and given up;
# shape_reading.pxi goes down it, shape_learning.pxi lets it grow. Included by posts.pyx.
#
# A path is learned only from a document that the ordinary walk has read, and a gap between pieces
# takes only what the walk would take there, so whatever is read by a shape would have been read by
# the walk, as the same post. Whatever is not is read by the walk from its first byte: what was
# remembered changes how long a document takes and nothing else.

cdef enum:
    PIECE_BYTES = 32  # of one piece; what is longer is several in a row
    SHAPE_PIECES = 256  # 16 KiB; an ordinary producer's posts have some 40
    SHAPE_SIBLINGS = 16  # pieces tried at one place, 1 ns each
    SHAPE_VALUES = 96  # kept values of one document; of a canonical post some 25
    SHAPE_TREES = 1024  # values of all shapes, 32 KiB
    SHAPE_KEYS = 2048  # bytes of keys that are read by name, of all shapes
    SHAPE_LEAST = 32  # bytes of a document; no post is shorter

    # A hit saves three times what a miss costs. Where fewer than one document in four is a hit,
    # shapes rest; learning as many again costs the time of about 100 walks.
    HIT_TRUST = 3
    MOST_DOUBT = 48
    REST = 8192  # documents

    GAP_NONE = 0  # the next piece follows at once
    GAP_STRING = 1
    GAP_NUMBER = 2
    GAP_END = 3

    SET_NOTHING = 0
    SET_TEXT = 1  # a Text of the post, if its size is in bounds
    SET_WHOLE = 2  # an integer from 0
    SET_OTHER = 3  # by the rules of its target

cdef struct Piece:  # a line of the cache
    uint64_t[4] words  # its bytes, zeros behind
    uint64_t mask  # of the last word
    int64_t most  # bytes of the text, the number; GAP_END: the first of the tree's values
    uint16_t next  # pieces behind the gap, the longest first; 0 if none
    uint16_t other  # what may stand here instead
    uint16_t value  # place of what fills the gap, 0 if nobody keeps it; GAP_END: size of the tree
    int32_t target
    uint8_t size
    uint8_t gap
    uint8_t set
    uint8_t field  # in a Post, in words of eight bytes
    uint8_t least  # bytes of the text
    uint8_t content  # 1 where a post has content through what stands here


cdef struct Shapes:
    Piece[SHAPE_PIECES] pieces  # the first is empty and leads to those of a document's start
    Value[SHAPE_TREES] values
    uint8_t[SHAPE_KEYS] keys
    uint32_t piece_count
    uint32_t value_count
    uint32_t key_bytes
    bint able  # false for maps whose documents lie in a string
    bint full  # nothing more is learned
    int doubt
    uint32_t rest  # documents still to be read without
    uint64_t hits


cdef struct Filling:  # of a gap whose value is kept
    const uint8_t* data
    uint32_t size
    uint16_t value
    uint8_t marks


cdef void forget(Shapes* shapes, bint able) noexcept nogil:
    memset(&shapes.pieces[0], 0, sizeof(Piece))
    shapes.piece_count = 1
    shapes.value_count = 0
    shapes.key_bytes = 0
    shapes.able = able
    shapes.full = False
    shapes.doubt = 0
    shapes.rest = 0


cdef inline bint may_try(Shapes* shapes) noexcept nogil:
    if shapes.rest > 0:
        shapes.rest -= 1
        return False
    return shapes.able


cdef void miss(PostReader self, Reader* r) noexcept nogil:
    """Learn from a document that the walk has read, or give up for a while."""
    cdef Shapes* shapes = self.shapes
    shapes.doubt += 1
    if shapes.doubt >= MOST_DOUBT:
        forget(shapes, True)
        shapes.rest = REST
    elif r.failed == READ_OK and not shapes.full:
        learn(self, r)
