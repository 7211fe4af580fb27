# Documents of one producer differ in their strings and numbers and in little else. What stands
# between those is remembered as pieces, in a tree: a document that goes down one of its paths is
# read without an index and without a walk. Included by posts.pyx.
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


# --- Reading -------------------------------------------------------------------------------------

cdef inline uint64_t word_at(const Reader* r, size_t pos) noexcept nogil:
    """Return eight bytes, zeros behind the document's end."""
    if r.size - pos >= 8:
        return load8(r.data + pos)
    return load8(r.data + r.size - 8) >> (8 * (pos + 8 - r.size)) if pos < r.size else 0


cdef inline bint stands_at(const Piece* piece, const Reader* r, size_t pos) noexcept nogil:
    cdef size_t i = 0
    if r.size - pos < piece.size:
        return False
    while 8 * i + 8 < piece.size:
        if load8(r.data + pos + 8 * i) != piece.words[i]:
            return False
        i += 1
    return (word_at(r, pos + 8 * i) ^ piece.words[i]) & piece.mask == 0


cdef bint index_rest(PostReader self, Reader* r, size_t* pos) noexcept nogil:
    """Index what is left from the string at `pos` on, which becomes the document's beginning."""
    cdef JsonIndex index
    r.data += pos[0] - 1
    r.size -= pos[0] - 1
    pos[0] = 1
    if not room_for(self, r.size):
        return False
    index.quotes = self.quotes
    index.escapes = self.escapes
    r.quote = self.quotes
    r.escapes = self.escapes
    return json_index(self.level, r.data, r.size, &index) == INDEX_OK and index.any_escape


cdef size_t indexed_end(Reader* r, size_t pos, uint8_t* marks) noexcept nogil:
    while r.quote[0] < pos - 1:
        r.quote += 2
    if r.quote[0] != pos - 1:
        return 0
    marks[0] = VALUE_ESCAPED if any_escape(r, pos, r.quote[1]) else 0
    return r.quote[1]


cdef inline size_t string_end(
    PostReader self, Reader* r, size_t* pos, uint8_t* marks
) noexcept nogil:
    """Return where the string ends whose first byte is at `pos`, 0 if it is none or unsure."""
    cdef uint32_t high
    cdef size_t end
    if r.quote == NULL:
        end = json_stop(r.data, r.size, pos[0], &high)
        if end == r.size:
            return 0
        if r.data[end] == 0x22:
            return end if high == 0 or json_utf8(
                self.level, r.data + pos[0], end - pos[0]
            ) else 0
        if r.data[end] != 0x5C or not index_rest(self, r, pos):
            return 0
    return indexed_end(r, pos[0], marks)


cdef inline size_t whole_end(const Reader* r, size_t pos, int64_t* whole) noexcept nogil:
    """Read an integer of at most 15 digits; 0 for any other number, or near the end."""
    cdef uint64_t first, others
    cdef size_t end, size
    if r.size - pos < 17:
        return 0
    first = load8(r.data + pos)
    others = no_digits(first)
    if others != 0:
        size = <size_t>__builtin_ctzll(others) >> 3
        if size == 0 or (size > 1 and r.data[pos] == 0x30):
            return 0
        end = pos + size
        whole[0] = <int64_t>eight_digits(first << (64 - 8 * size))
    else:
        others = no_digits(load8(r.data + pos + 8))
        if others == 0 or r.data[pos] == 0x30:
            return 0
        size = <size_t>__builtin_ctzll(others) >> 3  # digits behind the first eight
        end = pos + 8 + size
        whole[0] = <int64_t>(
            eight_digits((first << (56 - 8 * size)) << 8) * 100000000
            + eight_digits(load8(r.data + end - 8))
        )
    return 0 if r.data[end] == 0x2E or r.data[end] | 0x20 == 0x65 else end


cdef bint set_otherwise(
    Reader* r, const Piece* piece, const uint8_t* data, size_t size, uint8_t marks
) noexcept nogil:
    """Set the target of a gap by all of its rules."""
    cdef Value value
    cdef Found found
    value.data = data
    value.size = <uint32_t>size
    value.kind = VALUE_STRING if piece.gap == GAP_STRING else VALUE_NUMBER
    value.marks = marks
    found.form = FOUND_VALUE
    found.value = &value
    return set_target(r, r.names, &r.program.targets[piece.target], &found, r.out)


cdef inline bint set_string(
    Reader* r, const Piece* piece, size_t pos, size_t end, uint8_t marks
) noexcept nogil:
    cdef Text* text
    if piece.set == SET_NOTHING:
        return True
    if piece.set != SET_TEXT or marks != 0:
        return set_otherwise(r, piece, r.data + pos, end - pos, marks)
    text = <Text*>(<uint64_t*>r.out + piece.field)
    text.data = r.data + pos
    text.size = end - pos
    r.out.has_content |= piece.content
    return piece.least <= text.size <= <size_t>piece.most


