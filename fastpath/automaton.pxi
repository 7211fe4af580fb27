# The automaton of one lane (Aho and Corasick 1975): finds which keys end where.
#
# States are those of a trie, numbered breadth first, so that the children of a state are
# neighbours: 17 bytes a state, no search for free places. Its two roots carry word boundaries:
# state 0 stands inside a word, state 1 where one may begin, and keys whose start is tested hang
# below state 1 alone. What state 1 lacks is looked up in state 0.


cdef inline bint word_at(const uint8_t* word, uint32_t at) noexcept nogil:
    """Say whether a byte belongs to a word character; without bits all do."""
    return word == NULL or word[at >> 3] >> (at & 7) & 1


cdef inline uint32_t child_of(
    const Automaton* automaton, uint32_t state, uint8_t byte
) noexcept nogil:
    """Return the child of a state on a byte, 0 for none; labels of children rise."""
    cdef uint32_t low = automaton.states[state].children
    cdef uint32_t count = automaton.states[state + 1].children - low, half
    while count > 1:
        half = count >> 1
        if automaton.labels[low + half] <= byte:
            low += half
            count -= half
        else:
            count = half
    return low if count and automaton.labels[low] == byte else 0


cdef inline uint32_t next_state(
    const Automaton* automaton, uint32_t state, uint8_t byte, bint word
) noexcept nogil:
    cdef uint32_t child
    while state > 1:
        child = child_of(automaton, state, byte)
        if child:
            return child
        state = automaton.states[state].fallback
    child = automaton.roots[state << 8 | byte]
    if not child and state:
        child = automaton.roots[byte]
    return child if child else not word


cdef struct Node:               # a state while it is being built
    uint32_t first              # keys that begin with what leads here: [first, last)
    uint32_t last
    uint32_t depth              # bytes that lead here


cdef uint64_t count_states(const Key* keys, uint32_t count) noexcept nogil:
    """Count the states that sorted keys need, the roots included."""
    cdef uint64_t states = 2
    cdef uint32_t i
    for i in range(count):
        states += keys[i].size - (shared_prefix(&keys[i - 1], &keys[i]) if i else 0)
    return states


cdef uint64_t automaton_bytes(uint64_t states, uint32_t keys, bint mixed) noexcept nogil:
    return (
        states * (sizeof(State) + 1 + (sizeof(uint32_t) if mixed else 0)) + keys * sizeof(Output)
    )


cdef int tested_ends(const Key* keys, uint32_t count) noexcept nogil:
    """Return 1 where the end of every key is tested, 0 where some are, -1 for none."""
    cdef uint32_t i, tested = 0
    for i in range(count):
        tested += keys[i].test_end
    return 1 if tested == count else 0 if tested else -1


cdef uint32_t add_outputs(
    const KeywordTable* table, const uint8_t* filtered, Automaton* automaton, uint32_t made,
    const Key* keys, const Node* node,
) noexcept nogil:
    """Append the outputs of the keys that end at a node; return how many outputs there are."""
    cdef uint32_t i = node.first
    cdef Output* output
    while i < node.last and keys[i].size == node.depth:
        if not keys[i].duplicate:
            output = &automaton.outputs[made]
            output.asks = keys[i].asks
            output.pattern = keys[i].pattern
            output.list = keys[i].list
            output.size = keys[i].size
            output.test_start = keys[i].test_start
            output.test_end = keys[i].test_end
            output.exception = table.patterns[keys[i].pattern].exception
            output.filtered = filtered != NULL and filtered[keys[i].list]
            made += 1
        i += 1
    return made


cdef void link_state(
    Automaton* automaton, uint32_t parent, uint32_t state, uint32_t outputs_end, bint word
) noexcept nogil:
    """Set the fallback of a state whose parents are complete, and what it reports."""
    cdef State* made = &automaton.states[state]
    cdef uint8_t byte = automaton.labels[state]
    cdef uint32_t i, open_report
    if parent == 0:
        made.fallback = not word
    elif parent == 1:
        made.fallback = next_state(automaton, 0, byte, word)
    else:
        made.fallback = next_state(automaton, automaton.states[parent].fallback, byte, word)
    made.reports = automaton.states[made.fallback].reports
    if outputs_end > made.outputs:
        made.reports = state
    if automaton.open_reports == NULL:
        return
    open_report = automaton.open_reports[made.fallback]
    for i in range(made.outputs, outputs_end):
        if not automaton.outputs[i].test_end:
            open_report = state
    automaton.open_reports[state] = open_report


cdef void fill_automaton(
    const KeywordTable* table, const uint8_t* filtered, Automaton* automaton,
    const Key* keys, uint32_t count, Node* nodes,
) noexcept nogil:
    """Number the states of sorted keys breadth first and link them."""
    cdef uint32_t made = 2, outputs = 0, state, at, to
    cdef uint8_t byte
    cdef Node* node
    cdef uint32_t rooted = 0
    while rooted < count and not is_rooted(&keys[rooted]):
        rooted += 1
    memset(automaton.roots, 0, sizeof(automaton.roots))
    memset(automaton.states, 0, 2 * sizeof(State))
    memset(nodes, 0, 2 * sizeof(Node))
    nodes[0].last = rooted
    nodes[1].first = rooted
    nodes[1].last = count
    for state in range(automaton.count):
        node = &nodes[state]
        automaton.states[state].children = made
        at = node.first
        while at < node.last and keys[at].size == node.depth:
            at += 1
        while at < node.last:
            byte = keys[at].data[node.depth]
            to = at + 1
            while to < node.last and keys[to].data[node.depth] == byte:
                to += 1
            nodes[made].first = at
            nodes[made].last = to
            nodes[made].depth = node.depth + 1
            automaton.labels[made] = byte
            automaton.states[made].outputs = outputs
            outputs = add_outputs(table, filtered, automaton, outputs, keys, &nodes[made])
            if state < 2:
                automaton.roots[state << 8 | byte] = made
            link_state(automaton, state, made, outputs, word_at(keys[at].word, node.depth))
            made += 1
            at = to
    automaton.states[automaton.count].children = made
    automaton.states[automaton.count].outputs = outputs


cdef int build_automaton(
    const KeywordTable* table, const uint8_t* filtered, Automaton* automaton,
    Bump* bump, Bump* scratch, const Key* keys, uint32_t count, uint32_t states,
) noexcept nogil:
    """Build the automaton of sorted keys; BUILT or NO_MEMORY."""
    cdef int tested = tested_ends(keys, count)
    cdef Node* nodes = <Node*> bump_alloc(scratch, <size_t> states * sizeof(Node))
    automaton.count = states
    automaton.states = <State*> bump_alloc(bump, (<size_t> states + 1) * sizeof(State))
    automaton.labels = <uint8_t*> bump_alloc(bump, states)
    automaton.outputs = <Output*> bump_alloc(bump, <size_t> count * sizeof(Output))
    automaton.open_reports = NULL
    if (
        nodes == NULL or automaton.states == NULL or automaton.labels == NULL
        or automaton.outputs == NULL
    ):
        return NO_MEMORY
    if tested < 1:
        automaton.open_reports = <uint32_t*> bump_alloc(bump, <size_t> states * sizeof(uint32_t))
        if automaton.open_reports == NULL:
            return NO_MEMORY
        memset(automaton.open_reports, 0, 2 * sizeof(uint32_t))
    fill_automaton(table, filtered, automaton, keys, count, nodes)
    return BUILT
