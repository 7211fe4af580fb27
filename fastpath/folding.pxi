# Folding a text into the folded or the skeleton lane; `fastpath.reference.text` defines it.
# Included by text.pyx.

cdef extern from "ascii_lane.h" nogil:
    size_t ascii_lane_word_at(size_t size)
    size_t ascii_lane_bytes(size_t size)
    bint ascii_lane(int level, const uint8_t* text, size_t size, uint8_t* out)

cdef extern from "lookalike_tables.h":
    const unsigned short skeleton_blocks[]
    const uint32_t skeleton_entries[]
    const uint32_t skeleton_pool[]

cdef enum:
    MAX_MARKS = 30              # non-starters in a row (fastpath.spec.MAX_MARKS)
    MAX_GROWTH = 11             # bytes out per byte in: U+FDFA, 3 to 33


cdef struct Folding:
    Writer w
    const unsigned short* blocks    # the tables of the lane: two-stage trie and pool
    const uint32_t* entries
    const uint32_t* pool
    bint prototypes             # a skeleton: ASCII goes through the tables too
    uint32_t seen               # entries of all code points that went through the tables, or-ed
    uint32_t starter            # item of the starter being built; 0: none
    const uint32_t* unjoined    # that starter without its marks and the marks, while none followed
    uint32_t unjoined_size      # 0: nothing to take apart
    uint32_t marks[MAX_MARKS]   # items in canonical order that wait for composition
    uint32_t held               # of them
    uint32_t run                # non-starters in a row, those dropped included
    uint32_t dropped
    uint32_t start              # source code points of starter and marks: [start, end)
    uint32_t end


cdef void join_marks(Folding* f) noexcept nogil:
    """Compose the starter with the marks that wait, as far as they are not blocked (UAX #15)."""
    cdef uint32_t kept = 0, i, composed
    if f.starter == 0:
        return
    for i in range(f.held):
        if kept == 0 or (f.marks[kept - 1] & ITEM_COMBINING) < (f.marks[i] & ITEM_COMBINING):
            f.w.work += 1
            composed = compose(f.starter & ITEM_CODE_POINT, f.marks[i] & ITEM_CODE_POINT)
            if composed:
                f.starter = as_item(composed)
                continue
        f.marks[kept] = f.marks[i]
        kept += 1
    f.held = kept


cdef void put_marks(Folding* f) noexcept nogil:
    """Write the starter and the marks that could not join it."""
    cdef uint32_t i
    join_marks(f)
    if f.starter:
        put(&f.w, f.starter, f.start, f.end)
    for i in range(f.held):
        put(&f.w, f.marks[i], f.start, f.end)
    f.held = 0


cdef inline void flush(Folding* f) noexcept nogil:
    """Write the starter and its marks."""
    if f.held:
        put_marks(f)
    elif f.starter:
        put(&f.w, f.starter, f.start, f.end)
    f.starter = 0
    f.unjoined_size = 0


cdef inline void begin(Folding* f, uint32_t item, uint32_t source) noexcept nogil:
    """Let a starter follow what has been written."""
    f.starter = item
    f.unjoined_size = 0
    f.run = 0
    f.start = source
    f.end = source + 1


cdef void take_mark(Folding* f, uint32_t item, uint32_t source) noexcept nogil:
    """Put a non-starter in its canonical place among those that wait, or drop it."""
    cdef uint32_t at, i
    if f.run >= MAX_MARKS:
        f.dropped += 1
        return
    if f.unjoined_size:
        f.starter = f.unjoined[0]
        for i in range(1, f.unjoined_size):
            f.marks[i - 1] = f.unjoined[i]
        f.held = f.unjoined_size - 1
        f.unjoined_size = 0
    elif f.starter == 0 and f.held == 0:
        f.start = source
    f.run += 1
    at = f.held
    while at and (f.marks[at - 1] & ITEM_COMBINING) > (item & ITEM_COMBINING):
        f.marks[at] = f.marks[at - 1]
        at -= 1
        f.w.work += 1
    f.marks[at] = item
    f.held += 1
    f.end = source + 1


cdef void take(Folding* f, uint32_t item, uint32_t source) noexcept nogil:
    """Take one decomposed code point, the item of a pool."""
    cdef uint32_t composed, start
    if item & ITEM_COMBINING:
        take_mark(f, item, source)
        return
    if item & ITEM_COMPOSES and f.starter:
        join_marks(f)
        if f.held == 0:
            f.w.work += 1
            composed = compose(f.starter & ITEM_CODE_POINT, item & ITEM_CODE_POINT)
            if composed:
                start = f.start
                begin(f, as_item(composed), source)
                f.start = start
                return
    flush(f)
    begin(f, item, source)


cdef inline void take_code_point(
    Folding* f, uint32_t code_point, uint32_t source
) noexcept nogil:
    """Take one source code point; the most common kind, a starter that stays, at once."""
    cdef uint32_t block = f.blocks[code_point >> UNICODE_SHIFT]
    cdef uint32_t entry = f.entries[
        block << UNICODE_SHIFT | (code_point & ((1 << UNICODE_SHIFT) - 1))
    ]
    f.seen |= entry
    if entry & ENTRY_ACTS:
        take_mapped(f, code_point, entry, source)
    else:
        flush(f)
        begin(f, code_point | (ITEM_WORD if is_word(entry) else 0), source)


