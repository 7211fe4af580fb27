# The squeezed lane: what stays of a text when disguise is taken off. Included by text.pyx;
# `fastpath.reference.squeezed` defines it.

cdef extern from "lookalike_tables.h":
    enum:
        TURNED_COUNT
    const uint32_t turned_entries[]

cdef enum:
    MAX_LETTER_RUN = 15         # fastpath.lanes
    LETTER_LAST = LETTER_OWN_LAST | LETTER_DOT_LAST
    MIN_TURNED = 2              # fastpath.reference.squeezed


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
    """Say whether the ASCII of a text may hide a word: `reference.squeezed.opens_squeezed`."""
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
            before.alike = before.alike + 1 if before.written == merged.written else 1
            before.own = before.own & ~LETTER_LAST | merged.own & LETTER_LAST
            if before.alike >= MIN_DRAWN:
                before.own |= LETTER_DRAWN
            before.written = merged.written
            before.last = merged.last
            before.end = merged.end
            return
        if before.letter != c"r" or merged.letter != c"n":
            break
        merged.letter = c"m"
        merged.start = merged.last = before.last
        if before.run == 1:
            merged.before = before.before
            merged.edges = (before.edges & LETTER_STARTS) | (merged.edges & LETTER_ENDS)
            s.letter_count -= 1
        else:
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


cdef inline bint goes_on(const Unit* unit, bint imitating) noexcept nogil:
    """Say whether a word goes on in the unit at its side; Latin words have no unspaced letters."""
    return unit.word or (imitating and unit.kind == LOOSE_LETTER)


cdef enum:
    OWN_NONE = 0
    OWN_LETTERS = 1             # units of the folded lane: an l, m or w is one in the text
    OWN_DOTS = 2                # and an i is no capital I


cdef inline uint32_t own_of(uint32_t letter, uint32_t owned) noexcept nogil:
    if owned != OWN_NONE and (letter == c"l" or letter == c"m" or letter == c"w"):
        return LETTER_OWN_FIRST | LETTER_OWN_LAST
    return LETTER_DOT_FIRST | LETTER_DOT_LAST if owned == OWN_DOTS and letter == c"i" else 0


cdef void write_letters(
    Squeezing* s, bint as_latin, bint again, uint32_t owned, const uint8_t* written
) noexcept nogil:
    """Write the letters of all words; or `again` those of words that recall two.

    `owned`: which letters stand for themselves in a word of plain letters, OWN_*; `written`: the
    text, where it has one byte for each unit, else NULL.
    """
    cdef uint32_t index, at, left = 0, number = 0
    cdef bint resolved, apart = True
    cdef const Word* word
    cdef const Unit* unit
    cdef Letter letter
    for index in range(s.word_count):
        word = &s.words[index]
        if again and not (word.twofold and word.imitating):
            apart = True
            continue
        resolved = word.lettered or word.spaced
        for at in range(word.first, word.last):
            unit = &s.units[at]
            s.work += 1
            if not resolved and unit.kind == LOOSE_SIGN:
                continue
            letter.letter = unit.letter if resolved else unit.code_point
            if as_latin and word.imitating and unit.recalled:
                letter.letter = unit.recalled
            letter.run = 1
            letter.before = LETTER_GAP if s.letter_count else 0
            if not apart:
                letter.before = gap_before(s, left, at, word.spaced and word.spaced == number)
            letter.own = 0
            if word.plain and (written == NULL or written[at] != c"I"):
                letter.own = own_of(unit.code_point, owned)
            letter.written = unit.code_point
            letter.alike = 1
            letter.edges = 0
            if at == 0 or not goes_on(unit - 1, as_latin and word.imitating):
                letter.edges |= LETTER_STARTS
            if at + 1 == s.unit_count or not goes_on(unit + 1, as_latin and word.imitating):
                letter.edges |= LETTER_ENDS
            letter.start = letter.last = unit.start
            letter.end = unit.end
            put_letter(s, &letter)
            left = at + 1
            number = word.spaced
            apart = False


