# Reading a document down the tree of shapes: what takes its gaps and where that goes. Included by
# posts.pyx.

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
