# One pass over a document: what the trie of a field map names is kept, all else is skipped by
# its grammar. Included by posts.pyx.

cdef Value* take_values(Reader* r, size_t count) noexcept nogil:
    """Return zeroed values, in a row; NULL where there are too many or no memory."""
    cdef Value* taken = r.values
    r.values_taken += count
    if r.values_taken > MAX_VALUES and not r.trusted:
        give_up(r, READ_SIZE)
        return NULL
    if count > r.values_left:
        r.values_left = max(count, <size_t>POOL_VALUES)
        taken = <Value*>bump_alloc(r.bump, r.values_left * sizeof(Value))
        if taken == NULL:
            r.failed = READ_NO_MEMORY
            return NULL
    memset(taken, 0, count * sizeof(Value))
    r.values = taken + count
    r.values_left -= count
    return taken


cdef inline uint64_t first_bytes(const uint8_t* key, size_t size, bint readable) noexcept nogil:
    """Return up to eight bytes of a key, zeros behind its end; `readable`: eight may be read."""
    cdef uint64_t first = 0
    if readable:
        first = load8(key)
        return first if size >= 8 else first & ((<uint64_t>1 << (8 * size)) - 1)
    memcpy(&first, key, min(size, <size_t>8))
    return first


cdef inline const Member* find_member(
    const Node* node, const uint8_t* key, size_t size, bint readable
) noexcept nogil:
    """Return the member of this key, NULL where nobody reads it."""
    cdef uint64_t first = first_bytes(key, size, readable)
    cdef uint32_t slot = hash_of(first, size) & node.mask
    cdef const Member* member = &node.table[slot]
    while member.key != NULL:
        if member.first == first and member.size == size and (
            size <= 8 or (
                member.last == load8(key + size - 8)
                and (size <= 16 or memcmp(member.key + 8, key + 8, size - 16) == 0)
            )
        ):
            return member
        slot = (slot + 1) & node.mask
        member = &node.table[slot]
    return NULL


cdef inline void keep_string(Reader* r, const uint32_t* quote, Value* out) noexcept nogil:
    """Keep the string between the next two quotes."""
    cdef size_t start = <size_t>quote[0] + 1
    out.data = r.data + start
    out.size = quote[1] - quote[0] - 1
    out.kind = VALUE_STRING
    if r.escapes != NULL and any_escape(r, start, quote[1]):
        out.marks |= VALUE_ESCAPED


cdef size_t read_value(
    Reader* r, size_t pos, const Node* node, Value* out, int depth
) noexcept nogil:
    """Keep one value as far as its node reads it; `pos` stands on its first byte."""
    cdef uint8_t c = byte_at(r, pos)
    cdef bint real
    cdef size_t start = pos
    out.node = node.own
    if c == 0x22:
        keep_string(r, r.quote, out)
        pos = <size_t>r.quote[1] + 1
        r.quote += 2
        return pos
    if c == 0x7B:
        out.kind = VALUE_OBJECT
        if node.open:
            return read_open(r, pos + 1, out, depth + 1)
        if node.members > 0:
            return read_object(r, pos + 1, node, out, depth + 1)
        return skip_object(r, pos + 1, depth + 1)
    if c == 0x5B:
        out.kind = VALUE_ARRAY
        if node.element >= 0:
            return read_array(r, pos + 1, &r.program.nodes[node.element], out, depth + 1)
        return skip_array(r, pos + 1, depth + 1, &out.size)
    if c == 0x6E:
        return word_end(r, pos, b"null", 4)
    if c == 0x74 or c == 0x66:
        out.kind = VALUE_BOOLEAN
        return word_end(r, pos, b"true", 4) if c == 0x74 else word_end(r, pos, b"false", 5)
    pos = number_end(r, pos, &real)
    out.kind = VALUE_NUMBER
    out.data = r.data + start
    out.size = <uint32_t>(pos - start)
    out.marks |= VALUE_REAL if real else 0
    return pos


