# What decides that nothing stands in a lane: the gates before the automaton.
#
# A key is known by its first whole word, or by its first two, wherever it has one: the words of a
# lane are hashed and looked up, two memory accesses a word that wait for nothing, whatever the
# number of keys. Keys without such words (substrings, prefixes, scripts without spaces, signs) go
# through a dense automaton over their first bytes, eight posts at a time, since one post alone
# would wait for each load. Both let through what is no match; neither holds back what is.


cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil

cdef extern from "word_gate.h" nogil:
    WordBytes gate_load_word(const uint8_t* at, uint32_t length)
    uint64_t gate_hash_behind(uint32_t state, WordBytes word)
    uint64_t gate_line(uint64_t hashed, uint32_t lines)
    uint64_t gate_hash_word(const uint8_t* at, uint32_t length)
    uint64_t gate_hash_pair(uint64_t first, uint64_t second)
    uint64_t gate_bit(uint64_t hashed)
    uint64_t gate_bits(uint64_t hashed)
    uint32_t gate_words(
        int level, const uint64_t* sparse, const uint64_t* buckets, uint32_t shift, uint32_t least,
        const void* lines, uint32_t line_count, const uint8_t* data, const uint8_t* word,
        uint32_t size, uint32_t* found
    )
    enum:
        GATE_LINE
        HASHED_BYTES
        MOST_LEAST

cdef enum:
    LONGEST_LEAD = 64           # bytes before the first word of a key; beyond, ByteGate has it
    STREAMS = 8                 # posts at a time


# Words.


