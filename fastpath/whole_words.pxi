# Whole words at once: from a state where a word begins to the one where it ends.
#
# Where every end is tested and no key begins inside a word, nothing is found before a word ends. So
# the words of keys are looked up by their bytes and the state before them, as if the automaton read
# words and not bytes; its links for what failed hold as they are. A word of more bytes than the
# gate hashes is walked.

cdef enum:
    WORD_GOES_ON = 1            # some key has more behind the word, or behind a suffix
    WORD_SUFFIX_REPORTS = 2     # not only what ends in this very state: ask the automaton
    WORD_SPACED_FALLS = 4       # the state behind the space has another suffix than state 1


cdef bint has_whole_words(const Key* keys, uint32_t count) noexcept nogil:
    """Say whether nothing is found before a word ends: then no list leaves ends open.

    A key of such lists whose start is not tested begins with a sign.
    """
    return tested_ends(keys, count) == 1


cdef uint32_t next_word(const Key* key, uint32_t* at) noexcept nogil:
    """Move to where the next word of a key begins; its bytes, or 0 where there is none."""
    cdef uint32_t end
    while at[0] < key.size and not word_at(key.word, at[0]):
        at[0] += 1
    end = at[0]
    while end < key.size and word_at(key.word, end):
        end += 1
    return end - at[0]


cdef uint32_t count_whole_words(const Key* keys, uint32_t count) noexcept nogil:
    """Count the words of all keys, one as often as it stands: none may lack room."""
    cdef uint32_t i, at, size, words = 0
    for i in range(count):
        at = 0
        size = next_word(&keys[i], &at)
        while size:
            words += size <= HASHED_BYTES
            at += size
            size = next_word(&keys[i], &at)
    return words


cdef uint64_t whole_words_bytes(uint32_t words) noexcept nogil:
    """Return the bytes of a table for so many words: half of its slots stay free."""
    return (<uint64_t> words * 2 + 2) * sizeof(WholeWord)


cdef inline WholeWord* slot_of(
    const WholeWords* table, uint32_t before, WordBytes word
) noexcept nogil:
    """Return the slot that holds a word behind a state, or the free one where it would stand."""
    cdef uint64_t at = gate_line(gate_hash_behind(before, word), table.count)
    cdef WholeWord* slot = &table.slots[at]
    # One branch for all three: texts of entries meet every kind of difference.
    while slot.behind and (
        slot.bytes.low ^ word.low | slot.bytes.high ^ word.high | slot.before ^ before
    ):
        at = at + 1 if at + 1 < table.count else 0
        slot = &table.slots[at]
    return slot


cdef uint32_t state_behind(
    const Automaton* automaton, const Key* key, uint32_t state, uint32_t at, uint32_t end
) noexcept nogil:
    """Walk from a state over bytes of a key."""
    cdef uint32_t i
    for i in range(at, end):
        if state < 2:
            state = automaton.roots[state << 8 | key.data[i]]
        else:
            state = child_of(automaton, state, key.data[i])
    return state


cdef void describe_word(const Automaton* automaton, WholeWord* slot) noexcept nogil:
    """Say what is reported and what may go on behind the word of a slot."""
    cdef const State* behind = &automaton.states[slot.behind]
    cdef uint32_t count = automaton.states[slot.behind + 1].outputs - behind.outputs
    cdef uint32_t spaced = next_state(automaton, slot.behind, c" ", False)
    slot.outputs = behind.outputs
    slot.output_count = <uint16_t> count
    slot.kind = 0
    if count:
        slot.output = automaton.outputs[behind.outputs]
    if behind.count or behind.fallback > 1:
        slot.kind |= WORD_GOES_ON
    if automaton.states[behind.fallback].reports or count > slot.output_count:
        slot.kind |= WORD_SUFFIX_REPORTS
    # No key ends with a space, since its end would be open: nothing is found there.
    slot.spaced = spaced
    if spaced > 1 and automaton.states[spaced].fallback > 1:
        slot.kind |= WORD_SPACED_FALLS


cdef void add_word(
    WholeWords* table, const Automaton* automaton, const Key* key, uint32_t at, uint32_t size,
    uint32_t before, uint32_t behind,
) noexcept nogil:
    """Enter a word of a key, if it is short enough."""
    cdef uint8_t[HASHED_BYTES] padded
    cdef WordBytes word
    cdef WholeWord* slot
    if size > HASHED_BYTES:
        return
    memset(padded, 0, HASHED_BYTES)
    memcpy(padded, key.data + at, size)
    word = gate_load_word(padded, size)
    slot = slot_of(table, before, word)
    if slot.behind:
        return
    slot.bytes = word
    slot.before = before
    slot.behind = behind
    describe_word(automaton, slot)


cdef int build_whole_words(
    WholeWords* table, const Automaton* automaton, Bump* bump, const Key* keys, uint32_t count,
    uint64_t size,
) noexcept nogil:
    """Enter the words of all keys in a table of `size` bytes; BUILT or NO_MEMORY."""
    cdef uint32_t i, at, walked, length, before, behind
    cdef uint8_t* memory = <uint8_t*> bump_alloc(bump, size)
    if memory == NULL:
        return NO_MEMORY
    memset(memory, 0, size)
    # One slot of the room is for what it takes to begin with a cache line.
    memory += -<size_t> memory & (sizeof(WholeWord) - 1)
    table.slots = <WholeWord*> memory
    table.count = <uint32_t> (size / sizeof(WholeWord)) - 1
    for i in range(count):
        at = walked = 0
        behind = is_rooted(&keys[i])
        length = next_word(&keys[i], &at)
        while length:
            before = state_behind(automaton, &keys[i], behind, walked, at)
            walked = at + length
            behind = state_behind(automaton, &keys[i], before, at, walked)
            add_word(table, automaton, &keys[i], at, length, before, behind)
            at = walked
            length = next_word(&keys[i], &at)
    return BUILT


cdef inline uint32_t word_bytes(const View* view, uint32_t at) noexcept nogil:
    """Return the bytes of the word that begins at a byte; 0 where none or too many.

    Word bits lie in an arena, so that what is read behind them may be read.
    """
    cdef uint64_t ends
    cdef uint32_t size
    memcpy(&ends, view.word + (at >> 3), sizeof(ends))
    ends = ~(ends >> (at & 7)) | <uint64_t> 1 << (HASHED_BYTES + 1)
    size = min(<uint32_t> __builtin_ctzll(ends), view.size - at)
    return size if size <= HASHED_BYTES else 0