cdef void take_mapped(
    Folding* f, uint32_t code_point, uint32_t entry, uint32_t source
) noexcept nogil:
    """Map one source code point and take what it becomes."""
    cdef uint32_t kind = entry >> 8 & 3
    cdef uint32_t length = entry >> 10 & 0xFF
    cdef const uint32_t* items = &f.pool[entry >> 18 & POOL_OFFSET]
    cdef uint32_t i
    if kind == KIND_ITSELF:
        take(
            f,
            code_point
            | length << 21
            | (ITEM_COMPOSES if entry & ENTRY_COMPOSES else 0)
            | (ITEM_WORD if is_word(entry) else 0),
            source,
        )
    elif kind == KIND_WHOLE:
        flush(f)
        begin(f, items[0], source)
        if length:
            f.unjoined = items + 1
            f.unjoined_size = length
            f.run = length - 1
    elif kind != KIND_REMOVED:
        for i in range(length):
            take(f, items[i], source)


cdef void fold_into(Folding* f, const uint8_t* text, size_t size) noexcept nogil:
    """Fold a text through an opened writer."""
    cdef size_t at = 0
    cdef uint32_t source = 0, length, code_point
    while at < size:
        if text[at] and text[at] < 0x80 and not f.prototypes:
            flush(f)
            f.run = 0
            length = put_ascii(&f.w, text + at, size - at, True, source)
            at += length
            source += length
            if at < size and not f.w.full:
                # What follows may be a mark: take the last character back and build on it.
                f.w.size -= 1
                f.w.word[f.w.size >> 3] &= <uint8_t> ~(1u << (f.w.size & 7))
                begin(f, as_item(f.w.out[f.w.size]), source - 1)
        else:
            code_point = decode(text + at, &length)
            take_code_point(f, code_point, source)
            f.w.work += 1
            at += length
            source += 1
    flush(f)


cdef int open_folding(
    Bump* bump, size_t size, bint prototypes, Folding* f
) noexcept nogil:
    """Prepare to fold a text into the folded lane or, by prototypes, the skeleton lane."""
    memset(f, 0, sizeof(Folding))
    f.prototypes = prototypes
    if prototypes:
        f.blocks = skeleton_blocks
        f.entries = skeleton_entries
        f.pool = skeleton_pool
    else:
        f.blocks = unicode_blocks
        f.entries = unicode_entries
        f.pool = unicode_pool
    return open_writer(bump, size, MAX_GROWTH, &f.w)


cdef int fold_by(
    Bump* bump, const uint8_t* text, size_t size, bint prototypes, Lane* out
) noexcept nogil:
    cdef Folding f
    if open_folding(bump, size, prototypes, &f):
        return -1
    fold_into(&f, text, size)
    close_writer(bump, &f.w, out)
    out.source = text
    out.source_size = <uint32_t> size
    out.marks_dropped = f.dropped
    out.prototypes = prototypes
    out.disguised = f.seen & ENTRY_DISGUISED != 0
    out.opening = f.seen >> 31 != 0
    return 0


cdef int fold(Bump* bump, const uint8_t* text, size_t size, Lane* out) noexcept nogil:
    """Make the folded lane of a text."""
    cdef uint8_t* plain
    if 0 < size <= MAX_LANE_BYTES:
        plain = <uint8_t*> bump_reserve(bump, ascii_lane_bytes(size))
        if plain == NULL:
            return -1
        if ascii_lane(LEVEL, text, size, plain):
            bump_commit(bump, ascii_lane_bytes(size))
            memset(out, 0, sizeof(Lane))
            out.data = plain
            out.size = <uint32_t> size
            out.word = plain + ascii_lane_word_at(size)
            out.source = text
            out.source_size = <uint32_t> size
            out.work = <uint32_t> size
            return 0
    return fold_by(bump, text, size, False, out)


cdef int skeleton_lane(Bump* bump, const uint8_t* text, size_t size, Lane* out) noexcept nogil:
    """Make the skeleton of a text."""
    return fold_by(bump, text, size, True, out)


cdef int open_map(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil:
    cdef size_t bytes = lane.size * sizeof(uint32_t)
    cdef uint32_t* start = <uint32_t*> bump_alloc(bump, bytes)
    cdef uint32_t* end = <uint32_t*> bump_alloc(bump, bytes)
    out.start = start
    out.end = end
    return -1 if start == NULL or end == NULL else 0


cdef int map_folded_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil:
    """Fold the source of a folded or skeleton lane again, with offsets, in scratch."""
    cdef Folding f
    if open_map(bump, lane, out) or open_folding(bump, lane.source_size, lane.prototypes, &f):
        return -1
    f.w.map_start = <uint32_t*> out.start
    f.w.map_end = <uint32_t*> out.end
    fold_into(&f, lane.source, lane.source_size)
    return 0