cdef uint64_t hash_span(const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    """Hash a word of which nothing behind its end may be read."""
    cdef uint8_t[HASHED_BYTES] padded
    cdef uint32_t length = min(end - start, <uint32_t> HASHED_BYTES)
    memset(padded, 0, HASHED_BYTES)
    memcpy(padded, data + start, length)
    return gate_hash_word(padded, length)


cdef struct FirstWord:          # how a key is known to the word gate
    uint64_t hashed
    uint32_t lead               # bytes before it
    uint32_t shortest           # bytes of it, or of the shorter one of two
    bint known                  # it has a whole word near its beginning


cdef FirstWord first_word(const Key* key) noexcept nogil:
    """Find the first whole word of a key, and the second if it is whole too."""
    cdef FirstWord found
    cdef uint32_t at = 0, start
    cdef uint64_t hashed
    memset(&found, 0, sizeof(FirstWord))
    while at < key.size:
        while at < key.size and not word_at(key.word, at):
            at += 1
        start = at
        while at < key.size and word_at(key.word, at):
            at += 1
        if start == at or (at == key.size and not key.test_end):
            return found
        if start == 0 and not key.test_start:
            continue
        hashed = hash_span(key.data, start, at)
        if found.known:
            found.hashed = gate_hash_pair(found.hashed, hashed)
            found.shortest = min(found.shortest, at - start)
            return found
        if start > LONGEST_LEAD:
            return found
        found.hashed = hashed
        found.lead = start
        found.shortest = at - start
        found.known = True
    return found


cdef uint64_t word_gate_bytes(uint32_t keys) noexcept nogil:
    """Return the bytes of a gate for so many keys: 16 to 32 each, a power of two."""
    cdef uint64_t buckets = 16
    while buckets < keys:
        buckets *= 2
    return 2 * buckets * sizeof(uint64_t)


cdef int build_word_gate(
    WordGate* gate, Bump* bump, const Key* keys, uint32_t count, uint64_t size
) noexcept nogil:
    """Build the gate of the keys that are known by words, within `size` bytes."""
    cdef FirstWord found
    cdef uint32_t i
    cdef uint64_t buckets = size / (2 * sizeof(uint64_t))
    gate.sparse = <uint64_t*> bump_alloc(bump, size)
    if gate.sparse == NULL:
        return NO_MEMORY
    memset(gate.sparse, 0, size)
    gate.buckets = gate.sparse + buckets
    gate.shift = 64 - <uint32_t> __builtin_ctzll(buckets)
    gate.least = MOST_LEAST
    for i in range(count):
        found = first_word(&keys[i])
        if found.known:
            gate.sparse[found.hashed >> gate.shift] |= gate_bit(found.hashed)
            gate.buckets[found.hashed >> gate.shift] |= gate_bits(found.hashed)
            gate.lead = max(gate.lead, found.lead)
            gate.least = min(gate.least, found.shortest)
    return BUILT


# Bytes.


cdef uint32_t keep_beginnings(
    const Key* keys, uint32_t count, uint32_t longest, bint with_words, Key* kept
) noexcept nogil:
    """Copy sorted keys that no word makes known, cut to `longest` bytes; leave out repetitions."""
    cdef uint32_t i, made = 0
    cdef Key key
    for i in range(count):
        if with_words and first_word(&keys[i]).known:
            continue
        key = keys[i]
        key.size = min(key.size, longest)
        if made and shared_prefix(&kept[made - 1], &key) == kept[made - 1].size:
            continue
        kept[made] = key
        made += 1
    return made


cdef inline bint is_word_symbol(uint32_t symbol) noexcept nogil:
    """Say whether a byte, plus 256 inside words, is part of a word; of ASCII the byte tells."""
    if symbol & 0x80:
        return symbol >= 256
    return code_point_class(symbol & 0x7F) & CLASS_WORD != 0


cdef void number_classes(ByteGate* gate, const Key* keys, uint32_t count) noexcept nogil:
    """Give bytes that the keys do not tell apart one class."""
    cdef bint[256] used
    cdef uint32_t i, j, symbol
    memset(used, 0, sizeof(used))
    gate.needs_word = False
    gate.stride = 2                                 # bytes of no key: outside and inside words
    for i in range(count):
        gate.needs_word = gate.needs_word or is_rooted(&keys[i])
        for j in range(keys[i].size):
            used[keys[i].data[j]] = True
    for symbol in range(512):
        if not used[symbol & 255]:
            gate.classes[symbol] = gate.needs_word and is_word_symbol(symbol)
        elif symbol < 256 or (gate.needs_word and symbol & 0x80):
            gate.classes[symbol] = <uint16_t> gate.stride
            gate.stride += 1
        else:
            gate.classes[symbol] = gate.classes[symbol & 255]


cdef void fill_rows(
    ByteGate* gate, const Automaton* automaton, const uint32_t* order
) noexcept nogil:
    """Write the row of each state, breadth first: that of its fallback, and its own children."""
    cdef uint32_t taken, state, fallback, child, symbol, row = gate.stride, i
    cdef uint32_t* entries
    gate.hit = automaton.count * row
    for symbol in range(512):
        child = gate.needs_word and not is_word_symbol(symbol)
        if automaton.roots[symbol & 255]:
            child = automaton.roots[symbol & 255]
        gate.table[gate.classes[symbol]] = row_of(gate, automaton, child)
    for taken in range(1, automaton.count):
        state = order[taken]
        entries = gate.table + <size_t> state * row
        fallback = automaton.states[state].fallback if state > 1 else 0
        memcpy(entries, gate.table + <size_t> fallback * row, row * sizeof(uint32_t))
        for child in range(
            automaton.states[state].children,
            automaton.states[state].children + automaton.states[state].count,
        ):
            symbol = automaton.states[child].label
            entries[gate.classes[symbol]] = row_of(gate, automaton, child)
            entries[gate.classes[256 | symbol]] = row_of(gate, automaton, child)
    entries = gate.table + gate.hit
    for i in range(row):
        entries[i] = gate.hit


cdef inline uint32_t row_of(
    const ByteGate* gate, const Automaton* automaton, uint32_t state
) noexcept nogil:
    return gate.hit if automaton.states[state].reports else state * gate.stride


cdef int build_byte_gate(
    const KeywordTable* table, ByteGate* gate, Bump* bump, Bump* scratch,
    const Key* keys, uint32_t count, bint with_words, uint64_t budget, uint64_t* size,
) noexcept nogil:
    """Build the gate of the keys that words do not make known; BUILT or why not.

    Longer keys are cut so far that the table takes at most GATE_BYTES.
    """
    cdef Key* kept = <Key*> bump_alloc(scratch, <size_t> count * sizeof(Key))
    cdef uint32_t longest = LONGEST_KEY, made
    cdef uint64_t states
    cdef Automaton automaton
    cdef uint32_t* order
    size[0] = 0
    if kept == NULL:
        return NO_MEMORY
    while True:
        made = keep_beginnings(keys, count, longest, with_words, kept)
        if made == 0:
            return BUILT
        number_classes(gate, kept, made)
        states = count_states(kept, made) + 1
        size[0] = states * gate.stride * sizeof(uint32_t)
        if size[0] <= GATE_BYTES or longest <= 2:
            break
        longest = longest / 2 if longest > 8 else longest - 1
    if size[0] > budget:
        return TABLE_TOO_LARGE
    gate.table = <uint32_t*> bump_alloc(bump, size[0])
    if gate.table == NULL or build_automaton(
        table, NULL, &automaton, scratch, scratch, kept, made, <uint32_t> states - 1, &order
    ):
        return NO_MEMORY
    gate.count = <uint32_t> states
    fill_rows(gate, &automaton, order)
    return BUILT


cdef struct Stream:             # one post on its way through a byte gate
    uint16_t* symbols           # byte classes
    uint32_t room
    uint32_t left
    size_t post


cdef int open_stream(
    const ByteGate* gate, Bump* scratch, const View* view, size_t post, Stream* stream
) noexcept nogil:
    """Write the byte classes of a view; 0, or -1 when the arena has no memory."""
    cdef uint32_t i
    if stream.room < view.size:
        stream.room = view.size * 2
        stream.symbols = <uint16_t*> bump_alloc(scratch, stream.room * sizeof(uint16_t))
        if stream.symbols == NULL:
            return -1
    if view.ascii or not gate.needs_word:
        for i in range(view.size):
            stream.symbols[i] = gate.classes[view.data[i]]
    else:
        for i in range(view.size):
            stream.symbols[i] = gate.classes[
                view.data[i] | <uint32_t> word_at(view.word, i) << 8
            ]
    stream.left = view.size
    stream.post = post
    return 0


cdef inline uint32_t walk(
    const uint32_t* table, const uint16_t* symbols, uint32_t size, uint32_t row
) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        row = table[row + symbols[i]]
    return row


cdef void walk_together(
    const uint32_t* table, Stream* streams, uint32_t size, uint32_t* rows
) noexcept nogil:
    """Walk the next `size` classes of eight streams side by side."""
    cdef const uint16_t* s0 = streams[0].symbols
    cdef const uint16_t* s1 = streams[1].symbols
    cdef const uint16_t* s2 = streams[2].symbols
    cdef const uint16_t* s3 = streams[3].symbols
    cdef const uint16_t* s4 = streams[4].symbols
    cdef const uint16_t* s5 = streams[5].symbols
    cdef const uint16_t* s6 = streams[6].symbols
    cdef const uint16_t* s7 = streams[7].symbols
    cdef uint32_t r0 = rows[0], r1 = rows[1], r2 = rows[2], r3 = rows[3]
    cdef uint32_t r4 = rows[4], r5 = rows[5], r6 = rows[6], r7 = rows[7]
    cdef size_t i
    for i in range(size):
        r0 = table[r0 + s0[i]]
        r1 = table[r1 + s1[i]]
        r2 = table[r2 + s2[i]]
        r3 = table[r3 + s3[i]]
        r4 = table[r4 + s4[i]]
        r5 = table[r5 + s5[i]]
        r6 = table[r6 + s6[i]]
        r7 = table[r7 + s7[i]]
    rows[0] = r0
    rows[1] = r1
    rows[2] = r2
    rows[3] = r3
    rows[4] = r4
    rows[5] = r5
    rows[6] = r6
    rows[7] = r7
    for i in range(<uint32_t> STREAMS):
        streams[i].symbols += size
        streams[i].room -= size
        streams[i].left -= size


cdef int find_bytes(
    const ByteGate* gate, Bump* scratch, const View* views, size_t count, uint8_t* hits
) noexcept nogil:
    """Note for each view whether a key may begin in it; 0, or -1 without memory.

    Streams are filled again as views end.
    """
    cdef Stream[STREAMS] streams
    cdef uint32_t[STREAMS] rows
    cdef uint32_t i, least
    cdef size_t post = 0
    cdef uint32_t start = gate.stride if gate.needs_word else 0
    memset(streams, 0, sizeof(streams))
    memset(hits, 0, count)
    while True:
        for i in range(<uint32_t> STREAMS):
            while streams[i].left == 0 and post < count:
                if open_stream(gate, scratch, &views[post], post, &streams[i]):
                    return -1
                rows[i] = start
                post += 1
        least = 0xFFFFFFFFu
        for i in range(<uint32_t> STREAMS):
            least = min(least, streams[i].left)
        if least == 0:
            break
        walk_together(gate.table, streams, least, rows)
        for i in range(<uint32_t> STREAMS):
            if streams[i].left == 0:
                hits[streams[i].post] = rows[i] == gate.hit
    for i in range(<uint32_t> STREAMS):
        if streams[i].left:
            rows[i] = walk(gate.table, streams[i].symbols, streams[i].left, rows[i])
            hits[streams[i].post] = rows[i] == gate.hit
    return 0
