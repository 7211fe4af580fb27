"""Turn a post's text into lanes in one forward pass without allocation.

The folded lane is NFKC_Casefold (The Unicode Standard 15.0, section 3.13, R5) with runs of
non-starters capped (Stream-Safe, UAX #15); `fastpath.reference.text` defines it. Each code point
is mapped and decomposed by table, marks wait in a 30-entry buffer in canonical order, and when the
next starter comes they are composed with theirs and written. ASCII goes eight bytes at a time,
and the folded lane of a text that holds nothing else 32 (ascii_lane.h).

All `cdef` functions here are total: they trust `text` to be valid UTF-8, which posts checks.
Little-endian machines only: bytes are taken eight at a time and bit i of a word is lane byte i.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memmove, memset

from fastpath.arena cimport Arena, Bump, bump_alloc, bump_commit, bump_reserve
from fastpath.isa cimport isa_level

from fastpath.lanes import LaneView, LetterView, NormalisedText

cdef extern from "unicode_tables.h":
    enum:
        UNICODE_SHIFT
        UNICODE_PAIRS
    const unsigned short unicode_blocks[]
    const uint32_t unicode_entries[]
    const uint32_t unicode_pool[]
    const uint64_t unicode_pair_keys[]
    const uint32_t unicode_pair_composed[]

cdef extern from "plain.h" nogil:
    uint32_t plain_end(int isa, const uint8_t* data, uint32_t size, uint32_t at)
    uint32_t plain_letters_of(
        int isa, const uint8_t* data, uint32_t at, uint32_t end, uint8_t* out
    )
    enum:
        PLAIN_ROOM

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

    # Bits of a trie entry and of a pool item; layout: fastpath/unicode_data/trie.py.
    ENTRY_CLASSES = 0x3F
    ENTRY_COMPOSES = 0x40
    ENTRY_DISGUISED = 0x80
    ENTRY_ACTS = 0x7FFFFF40     # anything set here: more to do than to copy the code point
    POOL_OFFSET = 0x1FFF
    KIND_ITSELF = 0
    KIND_REMOVED = 1
    KIND_WHOLE = 2
    ITEM_CODE_POINT = 0x1FFFFF
    ITEM_COMBINING = 0x1FE00000
    ITEM_COMPOSES = 0x20000000
    ITEM_WORD = 0x40000000

    # Hangul syllables compose by arithmetic (The Unicode Standard, section 3.12).
    HANGUL_FIRST = 0xAC00
    HANGUL_COUNT = 11172
    LEAD_FIRST = 0x1100
    LEAD_COUNT = 19
    VOWEL_FIRST = 0x1161
    VOWEL_COUNT = 21
    TAIL_BEFORE = 0x11A7
    TAIL_COUNT = 28

UNICODE_VERSION = "15.0.0"

cdef int LEVEL = isa_level()


# Code points and their tables.


cdef inline uint32_t decode(const uint8_t* at, uint32_t* length) noexcept nogil:
    """Read one code point of valid UTF-8."""
    if at[0] < 0x80:
        length[0] = 1
        return at[0]
    if at[0] < 0xE0:
        length[0] = 2
        return (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu)
    if at[0] < 0xF0:
        length[0] = 3
        return (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu)
    length[0] = 4
    return (
        (at[0] & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu)
    )


cdef inline uint32_t encoded_length(uint32_t code_point) noexcept nogil:
    return 1 + (code_point >= 0x80) + (code_point >= 0x800) + (code_point >= 0x10000)


cdef inline void encode(uint32_t code_point, uint8_t* at) noexcept nogil:
    """Write one code point as UTF-8."""
    if code_point < 0x80:
        at[0] = <uint8_t> code_point
    elif code_point < 0x800:
        at[0] = <uint8_t> (0xC0 | code_point >> 6)
        at[1] = <uint8_t> (0x80 | (code_point & 0x3F))
    elif code_point < 0x10000:
        at[0] = <uint8_t> (0xE0 | code_point >> 12)
        at[1] = <uint8_t> (0x80 | (code_point >> 6 & 0x3F))
        at[2] = <uint8_t> (0x80 | (code_point & 0x3F))
    else:
        at[0] = <uint8_t> (0xF0 | code_point >> 18)
        at[1] = <uint8_t> (0x80 | (code_point >> 12 & 0x3F))
        at[2] = <uint8_t> (0x80 | (code_point >> 6 & 0x3F))
        at[3] = <uint8_t> (0x80 | (code_point & 0x3F))


cdef inline uint32_t entry_of(uint32_t code_point) noexcept nogil:
    cdef uint32_t block = unicode_blocks[code_point >> UNICODE_SHIFT]
    return unicode_entries[block << UNICODE_SHIFT | (code_point & ((1 << UNICODE_SHIFT) - 1))]


cdef uint32_t code_point_class(uint32_t code_point) noexcept nogil:
    """Return the CLASS_* bits of a code point."""
    return entry_of(code_point) & ENTRY_CLASSES


cdef inline bint is_word(uint32_t classes) noexcept nogil:
    """Say whether a code point of these classes continues a word: `reference.text.is_word`."""
    return classes & CLASS_WORD != 0 and classes & CLASS_UNSPACED == 0


cdef inline uint32_t as_item(uint32_t code_point) noexcept nogil:
    """Return the pool item of a starter that folds to itself and joins nothing before it."""
    return code_point | (ITEM_WORD if is_word(entry_of(code_point)) else 0)


cdef uint32_t compose(uint32_t first, uint32_t second) noexcept nogil:
    """Return the code point that two compose to, or 0."""
    if first - <uint32_t> LEAD_FIRST < LEAD_COUNT and second - <uint32_t> VOWEL_FIRST < VOWEL_COUNT:
        return (
            HANGUL_FIRST
            + ((first - LEAD_FIRST) * VOWEL_COUNT + (second - VOWEL_FIRST)) * TAIL_COUNT
        )
    if (
        first - <uint32_t> HANGUL_FIRST < HANGUL_COUNT
        and (first - HANGUL_FIRST) % TAIL_COUNT == 0
        and second - <uint32_t> (TAIL_BEFORE + 1) < TAIL_COUNT - 1
    ):
        return first + (second - TAIL_BEFORE)
    cdef uint64_t key = <uint64_t> first << 21 | second
    cdef uint32_t low = 0, high = UNICODE_PAIRS, middle
    while low < high:
        middle = (low + high) >> 1
        if unicode_pair_keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < UNICODE_PAIRS and unicode_pair_keys[low] == key:
        return unicode_pair_composed[low]
    return 0


# Writing a lane.


cdef struct Writer:
    uint8_t* out
    uint8_t* word               # bitset, zeroed
    uint32_t size               # bytes written
    uint32_t limit              # bytes that may be written
    bint full                   # one code point did not fit: nothing is written any more
    uint32_t work
    uint32_t* map_start         # NULL unless offsets are asked for
    uint32_t* map_end


cdef inline void set_word_bits(uint8_t* word, uint32_t at, uint32_t bits) noexcept nogil:
    """Set up to 8 bits from bit `at` on."""
    cdef uint32_t shifted = bits << (at & 7)
    word[at >> 3] |= <uint8_t> shifted
    word[(at >> 3) + 1] |= <uint8_t> (shifted >> 8)


cdef inline void put(Writer* w, uint32_t item, uint32_t start, uint32_t end) noexcept nogil:
    """Append the code point of an item that came from source code points [start, end)."""
    cdef uint32_t code_point = item & ITEM_CODE_POINT
    cdef uint32_t length = encoded_length(code_point)
    cdef uint32_t i
    w.work += 1
    if w.full or length > w.limit - w.size:
        w.full = True
        return
    encode(code_point, w.out + w.size)
    if item & ITEM_WORD:
        set_word_bits(w.word, w.size, (1u << length) - 1)
    if w.map_start != NULL:
        for i in range(length):
            w.map_start[w.size + i] = start
            w.map_end[w.size + i] = end
    w.size += length


cdef inline uint64_t at_least(uint64_t octets, uint64_t low) noexcept nogil:
    """Set the top bit of each byte (all below 0x80) that is at least `low`."""
    return octets + (0x80 - low) * 0x0101010101010101u


cdef inline uint64_t between(uint64_t octets, uint64_t low, uint64_t high) noexcept nogil:
    """Set the top bit of each byte (all below 0x80) in [low, high]; other bits are zero."""
    return at_least(octets, low) & ~at_least(octets, high + 1) & 0x8080808080808080u


cdef inline uint32_t ascii_word_bits(uint64_t lower) noexcept nogil:
    """Return one bit per byte of eight lower-case ASCII bytes: letter, digit or underscore."""
    cdef uint64_t word = (
        between(lower, c"a", c"z") | between(lower, c"0", c"9") | between(lower, c"_", c"_")
    )
    # Gathers bits 7, 15, ... 63 into the top byte; no two products meet in one bit.
    return <uint32_t> (((word >> 7) * 0x0102040810204080u) >> 56)


cdef inline bint ascii_without_nul(uint64_t octets) noexcept nogil:
    cdef uint64_t tops = 0x8080808080808080u
    return not octets & tops and (octets + 0x7F7F7F7F7F7F7F7Fu) & tops == tops


cdef uint32_t put_ascii(
    Writer* w, const uint8_t* text, size_t size, bint fold_case, uint32_t source
) noexcept nogil:
    """Append the leading ASCII of `text` (no U+0000) and return its length."""
    cdef uint32_t done = 0
    cdef uint64_t octets, lower
    cdef uint32_t octet, i
    while size - done >= 8 and w.limit - w.size >= 8:
        memcpy(&octets, text + done, 8)
        if not ascii_without_nul(octets):
            break
        lower = octets | between(octets, c"A", c"Z") >> 2
        if fold_case:
            octets = lower
        memcpy(w.out + w.size, &octets, 8)
        set_word_bits(w.word, w.size, ascii_word_bits(lower))
        if w.map_start != NULL:
            for i in range(8):
                w.map_start[w.size + i] = source + done + i
                w.map_end[w.size + i] = source + done + i + 1
        w.work += 8
        w.size += 8
        done += 8
    while done < size and text[done] and text[done] < 0x80:
        octet = text[done]
        if fold_case and octet - c"A" < 26u:
            octet |= 0x20
        put(w, as_item(octet), source + done, source + done + 1)
        done += 1
    return done


cdef int open_writer(Bump* bump, size_t text_size, size_t growth, Writer* w) noexcept nogil:
    """Reserve room for a lane and its word bits; growth = bytes out per byte in."""
    cdef size_t limit = MAX_LANE_BYTES
    if text_size <= MAX_LANE_BYTES / growth:
        limit = text_size * growth
    cdef size_t bits = limit / 8 + 2
    memset(w, 0, sizeof(Writer))
    w.out = <uint8_t*> bump_reserve(bump, limit + bits)
    if w.out == NULL:
        return -1
    w.word = w.out + limit
    memset(w.word, 0, bits)
    w.limit = <uint32_t> limit
    return 0


cdef void close_writer(Bump* bump, Writer* w, Lane* out) noexcept nogil:
    """Put the word bits behind the lane, give back the rest, fill `out`."""
    cdef size_t bits = w.size / 8 + 1
    memmove(w.out + w.size, w.word, bits)
    bump_commit(bump, w.size + bits)
    out.data = w.out
    out.size = w.size
    out.word = w.out + w.size
    out.letters = NULL
    out.below = NULL
    out.truncated = w.full
    out.prototypes = False
    out.disguised = False
    out.opening = False
    out.work = w.work


# Folding.


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


# The raw lane.


cdef void write_raw(Writer* w, const uint8_t* text, size_t size) noexcept nogil:
    cdef size_t at = 0
    cdef uint32_t source = 0, length, code_point
    while at < size:
        if text[at] and text[at] < 0x80:
            length = put_ascii(w, text + at, size - at, False, source)
            source += length
        else:
            code_point = decode(text + at, &length)
            put(w, as_item(code_point if code_point else 0xFFFDu), source, source + 1)
            source += 1
        at += length


cdef inline size_t raw_growth(const uint8_t* text, size_t size) noexcept nogil:
    """Return how many bytes a byte can become: U+FFFD has three."""
    return 3 if size and memchr(text, 0, size) != NULL else 1


cdef int raw_lane(Bump* bump, const uint8_t* text, size_t size, Lane* out) noexcept nogil:
    """Make the raw lane of a text."""
    cdef Writer w
    if open_writer(bump, size, raw_growth(text, size), &w):
        return -1
    write_raw(&w, text, size)
    close_writer(bump, &w, out)
    out.source = text
    out.source_size = <uint32_t> size
    out.marks_dropped = 0
    return 0


cdef int map_raw_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil:
    """Write the raw lane again, with offsets, in scratch."""
    cdef Writer w
    cdef size_t growth = raw_growth(lane.source, lane.source_size)
    if open_map(bump, lane, out) or open_writer(bump, lane.source_size, growth, &w):
        return -1
    w.map_start = <uint32_t*> out.start
    w.map_end = <uint32_t*> out.end
    write_raw(&w, lane.source, lane.source_size)
    return 0


include "loose_words.pxi"
include "squeezed.pxi"


# What other modules ask of a lane.


cdef ByteSpan trim(const uint8_t* data, size_t size) noexcept nogil:
    """Return the part between leading and trailing white space."""
    cdef ByteSpan span
    cdef uint32_t start = 0, end = <uint32_t> size, length, at
    while start < end and code_point_class(decode(data + start, &length)) & CLASS_SPACE:
        start += length
    while end > start:
        at = end - 1
        while data[at] & 0xC0 == 0x80:
            at -= 1
        if not code_point_class(decode(data + at, &length)) & CLASS_SPACE:
            break
        end = at
    span.start = start
    span.end = end
    return span


cdef size_t count_code_points(const uint8_t* data, size_t size) noexcept nogil:
    """Count the bytes that begin a code point."""
    cdef size_t i, count = 0
    for i in range(size):
        count += (data[i] & 0xC0) != 0x80
    return count


cdef inline bint starts_with(
    const uint8_t* data, uint32_t left, const char* prefix, uint32_t size
) noexcept nogil:
    cdef uint32_t i
    if left < size:
        return False
    for i in range(size):
        if data[i] != <uint8_t> prefix[i]:
            return False
    return True


cdef inline bint starts_url(const uint8_t* data, uint32_t left) noexcept nogil:
    return (
        starts_with(data, left, b"http://", 7)
        or starts_with(data, left, b"https://", 8)
        or starts_with(data, left, b"www.", 4)
    )


cdef uint32_t run_end(
    const Lane* lane, uint32_t at, uint32_t wanted, bint inside
) noexcept nogil:
    """Return where code points of (inside) or without (outside) the wanted classes end."""
    cdef uint32_t length
    while at < lane.size:
        if (code_point_class(decode(lane.data + at, &length)) & wanted != 0) != inside:
            break
        at += length
    return at


cdef int normalise(Bump* bump, const Lane* folded, Normalised* out) noexcept nogil:
    """Make the form under which texts are compared: `reference.text.normalised_text`."""
    cdef uint8_t* data = <uint8_t*> bump_reserve(bump, folded.size + PLAIN_ROOM)
    cdef uint32_t size = 0, at = 0, length, end, classes
    if data == NULL:
        return -1
    out.content = False
    while at < folded.size:
        end = plain_end(LEVEL, folded.data, folded.size, at)
        length = plain_letters_of(LEVEL, folded.data, at, end, data + size)
        out.content = out.content or length > 0
        size += length
        at = end
        classes = code_point_class(decode(folded.data + at, &length))
        if starts_url(folded.data + at, folded.size - at):
            data[size] = 1
            size += 1
            at = run_end(folded, at, CLASS_SPACE, False)
            continue
        if folded.data[at] == c"@":
            end = run_end(folded, at + 1, CLASS_WORD, True)
            if end > at + 1:
                data[size] = 2
                size += 1
            at = end
            continue
        if classes & CLASS_DIGIT:
            data[size] = c"0"
            size += 1
            at = run_end(folded, at, CLASS_DIGIT, True)
            continue
        if classes & (CLASS_ALNUM | CLASS_MARK):
            memcpy(data + size, folded.data + at, length)
            size += length
            out.content = out.content or classes & CLASS_ALNUM != 0
        at += length
    bump_commit(bump, size)
    out.data = data
    out.size = size
    return 0


# What Python sees, for explain and tests: one text at a time.


cdef object view_of(const Lane* lane):
    return LaneView(
        lane.data[:lane.size],
        bits_of(lane.word, lane.size),
        lane.marks_dropped,
        lane.truncated != 0,
    )


cdef bytes bits_of(const uint8_t* bits, uint32_t size):
    cdef uint32_t i
    return bytes([bits[i >> 3] >> (i & 7) & 1 for i in range(size)])


cdef int make_lane_of(
    Bump* bump, const uint8_t* data, size_t size, int wanted, Lane* below, Lane* out
) noexcept nogil:
    """Make a lane; where it does not run, an empty one."""
    if wanted == LANE_RAW:
        return raw_lane(bump, data, size, out)
    if fold(bump, data, size, below):
        return -1
    if wanted == LANE_FOLDED:
        out[0] = below[0]
        return 0
    memset(out, 0, sizeof(Lane))
    out.data = data
    if wanted == LANE_SKELETON:
        return skeleton_lane(bump, data, size, out) if below.disguised else 0
    if not opens_squeezed_lane(below):
        return 0
    if below.disguised and skeleton_lane(bump, data, size, below):
        return -1
    return squeezed_lane(bump, below, out)


cdef Lane make_lane(Arena arena, bytes text, int wanted) except *:
    cdef Lane* below = <Lane*> bump_alloc(&arena.bump, sizeof(Lane))
    cdef Lane lane
    cdef int failed = below == NULL
    cdef const uint8_t* data = <const uint8_t*> <const char*> text
    cdef size_t size = len(text)
    with nogil:
        failed = failed or make_lane_of(&arena.bump, data, size, wanted, below, &lane)
    if failed:
        raise MemoryError("no memory for a lane")
    return lane


cdef object map_lane(bytes text, int wanted):
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, text, wanted)
    cdef LaneMap spans
    cdef int failed
    if lane.size == 0:
        return ()
    with nogil:
        if wanted == LANE_RAW:
            failed = map_raw_lane(&arena.bump, &lane, &spans)
        elif wanted == LANE_SQUEEZED:
            failed = map_squeezed_lane(&arena.bump, &lane, &spans)
        else:
            failed = map_folded_lane(&arena.bump, &lane, &spans)
    if failed:
        raise MemoryError("no memory for the offsets of a lane")
    return tuple([(spans.start[i], spans.end[i]) for i in range(lane.size)])


def view_raw(str text not None):
    """Return the raw lane of a text."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_RAW)
    return view_of(&lane)