cdef size_t read_object(
    Reader* r, size_t pos, const Node* node, Value* out, int depth
) noexcept nogil:
    """Keep the members that a node reads; `pos` stands behind the opening brace."""
    cdef Value* members = take_values(r, node.members)
    cdef Value* value
    cdef const Member* member
    cdef const Node* below
    cdef const uint32_t* quote = r.quote  # r.quote follows where others read on
    cdef uint64_t met = 0  # places of members that stood
    cdef size_t start, size
    cdef bint done = False
    out.below = members
    if members == NULL:
        return 0
    if depth > MAX_NESTING:
        return give_up(r, READ_NESTING)
    pos = skip_space(r, pos)
    if byte_at(r, pos) == 0x7D:
        return pos + 1
    while not done:
        if pos != quote[0]:
            return give_up(r, READ_SYNTAX)
        start = pos + 1
        size = quote[1] - start
        quote += 2
        if r.escapes != NULL and any_escape(r, start, start + size):
            return give_up(r, READ_ESCAPED_KEY)
        pos = value_start(r, start + size + 1)
        if pos == 0:
            return 0
        member = find_member(node, r.data + start, size, r.size - start >= 8)
        if member == NULL:
            if pos == quote[0]:  # a string
                pos = <size_t>quote[1] + 1
                quote += 2
            else:
                r.quote = quote
                pos = skip_value(r, pos, depth)
                quote = r.quote
        else:
            value = &members[member.place]
            below = &r.program.nodes[member.node]
            if met >> member.place & 1:
                return give_up(r, READ_REPEATED_KEY)
            met |= <uint64_t>1 << member.place
            if pos == quote[0]:
                value.node = below.own
                keep_string(r, quote, value)
                pos = <size_t>quote[1] + 1
                quote += 2
            else:
                r.quote = quote
                pos = read_value(r, pos, below, value, depth)
                quote = r.quote
            if (
                pos > 0 and value.kind != VALUE_NULL
                and (below.direct >= 0 or r.program.strict)
                and not set_directly(r, below, value)
            ):
                return 0
        if pos == 0:
            return 0
        pos = next_item(r, pos, 0x7D, &done)
        if pos == 0:
            return 0
    r.quote = quote
    return pos


cdef size_t read_open(Reader* r, size_t pos, Value* out, int depth) noexcept nogil:
    """Keep every member: a chain of keys, each with its value below it."""
    cdef Value* key
    cdef Value* other
    cdef Value** link = &out.below
    cdef bint done = False
    if depth > MAX_NESTING:
        return give_up(r, READ_NESTING)
    pos = skip_space(r, pos)
    if byte_at(r, pos) == 0x7D:
        return pos + 1
    while not done:
        if pos != r.quote[0]:
            return give_up(r, READ_SYNTAX)
        key = take_values(r, 2)
        if key == NULL:
            return 0
        keep_string(r, r.quote, key)
        key.below = key + 1
        pos = value_start(r, <size_t>r.quote[1] + 1)
        if pos == 0:
            return 0
        r.quote += 2
        if not r.trusted:
            if key.marks & VALUE_ESCAPED:
                return give_up(r, READ_ESCAPED_KEY)
            out.size += 1
            if out.size > MAX_SCORES:
                return give_up(r, READ_SIZE)
            other = out.below
            while other != NULL:
                if other.size == key.size and memcmp(other.data, key.data, key.size) == 0:
                    return give_up(r, READ_REPEATED_KEY)
                other = other.next
        link[0] = key
        link = &key.next
        pos = read_value(r, pos, &NO_NODE, key.below, depth)
        if pos == 0:
            return 0
        pos = next_item(r, pos, 0x7D, &done)
        if pos == 0:
            return 0
    return pos


cdef size_t read_array(
    Reader* r, size_t pos, const Node* node, Value* out, int depth
) noexcept nogil:
    """Keep every element as far as its node reads it; `pos` stands behind the bracket."""
    cdef Value* element
    cdef Value** link = &out.below
    cdef bint done = False
    if depth > MAX_NESTING:
        return give_up(r, READ_NESTING)
    pos = skip_space(r, pos)
    if byte_at(r, pos) == 0x5D:
        return pos + 1
    while not done:
        element = take_values(r, 1)
        if element == NULL:
            return 0
        pos = read_value(r, pos, node, element, depth)
        if pos == 0:
            return 0
        link[0] = element
        link = &element.next
        out.size += 1
        pos = next_item(r, pos, 0x5D, &done)
        if pos == 0:
            return 0
    return pos


cdef bint read_document(Reader* r, Value* root) noexcept nogil:
    """Keep a whole document, of which the root must be an object."""
    cdef size_t pos = skip_space(r, 0)
    if byte_at(r, pos) != 0x7B:
        return refuse(r, READ_SYNTAX)
    pos = read_value(r, pos, &r.program.nodes[0], root, 0)
    if pos == 0:
        return False
    if skip_space(r, pos) != r.size:
        return refuse(r, READ_SYNTAX)
    return True
