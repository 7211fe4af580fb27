# Rule gates over one post's columns: every distinct atom is compared once, then each gate is a
# postfix program over the outcomes. Included by screen.pyx.

cdef enum:
    COLUMN_MATCH = 0  # index: place among keyword lists, then hash lists
    COLUMN_WINDOW = 1
    COLUMN_FLAG = 2
    COLUMN_NUMBER = 3  # index: NUMBER_COLUMNS
    COLUMN_SCORE = 4
    COLUMN_LANG = 5
    COLUMN_OP = 6
    COLUMN_DISTANCE = 7  # index: place among hash lists

    GATE_ATOM = 0  # push the outcome of atom `argument`
    GATE_AND = 1  # replace the top `argument` outcomes by whether all hold
    GATE_OR = 2

    COMPARE_LT = 0
    COMPARE_LE = 1
    COMPARE_EQ = 2
    COMPARE_NE = 3
    COMPARE_GE = 4
    COMPARE_GT = 5

COMPARISONS = ("<", "<=", "==", "!=", ">=", ">")  # by COMPARE_*
NUMBER_COLUMNS = (
    "age_days", "followers", "revision", "text_length", "url_count", "hashtag_count",
    "media_count", "mixed_words", "hidden_characters", "direction_overrides",
)
OPS = ("create", "edit", "delete")  # by OP_* of posts


cdef struct AtomCode:
    int column
    int compare
    uint32_t index
    bint fractional  # compare with `real` instead of `whole`
    int64_t whole
    long double real  # 64 bits of mantissa: exact for every integer column and constant
    Text name  # constant of lang; OP_* in `whole` for op


cdef struct GateOp:
    uint32_t kind
    uint32_t argument


cdef struct Columns_:  # what atoms may read of the post at hand
    const uint64_t* lists  # matches and hits per list
    const uint64_t* distances  # per hash list
    const uint64_t* windows
    uint32_t flags
    int64_t[10] numbers  # by NUMBER_COLUMNS
    const double* scores  # NULL where the post has none
    Text lang
    uint32_t op


cdef inline bint compare_whole(int compare, int64_t a, int64_t b) noexcept nogil:
    if compare == COMPARE_GE:
        return a >= b
    if compare == COMPARE_GT:
        return a > b
    if compare == COMPARE_LT:
        return a < b
    if compare == COMPARE_LE:
        return a <= b
    return a == b if compare == COMPARE_EQ else a != b


cdef inline bint compare_real(int compare, long double a, long double b) noexcept nogil:
    if compare == COMPARE_GE:
        return a >= b
    if compare == COMPARE_GT:
        return a > b
    if compare == COMPARE_LT:
        return a < b
    if compare == COMPARE_LE:
        return a <= b
    return a == b if compare == COMPARE_EQ else a != b


cdef bint atom_holds(const AtomCode* atom, const Columns_* columns) noexcept nogil:
    """Compare one column; a missing score compares false whatever the operator."""
    cdef int64_t whole
    cdef double real
    cdef bint equal
    if atom.column == COLUMN_SCORE:
        if columns.scores == NULL:
            return False
        real = columns.scores[atom.index]
        if real != real:
            return False
        return compare_real(atom.compare, real, atom.real)
    if atom.column == COLUMN_LANG:
        equal = columns.lang.size == atom.name.size and (
            columns.lang.size == 0
            or memcmp(columns.lang.data, atom.name.data, atom.name.size) == 0
        )
        return equal if atom.compare == COMPARE_EQ else not equal
    if atom.column == COLUMN_MATCH:
        whole = <int64_t>columns.lists[atom.index]
    elif atom.column == COLUMN_DISTANCE:
        whole = <int64_t>columns.distances[atom.index]
    elif atom.column == COLUMN_WINDOW:
        whole = <int64_t>columns.windows[atom.index]
    elif atom.column == COLUMN_FLAG:
        whole = (columns.flags >> atom.index) & 1
    elif atom.column == COLUMN_NUMBER:
        whole = columns.numbers[atom.index]
    else:
        whole = columns.op
    if atom.fractional:
        return compare_real(atom.compare, <long double>whole, atom.real)
    return compare_whole(atom.compare, whole, atom.whole)


cdef bint gate_holds(
    const GateOp* program, uint32_t size, const uint8_t* outcomes, uint8_t* stack
) noexcept nogil:
    """Run one gate's postfix program; `stack` holds at least `size` outcomes."""
    cdef uint32_t i, j, top = 0
    cdef uint8_t held
    for i in range(size):
        if program[i].kind == GATE_ATOM:
            stack[top] = outcomes[program[i].argument]
            top += 1
            continue
        held = 1 if program[i].kind == GATE_AND else 0
        for j in range(program[i].argument):
            top -= 1
            if program[i].kind == GATE_AND:
                held &= stack[top]
            else:
                held |= stack[top]
        stack[top] = held
        top += 1
    return stack[0] != 0