def view_folded(str text not None):
    """Return the folded lane of a text."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    return view_of(&lane)


def fold_text(str text not None):
    """Return the folded lane of a text as a string."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    return lane.data[:lane.size].decode()


def folding_work(str text not None):
    """Return the steps that folding a text takes: linear in its length, whatever it holds."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    return make_lane(arena, encoded, LANE_FOLDED).work


def spans_raw(str text not None):
    """Return per byte of the raw lane the source code point [start, end) it belongs to."""
    return map_lane(text.encode(), LANE_RAW)


def spans_folded(str text not None):
    """Return per byte of the folded lane the source code points [start, end) of its cluster."""
    return map_lane(text.encode(), LANE_FOLDED)


def view_skeleton(str text not None):
    """Return the skeleton lane of a text; empty where it does not run."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_SKELETON)
    return view_of(&lane)


def view_squeezed(str text not None):
    """Return the squeezed lane of a text; empty where it does not run."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_SQUEEZED)
    if lane.size == 0:
        return LetterView(b"", b"", lane.truncated != 0)
    return LetterView(lane.data[:lane.size], lane.letters[:lane.size], lane.truncated != 0)


def opens_skeleton(str text not None):
    """Say whether the skeleton lane of a text runs."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    return make_lane(arena, encoded, LANE_FOLDED).disguised != 0