cdef uint32_t turned_of(uint32_t code_point) noexcept nogil:
    """Return the letter that a code point is upside down, or 0."""
    cdef uint32_t low = 0, high = TURNED_COUNT, middle
    while low < high:
        middle = (low + high) >> 1
        if turned_entries[middle] >> 8 < code_point:
            low = middle + 1
        else:
            high = middle
    if low < TURNED_COUNT and turned_entries[low] >> 8 == code_point:
        return turned_entries[low] & 0xFF
    return 0


cdef void write_turned(Squeezing* s, uint32_t count) noexcept nogil:
    """Write `count` units from the last one on, if enough of them are plainly upside down."""
    cdef uint32_t i, telling = 0
    cdef bint before = True
    cdef Letter letter
    for i in range(count):
        telling += s.units[i].code_point > 0x7F
    s.work += count
    if telling < MIN_TURNED:
        return
    letter.start = letter.last = s.units[0].start
    letter.end = s.units[count - 1].start + 1
    letter.run = letter.alike = 1
    letter.own = 0
    for i in range(count, 0, -1):
        letter.letter = letter.written = s.units[i - 1].letter
        letter.before = LETTER_GAP if before and s.letter_count else 0
        if before and i < count:
            letter.before |= LETTER_PARTED
        letter.edges = LETTER_STARTS if before else 0
        before = s.units[i - 1].word
        letter.edges |= LETTER_ENDS if before else 0
        put_letter(s, &letter)


cdef void read_turned(Squeezing* s, const uint8_t* text, uint32_t size) noexcept nogil:
    """Write what stands upside down from its end. `word` of a unit: a word starts with it."""
    cdef uint32_t at = 0, source = 0, length, code_point, kind, turned
    cdef uint32_t count = 0, first = 0  # units of the run, and where their last word starts
    cdef bint spoiled = False
    while at < size:
        code_point = decode(text + at, &length)
        at += length
        source += 1
        s.work += 1
        kind = loose_of(code_point) >> 16 & LOOSE_KINDS
        if kind == LOOSE_DETACHED:
            continue
        turned = turned_of(code_point)
        if turned and not spoiled:
            s.units[count].code_point = code_point
            s.units[count].letter = turned
            s.units[count].start = source - 1
            s.units[count].word = count == first
            count += 1
        elif turned or LOOSE_LETTER <= kind <= LOOSE_SIGN:
            write_turned(s, first)
            count = first = 0
            spoiled = True
        else:
            first = count
            spoiled = False
    write_turned(s, count)


cdef void read_otherwise(Squeezing* s, const uint8_t* text, uint32_t size) noexcept nogil:
    """Add the second reading and what is upside down, where a text has letters for them."""
    cdef uint32_t at = 0, length, entry, seen = 0, telling = 0
    while at < size:
        if text[at] < 0x80:
            at += 1
            continue
        entry = loose_of(decode(text + at, &length))
        at += length
        seen |= entry
        telling += entry & LOOSE_TELLING != 0
    s.work += size
    if seen & LOOSE_TWOFOLD:
        read_units_again(s, text, size)
        read_words(s)
        find_spaced_out(s)
        find_imitations(s)
        write_letters(s, True, True, OWN_NONE, NULL)
    if telling >= MIN_TURNED:
        read_turned(s, text, size)


cdef inline size_t aligned(size_t size) noexcept nogil:
    """Return where 16-bit values may stand behind so many bytes."""
    return size + (size & 1)


