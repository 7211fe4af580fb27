# Learning the shape of a document that the walk has read: its pieces, what its gaps set, and the
# tree of its values if a source is asked over it. Included by posts.pyx.

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