def opens_squeezed(str text not None):
    """Say whether the squeezed lane of a text runs."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    return opens_squeezed_lane(&lane) != 0


def squeezing_work(str text not None):
    """Return the steps that squeezing a text takes: linear in its length, whatever it holds."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    return make_lane(arena, encoded, LANE_SQUEEZED).work


def spans_skeleton(str text not None):
    """Return per byte of the skeleton lane the source code points [start, end) of its cluster."""
    return map_lane(text.encode(), LANE_SKELETON)


def spans_squeezed(str text not None):
    """Return per byte of the squeezed lane the source code points [start, end) of its letter."""
    return map_lane(text.encode(), LANE_SQUEEZED)


def normalised_text(str text not None):
    """Return the form under which texts are compared across accounts."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane = make_lane(arena, encoded, LANE_FOLDED)
    cdef Normalised normal
    cdef int failed
    with nogil:
        failed = normalise(&arena.bump, &lane, &normal)
    if failed:
        raise MemoryError("no memory for a normalised text")
    return NormalisedText(normal.data[:normal.size], normal.content != 0)


def trim_text(str text not None):
    """Return a text without leading and trailing white space (property White_Space)."""
    cdef bytes encoded = text.encode()
    cdef ByteSpan span = trim(<const uint8_t*> <const char*> encoded, len(encoded))
    return encoded[span.start:span.end].decode()
