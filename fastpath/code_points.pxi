# Code points as UTF-8, and what the tables know of them. Included by text.pyx.

cdef extern from "unicode_tables.h":
    enum:
        UNICODE_SHIFT
        UNICODE_PAIRS
    const unsigned short unicode_blocks[]
    const uint32_t unicode_entries[]
    const uint32_t unicode_pool[]
    const uint64_t unicode_pair_keys[]
    const uint32_t unicode_pair_composed[]

cdef enum:
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