cdef int squeeze(
    Bump* bump, const Lane* below, const LaneMap* map, bint as_latin, bint otherwise, Squeezing* s
) noexcept nogil:
    """Make the letters of the lane above another one, in scratch behind `room` for the lane."""
    cdef size_t units = max(below.size, below.source_size)
    cdef size_t letters = <size_t> below.size + 2 * <size_t> below.source_size
    cdef size_t room = (3 * letters + 17) & ~<size_t> 15
    cdef uint8_t* data
    cdef uint32_t at
    memset(s, 0, sizeof(Squeezing))
    data = <uint8_t*> bump_reserve(
        bump, room + units * (sizeof(Unit) + sizeof(Word)) + letters * sizeof(Letter)
    )
    if data == NULL:
        return -1
    s.data = data
    s.about = <uint16_t*> (data + aligned(letters))
    s.units = <Unit*> (data + room)
    s.words = <Word*> (s.units + units)
    s.letters = <Letter*> (s.words + units)
    read_units(s, below, map)
    read_words(s)
    find_spaced_out(s)
    find_imitations(s)
    if below.prototypes:
        write_letters(s, as_latin, False, OWN_NONE, NULL)
    elif not otherwise:
        write_letters(s, as_latin, False, OWN_DOTS, NULL)
    elif s.unit_count == below.source_size and is_ascii(below.source, below.source_size):
        write_letters(s, as_latin, False, OWN_DOTS, below.source)
    else:
        write_letters(s, as_latin, False, OWN_LETTERS, NULL)
    if otherwise:
        read_otherwise(s, below.source, below.source_size)
    for at in range(s.letter_count):
        # Two v in a row are a w; more of them are one v drawn out.
        if s.letters[at].letter == c"v" and s.letters[at].run == 2:
            s.letters[at].letter = c"w"
            s.letters[at].run = 1
    return 0


cdef int squeeze_lane(
    Bump* bump, const Lane* below, bint as_latin, bint otherwise, Lane* out
) noexcept nogil:
    cdef Squeezing s
    cdef uint32_t i, j, size = 0, length, bits
    if squeeze(bump, below, NULL, as_latin, otherwise, &s):
        return -1
    for i in range(s.letter_count):
        length = encoded_length(s.letters[i].letter)
        encode(s.letters[i].letter, s.data + size)
        bits = s.letters[i].edges | s.letters[i].own | s.letters[i].run * LETTER_RUN
        for j in range(length):
            s.about[size + j] = <uint16_t> (bits if j else bits | s.letters[i].before)
        size += length
    memset(out, 0, sizeof(Lane))
    memmove(s.data + aligned(size), s.about, size * sizeof(uint16_t))
    bump_commit(bump, aligned(size) + size * sizeof(uint16_t))
    out.data = s.data
    out.letters = <uint16_t*> (s.data + aligned(size))
    out.size = size
    out.below = below
    out.source = below.source
    out.source_size = below.source_size
    out.truncated = below.truncated
    out.work = s.work
    return 0


cdef int squeezed_lane(Bump* bump, const Lane* below, Lane* out) noexcept nogil:
    """Make the squeezed lane of the skeleton or folded lane."""
    return squeeze_lane(bump, below, True, True, out)


cdef int squeezed_pattern(
    Bump* bump, const Lane* below, bint as_latin, Lane* out
) noexcept nogil:
    """Make what a pattern is in the squeezed lane: `reference.squeezed.squeezed_of`."""
    return squeeze_lane(bump, below, as_latin, False, out)


cdef int map_squeezed_lane(Bump* bump, const Lane* lane, LaneMap* out) noexcept nogil:
    """Fold and squeeze the source again, with offsets."""
    cdef LaneMap below
    cdef Squeezing s
    cdef uint32_t i, j, at = 0
    if (
        open_map(bump, lane, out)
        or map_folded_lane(bump, lane.below, &below)
        or squeeze(bump, lane.below, &below, True, True, &s)
    ):
        return -1
    for i in range(s.letter_count):
        for j in range(encoded_length(s.letters[i].letter)):
            (<uint32_t*> out.start)[at] = s.letters[i].start
            (<uint32_t*> out.end)[at] = s.letters[i].end
            at += 1
    return 0


cdef bint opens_squeezed_lane(const Lane* folded) noexcept nogil:
    """Say whether the squeezed lane runs."""
    return folded.opening or ascii_opens(folded.source, folded.source_size)
