# The squeezed lane: what stays of a lane when disguise is taken off. Included by text.pyx;
# `fastpath.reference.lookalikes` defines it.

cdef extern from "lookalike_tables.h":
    const unsigned short loose_blocks[]
    const uint32_t loose_entries[]

cdef enum:
    MAX_INNER_GAP = 3           # fastpath.lanes
    MIN_SPACED_OUT = 3
    MAX_LETTER_RUN = 15

    # Kinds of a code point (fastpath/unicode_data/lookalikes.py).
    LOOSE_SPACE = 1
    LOOSE_LETTER = 2
    LOOSE_DIGIT = 3
    LOOSE_SIGN = 4
    LOOSE_DETACHED = 5
    LOOSE_KINDS = 7

    GROUP_RARE = 1              # fastpath/unicode_data/imitations.py


cdef struct Unit:               # a code point of the lane below, with detached marks behind it
    uint32_t code_point
    uint32_t letter             # what it is in a word
    uint32_t recalled           # what it is in a word of Latin letters, if `group`
    uint32_t group              # of the scripts that write it, if it recalls another letter
    uint32_t start              # bytes of the lane below, [start, end)
    uint32_t end
    uint32_t kind
    bint word                   # a word character
    bint shown                  # a look-alike was shown as this


cdef struct Word:               # units [first, last) without separators between them
    uint32_t first
    uint32_t last
    uint32_t spaced             # number of the spaced-out word it belongs to, 0 for none
    bint lettered               # one of them is a letter by itself
    bint single                 # all are the same letter
    bint imitating              # its letters are Latin ones and others that recall Latin ones


cdef struct Letter:             # of the squeezed lane
    uint32_t letter
    uint32_t run
    uint32_t before             # LETTER_GAP, LETTER_PARTED
    uint32_t edges              # LETTER_STARTS, LETTER_ENDS
    uint32_t start              # bytes of the lane below
    uint32_t end


cdef struct Squeezing:
    Unit* units
    Word* words
    Letter* letters
    uint32_t unit_count
    uint32_t word_count
    uint32_t letter_count
    uint32_t work


cdef inline bint ascii_letter(uint32_t octet) noexcept nogil:
    return (octet | 0x20) - c"a" < 26u


cdef inline bint ascii_digit(uint32_t octet) noexcept nogil:
    return octet - c"0" < 10u


cdef inline bint ascii_space(uint32_t octet) noexcept nogil:
    return octet == c" " or octet - 9 < 5u


cdef inline bint is_apostrophe(const uint8_t* gap, size_t size) noexcept nogil:
    if size == 1:
        return gap[0] == c"'"
    return size == 3 and gap[0] == 0xE2 and gap[1] == 0x80 and gap[2] == 0x99


cdef bint ascii_opens(const uint8_t* text, size_t size) noexcept nogil:
    """Say whether the ASCII of a text may hide a word: `reference.lookalikes.opens_squeezed`."""
    cdef size_t at, gap_start = 0
    cdef uint32_t octet, lower, before = 0, run = 0, last_run = 0, length = 0, singles = 0
    cdef bint seen = False, spaced = False, digit
    for at in range(size):
        octet = text[at]
        digit = ascii_digit(octet)
        if not digit and not ascii_letter(octet):
            if length:
                singles = singles + 1 if length == 1 else 0
                if singles == MIN_SPACED_OUT or (octet == c"$" and ascii_letter(before)):
                    return True
                seen = True
                gap_start = at
                spaced = False
                before = length = run = last_run = 0
            spaced = spaced or ascii_space(octet)
            continue
        lower = octet | 0x20
        if length == 0:
            if at and text[at - 1] == c"$" and not digit:
                return True
            if seen and not spaced and not is_apostrophe(text + gap_start, at - gap_start):
                return True
        else:
            if digit != ascii_digit(before):
                return True
            if (before | 0x20) == c"r" and lower == c"n":
                return True
            if (before | 0x20) == c"v" and lower == c"v":
                return True
            if octet == c"I" and before >= c"a":
                return True
        if length and not digit and (before | 0x20) == lower:
            run += 1
            if run == 3 or (run == 2 and last_run == 2):
                return True
        else:
            last_run = run
            run = 1
        before = octet
        length += 1
    return singles + <uint32_t> (length == 1) >= MIN_SPACED_OUT


