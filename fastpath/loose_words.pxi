# The words of a lane or of a text for the squeezed lane, and how they are read. Included by
# text.pyx; `fastpath.reference.loose_words` defines it.

cdef extern from "lookalike_tables.h":
    const unsigned short loose_blocks[]
    const uint32_t loose_entries[]

cdef enum:
    MAX_INNER_GAP = 3           # fastpath.lanes
    MIN_SPACED_OUT = 3

    # Bits of an entry; layout: fastpath/unicode_data/trie.py.
    LOOSE_OWN = 0xFFFF
    LOOSE_PLACE = 0x1F
    LOOSE_TWOFOLD = 0x20000000
    LOOSE_TELLING = 0x40000000

    # Kinds of a code point (fastpath/unicode_data/lookalikes.py).
    LOOSE_SPACE = 1
    LOOSE_LETTER = 2
    LOOSE_DIGIT = 3
    LOOSE_SIGN = 4
    LOOSE_DETACHED = 5
    LOOSE_KINDS = 7


cdef struct Unit:               # a code point, with detached marks behind it
    uint32_t code_point
    uint32_t letter             # what it is in a word
    uint32_t recalled           # what it is in a word of Latin letters, a-z; else 0
    uint32_t start              # code points of the text, [start, end); 0 where nobody asks
    uint32_t end
    uint32_t kind
    bint twofold                # `recalled` is the second letter that it recalls
    bint word                   # a word character


cdef struct Word:               # units [first, last) without separators between them
    uint32_t first
    uint32_t last
    uint32_t spaced             # number of the spaced-out word it belongs to, 0 for none
    bint lettered               # one of them is a letter by itself
    bint single                 # all are the same letter
    bint plain                  # all are Latin letters a-z
    bint imitating              # its letters are Latin ones or recall Latin ones
    bint twofold                # one of them recalls two


cdef struct Letter:             # of the squeezed lane
    uint32_t letter
    uint32_t run
    uint32_t before             # LETTER_GAP, LETTER_PARTED
    uint32_t edges              # LETTER_STARTS, LETTER_ENDS
    uint32_t own                # LETTER_SELF, LETTER_DRAWN
    uint32_t written            # the last of its run as it is written
    uint32_t alike              # how many at the end of its run are written so
    uint32_t start              # code points of the text, [start, end)
    uint32_t last               # where the last of its run starts
    uint32_t end


cdef struct Squeezing:
    uint8_t* data               # room for the lane
    uint16_t* about             # and for its LETTER_* bits
    Unit* units
    Word* words
    Letter* letters
    uint32_t unit_count
    uint32_t word_count
    uint32_t letter_count
    uint32_t work


cdef inline uint32_t loose_of(uint32_t code_point) noexcept nogil:
    cdef uint32_t block = loose_blocks[code_point >> UNICODE_SHIFT]
    return loose_entries[block << UNICODE_SHIFT | (code_point & ((1 << UNICODE_SHIFT) - 1))]


cdef inline uint32_t placed(uint32_t place) noexcept nogil:
    """Return a letter by its place in the alphabet, or 0."""
    return c"a" - 1 + place if place else 0


cdef inline Unit* take_unit(
    Squeezing* s, uint32_t code_point, uint32_t entry, uint32_t start, uint32_t end
) noexcept nogil:
    """Take a code point; NULL for a mark, which stays with what it stands on."""
    cdef Unit* unit
    s.work += 1
    if (entry >> 16 & LOOSE_KINDS) == LOOSE_DETACHED:
        if s.unit_count:
            s.units[s.unit_count - 1].end = end
        return NULL
    unit = &s.units[s.unit_count]
    s.unit_count += 1
    unit.code_point = code_point
    unit.kind = entry >> 16 & LOOSE_KINDS
    unit.letter = entry & LOOSE_OWN if entry & LOOSE_OWN else code_point
    unit.start = start
    unit.end = end
    return unit