cdef class GateProgram:
    """Own the atoms and programs of a screen's gates; immutable once built."""

    cdef AtomCode* atoms
    cdef uint32_t atom_count
    cdef GateOp* ops
    cdef uint32_t* starts  # per gate, and one past the last
    cdef uint32_t gate_count
    cdef size_t longest
    cdef Text* score_names
    cdef ScoreNames scores
    cdef list held  # bytes that the names point into

    def __cinit__(self, spec):
        cdef list atoms = []
        cdef dict places = {}
        cdef list programs = [flatten(gate, atoms, places) for gate in spec.gates]
        cdef uint32_t at = 0, i
        self.held = []
        self.gate_count = <uint32_t>len(programs)
        self.atom_count = <uint32_t>len(atoms)
        self.atoms = <AtomCode*>calloc(len(atoms) + 1, sizeof(AtomCode))
        self.ops = <GateOp*>calloc(<size_t>(sum(map(len, programs)) + 1), sizeof(GateOp))
        self.starts = <uint32_t*>calloc(len(programs) + 1, sizeof(uint32_t))
        self.score_names = <Text*>calloc(len(atoms) + 1, sizeof(Text))
        if (
            self.atoms == NULL or self.ops == NULL or self.starts == NULL
            or self.score_names == NULL
        ):
            raise MemoryError
        for i in range(self.gate_count):
            self.starts[i] = at
            self.longest = max(self.longest, <size_t>len(programs[i]))
            for kind, argument in programs[i]:
                self.ops[at].kind = kind
                self.ops[at].argument = argument
                at += 1
        self.starts[self.gate_count] = at
        self.fill_atoms(spec, atoms)

    def __dealloc__(self):
        free(self.atoms)
        free(self.ops)
        free(self.starts)
        free(self.score_names)

    cdef object fill_atoms(self, spec, list atoms):
        lists = [held.name for held in (*spec.keyword_lists, *spec.hash_lists)]
        hash_lists = [held.name for held in spec.hash_lists]
        windows = [window.name for window in spec.windows]
        scores = list(dict.fromkeys([atom.name for atom in atoms if atom.column == "score"]))
        cdef uint32_t i
        for i, name in enumerate(scores):
            self.score_names[i] = self.keep(name)
        self.scores.count = <uint32_t>len(scores)
        self.scores.names = self.score_names
        for i, atom in enumerate(atoms):
            self.atoms[i].compare = COMPARISONS.index(atom.op)
            if atom.column == "lang":
                self.atoms[i].column = COLUMN_LANG
                self.atoms[i].name = self.keep(atom.constant)
                continue
            if atom.column == "op":
                self.atoms[i].column = COLUMN_OP
                self.atoms[i].whole = OPS.index(atom.constant) if atom.constant in OPS else -1
                continue
            self.atoms[i].fractional = isinstance(atom.constant, float)
            if self.atoms[i].fractional:
                self.atoms[i].real = <double>atom.constant
            else:
                self.atoms[i].whole = int(atom.constant)
                self.atoms[i].real = <long double>self.atoms[i].whole
            if atom.column == "match":
                self.atoms[i].column = COLUMN_MATCH
                self.atoms[i].index = lists.index(atom.name)
            elif atom.column == "distance":
                self.atoms[i].column = COLUMN_DISTANCE
                self.atoms[i].index = hash_lists.index(atom.name)
            elif atom.column == "window":
                self.atoms[i].column = COLUMN_WINDOW
                self.atoms[i].index = windows.index(atom.name)
            elif atom.column == "flag":
                self.atoms[i].column = COLUMN_FLAG
                self.atoms[i].index = FLAGS.index(atom.name)
            elif atom.column == "score":
                self.atoms[i].column = COLUMN_SCORE
                self.atoms[i].index = scores.index(atom.name)
            else:
                self.atoms[i].column = COLUMN_NUMBER
                self.atoms[i].index = NUMBER_COLUMNS.index(atom.column)

    cdef Text keep(self, str name):
        cdef bytes data = name.encode()
        cdef Text text
        self.held.append(data)
        text.data = <const uint8_t*>PyBytes_AS_STRING(data)
        text.size = <size_t>PyBytes_GET_SIZE(data)
        return text


cdef list flatten(gate, list atoms, dict places):
    """Return a gate as postfix (kind, argument) pairs; equal atoms share a place."""
    if gate.kind == "atom":
        # A bool, int and float constant may be equal and yet compare in different ways.
        key = (gate.atom, type(gate.atom.constant))
        if key not in places:
            places[key] = len(atoms)
            atoms.append(gate.atom)
        return [(GATE_ATOM, places[key])]
    program = []
    for part in gate.parts:
        program.extend(flatten(part, atoms, places))
    program.append((GATE_AND if gate.kind == "and" else GATE_OR, len(gate.parts)))
    return program