cdef inline uint32_t loose_of(uint32_t code_point) noexcept nogil:
    cdef uint32_t block = loose_blocks[code_point >> UNICODE_SHIFT]
    return loose_entries[block << UNICODE_SHIFT | (code_point & ((1 << UNICODE_SHIFT) - 1))]


cdef void read_units(Squeezing* s, const Lane* below) noexcept nogil:
    """Take the code points of a lane, marks that come off with what they stand on."""
    cdef uint32_t at = 0, length, code_point, entry
    cdef Unit* unit
    while at < below.size:
        code_point = decode(below.data + at, &length)
        entry = loose_of(code_point)
        if (entry >> 24 & LOOSE_KINDS) == LOOSE_DETACHED:
            if s.unit_count:
                s.units[s.unit_count - 1].end = at + length
        else:
            unit = &s.units[s.unit_count]
            unit.code_point = code_point
            unit.kind = entry >> 24 & LOOSE_KINDS
            unit.letter = entry & ITEM_CODE_POINT
            if unit.letter == 0 or entry >> 27:
                unit.letter = code_point
            elif unit.letter > 0x7F:
                entry = loose_of(unit.letter)  # a letter that its marks came off
            unit.group = entry >> 27
            unit.recalled = entry & ITEM_CODE_POINT
            unit.word = below.word[at >> 3] >> (at & 7) & 1
            unit.shown = below.shown != NULL and below.shown[at >> 3] >> (at & 7) & 1
            unit.start = at
            unit.end = at + length
            s.unit_count += 1
        at += length
        s.work += 1


cdef void read_words(Squeezing* s) noexcept nogil:
    """Find the runs of letters, digits and signs; `!` behind a word ends a sentence."""
    cdef uint32_t first = 0, end, last, i
    cdef Word* word
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
            for i in range(first, last):
                word.lettered = word.lettered or s.units[i].kind == LOOSE_LETTER
                word.single = word.single and s.units[i].letter == s.units[first].letter
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
    """Say whether the letters of words [first, last) are Latin or recall Latin ones.

    `reference.lookalikes` says what else that asks of them.
    """
    cdef uint32_t groups = 0, index, at
    cdef bint latin = False
    cdef const Unit* unit
    for index in range(first, last):
        for at in range(s.words[index].first, s.words[index].last):
            unit = &s.units[at]
            s.work += 1
            if unit.kind != LOOSE_LETTER:
                continue
            if unit.group:
                groups |= 1u << unit.group
            elif unit.letter > 0x7F:
                return False
            elif unit.code_point <= 0x7F and not unit.shown:
                latin = True
    return groups != 0 and (
        latin or groups & (1u << GROUP_RARE) != 0 or groups & (groups - 1) != 0
    )


cdef void find_imitations(Squeezing* s) noexcept nogil:
    """Mark the words, and spaced-out words, that imitate a Latin one."""
    cdef uint32_t first = 0, last, i
    cdef bint imitating
    while first < s.word_count:
        last = first + 1
        while (
            last < s.word_count and s.words[first].spaced
            and s.words[last].spaced == s.words[first].spaced
        ):
            last += 1
        imitating = imitates_latin(s, first, last)
        for i in range(first, last):
            s.words[i].imitating = imitating
        first = last


cdef void put_letter(Squeezing* s, const Letter* added) noexcept nogil:
    """Append a letter, joined with the one before where they are one."""
    cdef Letter merged = added[0]
    cdef Letter* before
    while s.letter_count and not merged.before & LETTER_GAP:
        before = &s.letters[s.letter_count - 1]
        s.work += 1
        if before.letter == merged.letter:
            before.run = min(before.run + merged.run, <uint32_t> MAX_LETTER_RUN)
            before.edges = (before.edges & LETTER_STARTS) | (merged.edges & LETTER_ENDS)
            before.end = merged.end
            return
        if before.letter != c"r" or merged.letter != c"n":
            break
        merged.letter = c"m"
        if before.run == 1:
            merged.start = before.start
            merged.before = before.before
            merged.edges = (before.edges & LETTER_STARTS) | (merged.edges & LETTER_ENDS)
            s.letter_count -= 1
        else:
            merged.start = before.end - 1
            merged.before = 0
            merged.edges &= LETTER_ENDS
            before.run -= 1
    s.letters[s.letter_count] = merged
    s.letter_count += 1


