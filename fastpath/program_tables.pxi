# The tables of a compiled field map, in C memory. Included by posts.pyx.

cdef struct Value:  # one JSON value that is kept
    const uint8_t* data  # of a string, between its quotes, or of a number
    Value* below  # members by place, or the first element
    Value* next  # the element behind this one
    uint32_t size  # bytes of the literal, or number of elements
    uint16_t node
    uint8_t kind  # VALUE_*
    uint8_t marks  # VALUE_ESCAPED, VALUE_REAL


cdef struct Member:  # a key that is read, in a table found by its hash
    uint64_t first  # its first eight bytes, zeros behind its end
    uint64_t last  # its last eight bytes, where it has more
    const uint8_t* key
    uint32_t size
    uint16_t place
    uint16_t node


cdef struct Node:
    const Member* table
    const int16_t* places  # of members by id of key, -1
    uint32_t mask  # of the table
    uint16_t members
    uint16_t own  # place of this node
    int32_t direct  # target that is this value, -1
    int32_t element  # node of the elements, -1 where they are not read
    bint open  # every member is read


cdef struct Step:
    int32_t[8] keys
    int32_t[8] places  # of elements, -1
    uint32_t count
    bint each
    int32_t select
    int32_t text
    int32_t pointer


cdef struct Pointer:
    uint32_t first
    uint32_t end


cdef struct Source:
    int kind
    int32_t[4] pointers
    uint32_t count
    int32_t condition
    int32_t text
    int32_t inner


cdef struct Target:
    uint32_t code
    uint32_t first  # of its sources, by order
    uint32_t end
    int32_t score
    int32_t place  # of the root's member without which nothing is found, -1


cdef struct Program:
    bint strict
    bint slow
    int32_t json_text
    Node* nodes
    Step* steps
    Pointer* pointers
    Source* sources
    uint32_t* order  # sources by target
    Target* targets
    uint32_t target_count
    uint32_t asked  # targets that are not direct; they come first
    Text* texts


cdef inline uint32_t hash_of(uint64_t first, size_t size) noexcept nogil:
    """Place a key by its first eight bytes and its size."""
    return <uint32_t>(((first + size) * <uint64_t>0x9E3779B97F4A7C15) >> 40)


cdef class Tables:
    """Own the program of one field map, None for canonical posts; raises BuildError."""

    cdef Arena memory
    cdef object held  # bytes that the tables point into
    cdef Program program

    def __cinit__(self, field_map):
        self.memory = Arena()
        self.load(compile_program(field_map))

    cdef void* take(self, size_t size) except NULL:
        cdef void* taken = bump_alloc(&self.memory.bump, size + 1)
        if taken == NULL:
            raise MemoryError
        memset(taken, 0, size + 1)
        return taken

    cdef object load(self, program):
        """Copy the tables of a compiled program into C memory."""
        cdef Program* out = &self.program
        cdef Py_ssize_t i, k
        self.held = ([key.encode() for key in program.keys], [t.encode() for t in program.texts])
        out.strict = program.strict
        out.slow = program.slow
        out.json_text = program.json_text
        out.texts = <Text*>self.take(<size_t>len(self.held[1]) * sizeof(Text))
        for i, text in enumerate(self.held[1]):
            out.texts[i].data = <const uint8_t*>PyBytes_AS_STRING(text)
            out.texts[i].size = <size_t>PyBytes_GET_SIZE(text)
        self.load_nodes(program)
        out.steps = <Step*>self.take(<size_t>len(program.steps) * sizeof(Step))
        for i, step in enumerate(program.steps):
            out.steps[i].count = <uint32_t>len(step.keys)
            for k in range(len(step.keys)):
                out.steps[i].keys[k] = step.keys[k]
                out.steps[i].places[k] = step.places[k]
            out.steps[i].each = step.each
            out.steps[i].select = step.select
            out.steps[i].text = step.text
            out.steps[i].pointer = step.pointer
        out.pointers = <Pointer*>self.take(<size_t>len(program.pointers) * sizeof(Pointer))
        for i, (first, end) in enumerate(program.pointers):
            out.pointers[i].first = first
            out.pointers[i].end = end
        self.load_sources(program)

    cdef object load_sources(self, program):
        cdef Program* out = &self.program
        cdef Py_ssize_t i, k, ordered = 0
        out.sources = <Source*>self.take(<size_t>len(program.sources) * sizeof(Source))
        for i, source in enumerate(program.sources):
            out.sources[i].kind = source.kind
            out.sources[i].count = <uint32_t>len(source.pointers)
            for k in range(len(source.pointers)):
                out.sources[i].pointers[k] = source.pointers[k]
            out.sources[i].condition = source.condition
            out.sources[i].text = source.text
            out.sources[i].inner = source.inner
        out.asked = program.asked
        out.target_count = <uint32_t>len(program.targets)
        out.targets = <Target*>self.take(<size_t>len(program.targets) * sizeof(Target))
        listed = sum(len(target.sources) for target in program.targets)
        out.order = <uint32_t*>self.take(<size_t>listed * sizeof(uint32_t))
        for i, target in enumerate(program.targets):
            out.targets[i].code = target.code
            out.targets[i].score = target.score
            out.targets[i].place = target.place
            out.targets[i].first = <uint32_t>ordered
            for source in target.sources:
                out.order[ordered] = source
                ordered += 1
            out.targets[i].end = <uint32_t>ordered

    cdef object load_nodes(self, program):
        cdef Program* out = &self.program
        cdef Node* node
        cdef int16_t* places
        cdef Py_ssize_t i, k
        out.nodes = <Node*>self.take(<size_t>len(program.nodes) * sizeof(Node))
        for i, held in enumerate(program.nodes):
            node = &out.nodes[i]
            node.own = <uint16_t>i
            node.element = held.element
            node.direct = held.direct
            node.open = held.open
            node.members = <uint16_t>len(held.members)
            places = <int16_t*>self.take(<size_t>len(program.keys) * sizeof(int16_t))
            for k in range(len(program.keys)):
                places[k] = -1
            for k, key in enumerate(held.members):
                places[program.keys[key]] = <int16_t>k
            node.places = places
            self.load_table(node, [(program.keys[key], held.members[key]) for key in held.members])

    cdef object load_table(self, Node* node, list members):
        """Fill the hash table of a node, at most a quarter full."""
        cdef Member* table
        cdef uint32_t slot, size = 4
        cdef bytes key
        cdef Py_ssize_t place
        while size < 4 * len(members):
            size *= 2
        node.mask = size - 1
        table = <Member*>self.take(size * sizeof(Member))
        node.table = table
        for place, (key_id, child) in enumerate(members):
            key = self.held[0][key_id]
            first = int.from_bytes(key[:8].ljust(8, b"\0"), "little")
            slot = hash_of(first, <size_t>len(key)) & node.mask
            while table[slot].key != NULL:
                slot = (slot + 1) & node.mask
            table[slot].first = first
            table[slot].last = int.from_bytes(key[max(0, len(key) - 8):], "little")
            table[slot].key = <const uint8_t*>PyBytes_AS_STRING(key)
            table[slot].size = <uint32_t>len(key)
            table[slot].place = <uint16_t>place
            table[slot].node = child
