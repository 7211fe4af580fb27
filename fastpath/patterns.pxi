# What patterns become in the lanes of their lists: keys, made without the GIL.
# `fastpath.reference.patterns` defines them.


cdef struct Source:             # one form of one pattern, as UTF-8
    const uint8_t* data
    uint32_t size
    uint32_t pattern            # index in KeywordTable.patterns
    bint first                  # the form that notes speak of
    bint folded                 # squeezed: made from the folded form, else from the skeleton
    bint as_latin               # squeezed: letters that recall Latin ones are read so


cdef struct Key:                # one pattern in the bytes of one lane
    uint64_t prefix             # its first eight bytes, big-endian: orders most keys
    const uint8_t* data
    const uint8_t* word         # bit per byte: belongs to a word character; NULL when squeezed
    const uint16_t* asks        # squeezed: LETTER_* per byte; else NULL
    uint32_t size
    uint32_t pattern
    uint32_t list
    bint test_start
    bint test_end
    bint first                  # of its pattern
    bint duplicate              # of an earlier key of its list


cdef enum:
    KEY_MADE = 0
    KEY_NO_MEMORY = -1
    KEY_SIZE = 1                # its bytes are none or too many
    KEY_LETTERS = 2             # too few for the squeezed lane


cdef bint is_bounded(uint32_t code_point) noexcept nogil:
    """Say whether a word boundary can be asked for beside this end of a pattern."""
    cdef uint32_t classes = code_point_class(code_point)
    return classes & CLASS_WORD and not classes & CLASS_UNSPACED


cdef uint32_t code_point_at(const uint8_t* data, uint32_t at, uint32_t* length) noexcept nogil:
    """Read one code point of valid UTF-8."""
    cdef uint32_t lead = data[at]
    cdef uint32_t value, i
    if lead < 0x80:
        length[0] = 1
        return lead
    length[0] = 2 + (lead >= 0xE0) + (lead >= 0xF0)
    value = lead & (0x7Fu >> length[0])
    for i in range(1, length[0]):
        value = value << 6 | (data[at + i] & 0x3Fu)
    return value


cdef uint32_t count_letters(const Lane* lane) noexcept nogil:
    cdef uint32_t at = 0, length = 0, letters = 0
    while at < lane.size:
        letters += code_point_class(code_point_at(lane.data, at, &length)) & CLASS_ALNUM != 0
        at += length
    return letters


cdef int make_view(
    const Source* source, uint32_t lane, Bump* scratch, Lane* below, Lane* view
) noexcept nogil:
    """Make the lane of one form; the squeezed one is made from `below`."""
    if lane == LANE_RAW:
        return raw_lane(scratch, source.data, source.size, view)
    if lane == LANE_FOLDED:
        return fold(scratch, source.data, source.size, view)
    if lane == LANE_SKELETON:
        return skeleton_lane(scratch, source.data, source.size, view)
    if source.folded:
        if fold(scratch, source.data, source.size, below):
            return -1
    elif skeleton_lane(scratch, source.data, source.size, below):
        return -1
    return squeezed_pattern(scratch, below, source.as_latin, view)


cdef int make_key(
    const Source* source, const Pattern* pattern, bint start, bint end, bint insist,
    Bump* bump, Bump* scratch, Key* key, uint32_t* actual,
) noexcept nogil:
    """Fill a key; `start`, `end`: whether its list asks for boundaries. KEY_*, `actual` if refused.

    What scanning reads lives in `bump`, the rest in `scratch`.
    """
    cdef Lane below, lane
    cdef View view
    cdef uint16_t* asks
    cdef uint32_t i, length
    if make_view(source, pattern.lane, scratch, &below, &lane):
        return KEY_NO_MEMORY
    if pattern.lane == LANE_SQUEEZED and source.first and not insist:
        actual[0] = count_letters(&below)
        if actual[0] < LEAST_LETTERS:
            return KEY_LETTERS
    if view_lane(scratch, &lane, &view):
        return KEY_NO_MEMORY
    actual[0] = view.size
    if view.size - 1 >= LONGEST_KEY:
        return KEY_SIZE
    memset(key, 0, sizeof(Key))
    key.data = view.data
    key.word = view.word
    key.size = view.size
    for i in range(8):
        key.prefix = key.prefix << 8 | (view.data[i] if i < view.size else 0)
    if pattern.lane == LANE_SQUEEZED:
        asks = <uint16_t*> bump_alloc(bump, view.size * sizeof(uint16_t))
        if asks == NULL:
            return KEY_NO_MEMORY
        for i in range(view.size):
            # Where it stands in the entry, and that the entry draws it out, is nothing to ask for.
            asks[i] = view.letters[i] & <uint16_t> (LETTER_GAP | LETTER_SELF | -LETTER_RUN)
        key.asks = asks
        start = end = True
    key.test_start = start and is_bounded(code_point_at(view.data, 0, &length))
    i = view.size - 1
    while view.data[i] & 0xC0 == 0x80:
        i -= 1
    key.test_end = end and is_bounded(code_point_at(view.data, i, &length))
    key.pattern = source.pattern
    key.list = pattern.list
    key.first = source.first
    return KEY_MADE


cdef int compare_asks(const Key* a, const Key* b, uint32_t beside) noexcept nogil:
    """Order two keys of one size by what they ask for, `beside` some of it."""
    cdef uint32_t i, left, right
    for i in range(a.size):
        left = a.asks[i] & ~beside
        right = b.asks[i] & ~beside
        if left != right:
            return 1 if left > right else -1
    return 0


cdef void ask_alike(Key* key, const Key* folded) noexcept nogil:
    """Let a key made from a skeleton, where m is rn, be that of the folded form if it can be."""
    if (
        key.size == folded.size
        and memcmp(key.data, folded.data, key.size) == 0
        and compare_asks(key, folded, LETTER_SELF) == 0
    ):
        key.asks = folded.asks


cdef int compare_keys(const void* left, const void* right) noexcept nogil:
    """Order by whether the start is tested, bytes, gaps and runs, pattern."""
    cdef const Key* a = <const Key*> left
    cdef const Key* b = <const Key*> right
    cdef int order
    if a.asks == NULL and a.test_start != b.test_start:
        return 1 if a.test_start else -1
    if a.prefix != b.prefix:
        return 1 if a.prefix > b.prefix else -1
    order = memcmp(a.data, b.data, a.size if a.size < b.size else b.size)
    if order:
        return order
    if a.size != b.size:
        return 1 if a.size > b.size else -1
    order = compare_asks(a, b, 0) if a.asks != NULL else 0
    if order:
        return order
    return 1 if a.pattern > b.pattern else -1


cdef inline bint is_rooted(const Key* key) noexcept nogil:
    """Say whether a key hangs below the root for word boundaries."""
    return key.test_start and key.asks == NULL


cdef uint32_t shared_prefix(const Key* a, const Key* b) noexcept nogil:
    cdef uint32_t size = 0
    if is_rooted(a) != is_rooted(b):
        return 0
    while size < a.size and size < b.size and a.data[size] == b.data[size]:
        size += 1
    return size


cdef bint is_same(const KeywordTable* table, const Key* a, const Key* b) noexcept nogil:
    """Say whether two keys of one list that stand together are one."""
    return (
        a.list == b.list
        and a.size == b.size
        and table.patterns[a.pattern].exception == table.patterns[b.pattern].exception
        and is_rooted(a) == is_rooted(b)
        and memcmp(a.data, b.data, a.size) == 0
        and (a.asks == NULL or compare_asks(a, b, 0) == 0)
    )
