# The automaton of one lane (Aho and Corasick 1975): finds which keys end where.
#
# States are those of a trie, the children of one side by side: 19 bytes a state, no search for free
# places. Numbers go depth first: most states have one child, which then lies behind them in memory,
# so that the rest of a word costs few cache lines and not one a byte. Two roots carry word
# boundaries: state 0 stands inside a word, state 1 where one may begin, and keys whose start is
# tested hang below state 1 alone. What state 1 lacks is looked up in state 0.


cdef enum:
    OUTPUT_TEST_START = 1       # squeezed: no word character before it; elsewhere the trie knows
    OUTPUT_TEST_END = 2         # must not precede a word character
    OUTPUT_EXCEPTION = 4
    OUTPUT_FILTERED = 8         # its list has exceptions or reports the longest alone


cdef inline bint word_at(const uint8_t* word, uint32_t at) noexcept nogil:
    """Say whether a byte belongs to a word character; without bits all do."""
    return word == NULL or word[at >> 3] >> (at & 7) & 1


cdef inline uint32_t child_of(
    const Automaton* automaton, uint32_t state, uint8_t byte
) noexcept nogil:
    """Return the child of a state on a byte, 0 for none; labels of children rise."""
    cdef uint32_t low = automaton.states[state].children
    cdef uint32_t count = automaton.states[state].count, half
    while count > 1:
        half = count >> 1
        if automaton.states[low + half].label <= byte:
            low += half
            count -= half
        else:
            count = half
    return low if count and automaton.states[low].label == byte else 0


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
        states * (sizeof(State) + (sizeof(uint32_t) if mixed else 0)) + keys * sizeof(Output)
    )


cdef int tested_ends(const Key* keys, uint32_t count) noexcept nogil:
    """Return 1 where the end of every key is tested, 0 where some are, -1 for none."""
    cdef uint32_t i, tested = 0
    for i in range(count):
        tested += keys[i].test_end
    return 1 if tested == count else 0 if tested else -1


cdef void fill_output(
    const KeywordTable* table, const uint8_t* filtered, const Key* key, Output* output
) noexcept nogil:
    """Say what is reported where a key ends."""
    cdef const Pattern* pattern = &table.patterns[key.pattern]
    output.asks = key.asks
    output.pattern = key.pattern
    output.list = key.list
    output.index = pattern.index
    output.size = <uint16_t> key.size
    output.kind = 0
    if key.test_start:
        output.kind |= OUTPUT_TEST_START
    if key.test_end:
        output.kind |= OUTPUT_TEST_END
    if pattern.exception:
        output.kind |= OUTPUT_EXCEPTION
    if filtered != NULL and filtered[key.list]:
        output.kind |= OUTPUT_FILTERED


cdef uint32_t add_outputs(
    const KeywordTable* table, const uint8_t* filtered, Automaton* automaton, uint32_t made,
    const Key* keys, const Node* node,
) noexcept nogil:
    """Append the outputs of the keys that end at a node; return how many outputs there are."""
    cdef uint32_t i = node.first
    while i < node.last and keys[i].size == node.depth:
        if not keys[i].duplicate:
            fill_output(table, filtered, &keys[i], &automaton.outputs[made])
            made += 1
        i += 1
    return made


cdef uint32_t add_children(
    const KeywordTable* table, const uint8_t* filtered, Automaton* automaton,
    const Key* keys, Node* nodes, uint32_t state, uint32_t made, uint32_t* outputs,
) noexcept nogil:
    """Number the children of a state from `made`; return the number behind the last."""
    cdef const Node* node = &nodes[state]
    cdef uint32_t at = node.first, to
    cdef uint8_t byte
    automaton.states[state].children = made
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
        automaton.states[made].label = byte
        automaton.states[made].outputs = outputs[0]
        outputs[0] = add_outputs(table, filtered, automaton, outputs[0], keys, &nodes[made])
        if state < 2:
            automaton.roots[state << 8 | byte] = made
        made += 1
        at = to
    automaton.states[state].count = <uint16_t> (made - automaton.states[state].children)
    return made