cdef void read_units(Squeezing* s, const Lane* below, const LaneMap* map) noexcept nogil:
    """Take the code points of a lane."""
    cdef uint32_t at = 0, length, code_point, entry, start = 0, end = 0
    cdef Unit* unit
    s.unit_count = 0
    while at < below.size:
        code_point = decode(below.data + at, &length)
        entry = loose_of(code_point)
        if map != NULL:
            start = map.start[at]
            end = map.end[at + length - 1]
        unit = take_unit(s, code_point, entry, start, end)
        if unit != NULL:
            if entry >> 19 & LOOSE_PLACE == 0 and unit.letter != code_point:
                entry = loose_of(unit.letter)  # a letter that its marks came off
            unit.recalled = placed(entry >> 19 & LOOSE_PLACE)
            if unit.recalled == 0 and unit.letter - c"a" < 26u:
                unit.recalled = unit.letter
            unit.twofold = False
            unit.word = below.word[at >> 3] >> (at & 7) & 1
        at += length


cdef void read_units_again(Squeezing* s, const uint8_t* text, uint32_t size) noexcept nogil:
    """Take the code points of a text by what they recall in the second reading."""
    cdef uint32_t at = 0, source = 0, length, code_point, entry
    cdef Unit* unit
    s.unit_count = 0
    while at < size:
        code_point = decode(text + at, &length)
        entry = loose_of(code_point)
        unit = take_unit(s, code_point, entry, source, source + 1)
        if unit != NULL:
            unit.recalled = placed(entry >> 24 & LOOSE_PLACE)
            unit.twofold = entry & LOOSE_TWOFOLD != 0
            unit.word = is_word(entry_of(code_point))
        at += length
        source += 1


cdef void read_words(Squeezing* s) noexcept nogil:
    """Find the runs of letters, digits and signs; `!` behind a word ends a sentence."""
    cdef uint32_t first = 0, end, last, i
    cdef Word* word
    s.word_count = 0
    while first < s.unit_count:
        end = first
        while end < s.unit_count and LOOSE_LETTER <= s.units[end].kind <= LOOSE_SIGN:
            end += 1
        last = end
        while last > first and s.units[last - 1].code_point == c"!":
            last -= 1
        if last > first:
            word = &s.words[s.word_count]
            word.first = first
            word.last = last
            word.spaced = 0
            word.lettered = False
            word.single = True
            word.plain = True
            word.twofold = False
            for i in range(first, last):
                word.lettered = word.lettered or s.units[i].kind == LOOSE_LETTER
                word.twofold = word.twofold or s.units[i].twofold
                word.single = word.single and s.units[i].letter == s.units[first].letter
                word.plain = word.plain and s.units[i].code_point - c"a" < 26u
            s.word_count += 1
        s.work += end + 1 - first
        first = end + 1


cdef void find_spaced_out(Squeezing* s) noexcept nogil:
    """Number the words of one letter that follow each other closely and are one word."""
    cdef uint32_t first = 0, last, i
    cdef bint lettered
    cdef Word* words = s.words
    while first < s.word_count:
        last = first + 1
        if words[first].single:
            lettered = words[first].lettered
            while (
                last < s.word_count and words[last].single
                and words[last].first - words[last - 1].last <= MAX_INNER_GAP
            ):
                lettered = lettered or words[last].lettered
                last += 1
            if last - first >= MIN_SPACED_OUT and lettered:
                for i in range(first, last):
                    words[i].spaced = first + 1
        s.work += last - first
        first = last


cdef bint imitates_latin(Squeezing* s, uint32_t first, uint32_t last) noexcept nogil:
    """Say whether words [first, last) have letters and all are Latin or recall Latin ones."""
    cdef uint32_t index, at
    cdef bint lettered = False
    for index in range(first, last):
        for at in range(s.words[index].first, s.words[index].last):
            s.work += 1
            if s.units[at].kind == LOOSE_LETTER:
                lettered = True
                if s.units[at].recalled == 0:
                    return False
    return lettered


cdef void find_imitations(Squeezing* s) noexcept nogil:
    """Mark the words, and spaced-out words, that imitate a Latin one."""
    cdef uint32_t first = 0, last, i
    cdef bint imitating, twofold
    while first < s.word_count:
        last = first + 1
        twofold = s.words[first].twofold
        while (
            last < s.word_count and s.words[first].spaced
            and s.words[last].spaced == s.words[first].spaced
        ):
            twofold = twofold or s.words[last].twofold
            last += 1
        imitating = imitates_latin(s, first, last)
        for i in range(first, last):
            s.words[i].imitating = imitating
            s.words[i].twofold = twofold
        first = last