cdef inline size_t read_number(
    Reader* r, const Piece* piece, size_t pos, uint8_t* marks
) noexcept nogil:
    """Read and set a number; return its end, 0 if it is none or not as it should be."""
    cdef int64_t whole
    cdef size_t end = whole_end(r, pos, &whole)
    cdef bint real = False
    if end > 0 and piece.set == SET_WHOLE:
        (<int64_t*>r.out)[piece.field] = whole
        return end if whole <= piece.most else 0
    if end == 0:
        end = number_end(r, pos, &real)
    marks[0] = VALUE_REAL if real else 0
    if end > 0 and piece.set != SET_NOTHING and not set_otherwise(
        r, piece, r.data + pos, end - pos, marks[0]
    ):
        return 0
    return end


cdef bint read_by_shape(
    PostReader self, Reader* r, const uint8_t* data, size_t size
) noexcept nogil:
    """Read a document by the pieces that are remembered; false where the walk is to decide."""
    cdef const Piece* pieces = self.shapes.pieces
    cdef const Piece* piece
    cdef Filling[SHAPE_VALUES] filled
    cdef Filling* filling = filled
    cdef uint32_t place = pieces[0].next
    cdef size_t pos = 0, end
    cdef uint8_t marks
    if size < SHAPE_LEAST:
        return False
    r.data = data
    r.size = size
    r.quote = NULL
    r.escapes = NULL
    r.out[0] = NO_POST
    while place > 0:
        piece = &pieces[place]
        if not stands_at(piece, r, pos):
            place = piece.other
            continue
        place = piece.next
        pos += piece.size
        if piece.gap == GAP_NONE:
            continue
        if piece.gap == GAP_END:
            return pos == r.size and close_shape(self, r, piece, filled, filling)
        marks = 0
        if piece.gap == GAP_STRING:
            end = string_end(self, r, &pos, &marks)
            if end == 0 or not set_string(r, piece, pos, end, marks):
                return False
        else:
            end = read_number(r, piece, pos, &marks)
            if end == 0:
                return False
        if piece.value > 0:
            filling.data = r.data + pos
            filling.size = <uint32_t>(end - pos)
            filling.value = piece.value
            filling.marks = marks
            filling += 1
        pos = end
    return False


cdef bint close_shape(
    PostReader self, Reader* r, const Piece* last, const Filling* filling, const Filling* end
) noexcept nogil:
    """Ask the sources that are not set directly over the tree of the shape, if there are any."""
    if last.value == 0:
        return is_complete(r, r.out)
    memcpy(self.values, &self.shapes.values[last.most], last.value * sizeof(Value))
    while filling < end:
        self.values[filling.value].data = filling.data
        self.values[filling.value].size = filling.size
        self.values[filling.value].marks = filling.marks
        filling += 1
    return read_fields(r, r.names, self.values, r.out)


# --- Learning ------------------------------------------------------------------------------------

cdef void learn(PostReader self, Reader* r) noexcept nogil:
    """Remember the shape of the document that the walk has just read."""
    cdef Shapes* shapes = self.shapes
    cdef const uint32_t* quote = self.quotes
    cdef bint[SHAPE_VALUES] met
    cdef uint32_t before = shapes.piece_count, place = 0
    cdef size_t pos = 0, start = 0, end
    cdef uint8_t c
    cdef bint real
    if r.values_taken >= SHAPE_VALUES:
        return
    memset(met, 0, sizeof(met))
    shapes.full = True  # unless it ends well
    while pos < r.size:
        c = r.data[pos]
        if c == 0x22:
            end = quote[1]
            quote += 2
            if byte_at(r, skip_space(r, end + 1)) == 0x3A:  # a key is of the piece
                pos = end + 1
                continue
            place = put_pieces(self, r, place, start, pos + 1, GAP_STRING, met)
            start = end
            pos = end + 1
        elif c == 0x2D or 0x30 <= c <= 0x39:
            place = put_pieces(self, r, place, start, pos, GAP_NUMBER, met)
            pos = number_end(r, pos, &real)
            start = pos
        else:
            pos += 1
            continue
        if place == 0:
            return
    place = put_pieces(self, r, place, start, pos, GAP_END, met)
    if place > 0 and shapes.piece_count > before:
        shapes.full = not keep_tree(self, r, &shapes.pieces[place], met)


cdef uint32_t put_pieces(
    PostReader self, const Reader* r, uint32_t place, size_t start, size_t end, uint8_t gap,
    bint* met
) noexcept nogil:
    """Put what stands from `start` on behind a piece; return the last one, 0 without room."""
    cdef Shapes* shapes = self.shapes
    cdef uint32_t count, value = 1
    while end - start > PIECE_BYTES:
        place = put_piece(shapes, place, r.data + start, PIECE_BYTES, GAP_NONE)
        if place == 0:
            return 0
        start += PIECE_BYTES
    count = shapes.piece_count
    place = put_piece(shapes, place, r.data + start, end - start, gap)
    if place == 0 or gap == GAP_END:
        return place
    while value <= r.values_taken and self.values[value].data != r.data + end:
        value += 1
    if value <= r.values_taken:
        met[value] = True
        if place == count:  # a new one
            aim(r, &shapes.pieces[place], &self.values[value], <uint16_t>value)
    return place