cdef void fill_automaton(
    const KeywordTable* table, const uint8_t* filtered, Automaton* automaton,
    const Key* keys, uint32_t count, Node* nodes, uint32_t* waiting,
) noexcept nogil:
    """Number the states of sorted keys depth first; `waiting` has room for all of them."""
    cdef uint32_t made = 2, outputs = 0, left = 2, state, first, child
    cdef uint32_t rooted = 0
    while rooted < count and not is_rooted(&keys[rooted]):
        rooted += 1
    memset(automaton.roots, 0, sizeof(automaton.roots))
    memset(automaton.states, 0, 2 * sizeof(State))
    memset(nodes, 0, 2 * sizeof(Node))
    nodes[0].last = rooted
    nodes[1].first = rooted
    nodes[1].last = count
    waiting[0] = 1
    waiting[1] = 0
    while left:
        left -= 1
        state = waiting[left]
        first = made
        made = add_children(table, filtered, automaton, keys, nodes, state, made, &outputs)
        # The first child is taken next, so its own children come right behind this one's.
        for child in range(made - 1, first - 1, -1):
            waiting[left] = child
            left += 1
    automaton.states[automaton.count].outputs = outputs


cdef void link_state(
    Automaton* automaton, uint32_t parent, uint32_t state, bint word
) noexcept nogil:
    """Set the fallback of a state whose parents are complete, and what it reports."""
    cdef State* made = &automaton.states[state]
    cdef uint32_t i, open_report, outputs_end = automaton.states[state + 1].outputs
    if parent == 0:
        made.fallback = not word
    elif parent == 1:
        made.fallback = next_state(automaton, 0, made.label, word)
    else:
        made.fallback = next_state(
            automaton, automaton.states[parent].fallback, made.label, word
        )
    made.reports = automaton.states[made.fallback].reports
    if outputs_end > made.outputs:
        made.reports = state
    if automaton.open_reports == NULL:
        return
    open_report = automaton.open_reports[made.fallback]
    for i in range(made.outputs, outputs_end):
        if not automaton.outputs[i].kind & OUTPUT_TEST_END:
            open_report = state
    automaton.open_reports[state] = open_report


cdef void link_automaton(
    Automaton* automaton, const Key* keys, const Node* nodes, uint32_t* order
) noexcept nogil:
    """Link all states breadth first, so that suffixes come before; write that order."""
    cdef uint32_t taken, known = 2, state, child
    cdef const Node* node
    order[0] = 0
    order[1] = 1
    for taken in range(automaton.count):
        state = order[taken]
        for child in range(
            automaton.states[state].children,
            automaton.states[state].children + automaton.states[state].count,
        ):
            node = &nodes[child]
            link_state(
                automaton, state, child, word_at(keys[node.first].word, node.depth - 1)
            )
            order[known] = child
            known += 1


cdef int build_automaton(
    const KeywordTable* table, const uint8_t* filtered, Automaton* automaton,
    Bump* bump, Bump* scratch, const Key* keys, uint32_t count, uint32_t states,
    uint32_t** order,
) noexcept nogil:
    """Build the automaton of sorted keys; BUILT or NO_MEMORY.

    `order`: its states breadth first, in `scratch`; the two roots come first.
    """
    cdef int tested = tested_ends(keys, count)
    cdef Node* nodes = <Node*> bump_alloc(scratch, <size_t> states * sizeof(Node))
    order[0] = <uint32_t*> bump_alloc(scratch, <size_t> states * sizeof(uint32_t))
    automaton.count = states
    automaton.states = <State*> bump_alloc(bump, (<size_t> states + 1) * sizeof(State))
    automaton.outputs = <Output*> bump_alloc(bump, <size_t> count * sizeof(Output))
    automaton.open_reports = NULL
    if (
        nodes == NULL or order[0] == NULL or automaton.states == NULL
        or automaton.outputs == NULL
    ):
        return NO_MEMORY
    if tested < 1:
        automaton.open_reports = <uint32_t*> bump_alloc(bump, <size_t> states * sizeof(uint32_t))
        if automaton.open_reports == NULL:
            return NO_MEMORY
        memset(automaton.open_reports, 0, 2 * sizeof(uint32_t))
    fill_automaton(table, filtered, automaton, keys, count, nodes, order[0])
    link_automaton(automaton, keys, nodes, order[0])
    return BUILT