cdef uint32_t gap_before(
    Squeezing* s, uint32_t left, uint32_t at, bint spaced_out
) noexcept nogil:
    """Return LETTER_GAP and LETTER_PARTED for the separators in units [left, at)."""
    cdef bint wide = at - left > MAX_INNER_GAP
    cdef uint32_t i
    if s.letter_count == 0 or left == at:
        return 0
    for i in range(left, at):
        wide = wide or s.units[i].kind == LOOSE_SPACE
        s.work += 1
    return LETTER_PARTED | (LETTER_GAP if wide and not spaced_out else 0)


cdef void write_letters(Squeezing* s) noexcept nogil:
    """Write the letters of all words."""
    cdef uint32_t index, at, left = 0, number = 0
    cdef bint resolved
    cdef const Word* word
    cdef const Unit* unit
    cdef Letter letter
    for index in range(s.word_count):
        word = &s.words[index]
        resolved = word.lettered or word.spaced
        for at in range(word.first, word.last):
            unit = &s.units[at]
            s.work += 1
            if not resolved and unit.kind == LOOSE_SIGN:
                continue
            letter.letter = unit.letter if resolved else unit.code_point
            if word.imitating and unit.group:
                letter.letter = unit.recalled
            letter.run = 1
            letter.before = gap_before(s, left, at, word.spaced and word.spaced == number)
            letter.edges = 0
            if at == 0 or not s.units[at - 1].word:
                letter.edges |= LETTER_STARTS
            if at + 1 == s.unit_count or not s.units[at + 1].word:
                letter.edges |= LETTER_ENDS
            letter.start = unit.start
            letter.end = unit.end
            put_letter(s, &letter)
            left = at + 1
            number = word.spaced
    for at in range(s.letter_count):
        # Two v in a row are a w; more of them are one v drawn out.
        if s.letters[at].letter == c"v" and s.letters[at].run == 2:
            s.letters[at].letter = c"w"
            s.letters[at].run = 1


cdef int squeeze(Bump* bump, const Lane* below, Lane* out, LaneMap* map) noexcept nogil:
    """Make the squeezed lane of another lane; or, with a map of that one, replace it by ours."""
    cdef Squeezing s
    cdef size_t room = (<size_t> below.size * 2 + 15) & ~<size_t> 15
    cdef size_t units = <size_t> below.size
    cdef uint8_t* data
    cdef uint8_t* about
    cdef uint32_t i, j, size = 0, length, bits, start, end
    memset(&s, 0, sizeof(s))
    data = <uint8_t*> bump_reserve(
        bump, room + units * (sizeof(Unit) + sizeof(Word) + sizeof(Letter))
    )
    if data == NULL:
        return -1
    about = data + below.size
    s.units = <Unit*> (data + room)
    s.words = <Word*> (s.units + units)
    s.letters = <Letter*> (s.words + units)
    read_units(&s, below)
    read_words(&s)
    find_spaced_out(&s)
    find_imitations(&s)
    write_letters(&s)
    for i in range(s.letter_count):
        length = encoded_length(s.letters[i].letter)
        encode(s.letters[i].letter, data + size)
        bits = s.letters[i].edges | s.letters[i].run * LETTER_RUN
        if map != NULL:
            # A letter is never longer than what it stands for, so nothing unread is replaced.
            start = map.start[s.letters[i].start]
            end = map.end[s.letters[i].end - 1]
            for j in range(length):
                (<uint32_t*> map.start)[size + j] = start
                (<uint32_t*> map.end)[size + j] = end
        for j in range(length):
            about[size + j] = <uint8_t> (bits if j else bits | s.letters[i].before)
        size += length
    if map != NULL:
        return 0
    memset(out, 0, sizeof(Lane))
    memmove(data + size, about, size)
    bump_commit(bump, 2 * <size_t> size)
    out.data = data
    out.letters = data + size
    out.size = size
    out.below = below
    out.source = below.source
    out.source_size = below.source_size
    out.truncated = below.truncated
    out.work = s.work
    return 0


cdef int squeezed_lane(Bump* bump, const Lane* below, Lane* out) noexcept nogil:
    """Make the squeezed lane of the skeleton or folded lane."""
    return squeeze(bump, below, out, NULL)


cdef int map_squeezed_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil:
    """Fold and squeeze the source again, with offsets."""
    if map_folded_lane(bump, lane.below, out):
        return -1
    return squeeze(bump, lane.below, NULL, out)


cdef bint opens_squeezed_lane(const Lane* folded) noexcept nogil:
    """Say whether the squeezed lane runs."""
    return folded.opening or ascii_opens(folded.source, folded.source_size)