cdef uint32_t put_piece(
    Shapes* shapes, uint32_t before, const uint8_t* data, size_t size, uint8_t gap
) noexcept nogil:
    """Return the place of a piece behind another, put there if need be; 0 without room.

    The longest is tried first: it begins with a shorter one only where that one's gap would hold
    something else than a string or a number.
    """
    cdef uint16_t* link = &shapes.pieces[before].next
    cdef Piece* piece
    cdef uint32_t siblings = 0
    while link[0] > 0:
        piece = &shapes.pieces[link[0]]
        if piece.size == size and piece.gap == gap and memcmp(piece.words, data, size) == 0:
            return link[0]
        if piece.size < size:
            break
        siblings += 1
        link = &piece.other
    if shapes.piece_count == SHAPE_PIECES or siblings == SHAPE_SIBLINGS:
        return 0
    piece = &shapes.pieces[shapes.piece_count]
    memset(piece, 0, sizeof(Piece))
    memcpy(piece.words, data, size)
    piece.mask = ~<uint64_t>0 >> (8 * ((8 - size % 8) % 8))
    piece.size = <uint8_t>size
    piece.gap = gap
    piece.other = link[0]
    link[0] = <uint16_t>shapes.piece_count
    shapes.piece_count += 1
    return link[0]


cdef void aim(const Reader* r, Piece* piece, const Value* value, uint16_t place) noexcept nogil:
    """Say where what fills the gap goes; targets with rules of their own keep these."""
    cdef const Post* out = r.out
    cdef const void* field = NULL
    cdef uint32_t code
    piece.value = place
    piece.target = r.program.nodes[value.node].direct
    if piece.target < 0:
        return
    piece.set = SET_OTHER
    code = r.program.targets[piece.target].code
    if piece.gap == GAP_NUMBER:
        piece.most = INT64_MAX if code == TO_FOLLOWERS else MAX_TIME
        if code == TO_FOLLOWERS:
            field = &out.followers
        elif code == TO_CREATED_AT:
            field = &out.created_at
        elif code == TO_ACCOUNT_CREATED_AT:
            field = &out.account_created_at
    else:
        piece.least = code != TO_TEXT and code != TO_LANG
        piece.most = ID_BYTES
        piece.content = code == TO_TEXT or code == TO_REPOST_OF
        if code == TO_TEXT:
            piece.most = TEXT_BYTES
            field = &out.text
        elif code == TO_LANG:
            piece.most = INT64_MAX
            field = &out.lang
        elif code == TO_ID:
            field = &out.id
        elif code == TO_ACCOUNT:
            field = &out.account
        elif code == TO_REPOST_OF:
            field = &out.repost_of
        elif code == TO_REPLY_TO:
            field = &out.reply_to
        elif code == TO_DEVICE:
            field = &out.device
    if field != NULL:
        piece.field = <uint8_t>(<const uint64_t*>field - <const uint64_t*>out)
        piece.set = SET_WHOLE if piece.gap == GAP_NUMBER else SET_TEXT


cdef bint keep_tree(PostReader self, const Reader* r, Piece* last, const bint* met) noexcept nogil:
    """Keep the values of a document if a source is asked over them; false without room."""
    cdef Shapes* shapes = self.shapes
    cdef uint32_t i, count = <uint32_t>r.values_taken + 1
    cdef Value* tree = &shapes.values[shapes.value_count]
    cdef const Target* target
    cdef bint asked = False
    for i in range(r.program.asked):
        target = &r.program.targets[i]
        if target.code < TO_SHA256 or target.code > TO_PDQ_QUALITY:
            asked |= not is_absent(target, self.values)
    if not asked:
        return True
    last.gap = GAP_NONE  # leads nowhere without its tree
    if shapes.value_count + count > SHAPE_TREES:
        return False
    memcpy(tree, self.values, count * sizeof(Value))
    for i in range(1, count):  # keys that are read by name outlive the document
        if tree[i].kind == VALUE_STRING and not met[i]:
            if shapes.key_bytes + tree[i].size > SHAPE_KEYS:
                return False
            tree[i].data = shapes.keys + shapes.key_bytes
            memcpy(shapes.keys + shapes.key_bytes, self.values[i].data, tree[i].size)
            shapes.key_bytes += tree[i].size
    last.gap = GAP_END
    last.most = shapes.value_count
    last.value = <uint16_t>count
    shapes.value_count += count
    return True
