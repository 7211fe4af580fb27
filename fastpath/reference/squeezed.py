"""Define the squeezed lane: what stays of a text when disguise is taken off.

It is made from the skeleton lane, or from the folded one where that did not run. It holds letters
alone: separators inside words and spaced-out words go, letters in a row become one, digits and
signs beside letters become what they stand for, look-alikes one letter of their group, letters
lose detachable marks. What went is kept beside each letter (`LETTER_*`), so that a match can ask
for the runs and gaps of its pattern.

Behind everything else follow, made from the text itself, the words that can be read another way;
then what is written upside down, read from its end. No match goes from one of these to the next,
since they do not stand in the text one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastpath.lanes import (
    LETTER_DOT_FIRST,
    LETTER_DOT_LAST,
    LETTER_DRAWN,
    LETTER_ENDS,
    LETTER_GAP,
    LETTER_OWN_FIRST,
    LETTER_OWN_LAST,
    LETTER_PARTED,
    LETTER_RUN,
    LETTER_SELF,
    LETTER_STARTS,
    MAX_INNER_GAP,
    MAX_LETTER_RUN,
    MIN_SPACED_OUT,
    LaneView,
    LetterView,
)
from fastpath.reference.loose_words import (
    DETACHED,
    LETTERS,
    SIGNS,
    WRITTEN,
    Unit,
    Word,
    chosen_again,
    imitations,
    spaced_out,
    units_again,
    units_of,
    words_of,
)
from fastpath.reference.skeleton import opens_skeleton, skeleton_of, spans_skeleton
from fastpath.reference.text import SPACES, members, read_targets, spans_folded, view_folded
from fastpath.unicode_data import lookalike_tables as tables

OPENING = frozenset(members(tables.OPENING))
OWN = frozenset(map(ord, "lmw"))  # other letters are read as these, or these as others
DOTTED = ord("i")
MIN_DRAWN = 3  # letters in a row that no word has
MIN_TURNED = 2  # letters upside down in a text that is read so; others look the same
APOSTROPHES = ("'", "\u2019")
_TURNED = {source: target[0] for source, target in read_targets(tables.TURNED).items()}
_ASCII_SPACES = frozenset(map(chr, SPACES & set(range(128))))


def opens_squeezed(text: str) -> bool:
    """Say whether a text may hold a word in a disguise that the squeezed lane sees through.

    True for any code point that opens it (look-alikes, marks, letters beyond ASCII of scripts
    with spaces). Within ASCII letters and digits, the rest being separators: a letter beside a
    digit; separators without white space between two of them, but a single apostrophe (' or
    U+2019); `$` before or after a letter; three equal letters or two pairs of equal letters in a
    row; three words of one character in a row; `vv`, `rn`; a capital I behind a small letter.
    """
    if any(ord(character) in OPENING for character in text):
        return True
    before = ""  # the character before, if it is a letter or digit
    run = last_run = 0  # equal letters in a row that end here, and the run before them
    size = singles = 0  # length of the word so far; words of one character in a row before it
    gap = ""  # since the last letter or digit; "" at the beginning of the text
    seen = False  # a letter or digit stood before the gap
    for character in text:
        if not (character.isascii() and character.isalnum()):
            if size:
                singles = singles + 1 if size == 1 else 0
                if singles == MIN_SPACED_OUT:
                    return True
            if character == "$" and before.isalpha():
                return True
            seen = seen or size > 0
            gap += character
            before, size, run, last_run = "", 0, 0, 0
            continue
        if size == 0:
            if gap.endswith("$") and character.isalpha():
                return True
            if seen and gap not in APOSTROPHES and not any(each in _ASCII_SPACES for each in gap):
                return True
            gap = ""
        lower = character.lower()
        if before:
            if before.isdigit() != character.isdigit():
                return True
            if before.lower() + lower in ("vv", "rn") or (character == "I" and before.islower()):
                return True
        if character.isalpha() and before.lower() == lower:
            run += 1
            if run == 3 or (run == 2 and last_run == 2):
                return True
        else:
            last_run, run = run, 1
        before = character
        size += 1
    return singles + (size == 1) >= MIN_SPACED_OUT


# The lane.


class _Letter(NamedTuple):
    """Hold a letter of the squeezed lane."""

    letter: int
    run: int
    gap: bool
    parted: bool
    starts: bool
    ends: bool
    own: bool  # the first of its run stands for itself alone
    last_own: bool
    dot: bool  # the same of an i
    last_dot: bool
    drawn: bool  # three of its run in a row are written alike
    written: int  # the last of its run as it is written, and how many before it are so
    alike: int
    start: int  # code points of the text, [start, end)
    last: int  # where the last of its run starts
    end: int


class _Squeezing:
    """Write the letters of a lane one after the other."""

    def __init__(self) -> None:
        self.letters: list[_Letter] = []

    def put(self, added: _Letter) -> None:
        """Append a letter, joined with the one before where they are one."""
        if not self.letters or added.gap:
            self.letters.append(added)
            return
        before = self.letters[-1]
        if before.letter == ord("r") and added.letter == ord("n"):
            self._merge(added)
        elif before.letter == added.letter:
            alike = before.alike + 1 if before.written == added.written else 1
            self.letters[-1] = added._replace(
                run=min(before.run + added.run, MAX_LETTER_RUN),
                gap=before.gap,
                parted=before.parted,
                starts=before.starts,
                own=before.own,
                dot=before.dot,
                drawn=before.drawn or alike >= MIN_DRAWN,
                alike=alike,
                start=before.start,
            )
        else:
            self.letters.append(added)

    def _merge(self, added: _Letter) -> None:
        """Put an m in place of the last r of the run before and the added n."""
        before = self.letters.pop()
        merged = added._replace(letter=ord("m"), start=before.last, last=before.last)
        if before.run == 1:
            self.put(merged._replace(gap=before.gap, parted=before.parted, starts=before.starts))
        else:
            self.letters.append(before._replace(run=before.run - 1))
            self.put(merged._replace(parted=False, starts=False))


def _goes_on(units: list[Unit], at: int, imitating: bool) -> bool:
    """Say whether a word goes on in the unit at its side; Latin words have no unspaced letters."""
    if not 0 <= at < len(units):
        return False
    return units[at].word or (imitating and units[at].code_point in LETTERS)


def _write(
    out: _Squeezing,
    units: list[Unit],
    words: list[Word],
    numbers: list[int],
    imitating: list[bool],
    chosen: list[bool],
    *,
    folded: bool,
    written: str,
) -> None:
    """Write the letters of the chosen words; `imitating` ones in those that they recall.

    `folded`: the units are those of the folded lane, where an l or m is one in the text.
    `written`: the character of each unit as it stands there, if an i may be told from an I.
    """
    left = 0  # separators begin at this unit
    last_number, apart = 0, True
    for index, held in enumerate(words):
        if not chosen[index]:
            apart = True
            continue
        resolved = held.lettered or numbers[index] > 0
        for at in range(held.first, held.last):
            unit = units[at]
            if not resolved and unit.code_point in SIGNS:
                continue
            between = units[left:at]
            spaced = numbers[index] > 0 and numbers[index] == last_number
            wide = len(between) > MAX_INNER_GAP or any(u.code_point in SPACES for u in between)
            letter = unit.letter if resolved else unit.code_point
            recalled = unit.recalled if imitating[index] else None
            own = folded and held.plain and unit.code_point in OWN
            dot = folded and held.plain and unit.code_point == DOTTED and written != ""
            dot = dot and written[at] == "i"
            out.put(
                _Letter(
                    letter if recalled is None else recalled,
                    1,
                    (apart or (wide and not spaced)) and bool(out.letters),
                    bool(between) and not apart,
                    not _goes_on(units, at - 1, imitating[index]),
                    not _goes_on(units, at + 1, imitating[index]),
                    own,
                    own,
                    dot,
                    dot,
                    False,
                    unit.code_point,
                    1,
                    unit.start,
                    unit.start,
                    unit.end,
                )
            )
            left = at + 1
            last_number, apart = numbers[index], False


def _read(
    out: _Squeezing,
    units: list[Unit],
    *,
    folded: bool = False,
    written: str = "",
    as_latin: bool = True,
    again: bool = False,
) -> None:
    """Write the words of some units: all of them, or `again` those with another reading."""
    words = words_of(units)
    numbers = spaced_out(words)
    imitating = [as_latin and each for each in imitations(units, words, numbers)]
    chosen = chosen_again(units, words, numbers, imitating) if again else [True] * len(words)
    _write(out, units, words, numbers, imitating, chosen, folded=folded, written=written)


class _Turned(NamedTuple):
    """Hold a letter of a text that may stand upside down."""

    at: int
    letter: int
    telling: bool  # it looks so in no other way
    starts: bool  # a word, for who reads from the left


def _turned_runs(text: str) -> list[list[_Turned]]:
    """Return the words one after the other that can be read upside down, and in part only so."""
    runs: list[list[_Turned]] = [[]]
    word: list[_Turned] = []
    spoiled = False
    for at, character in enumerate(text + " "):
        code_point = ord(character)
        if code_point in DETACHED:
            continue
        letter = _TURNED.get(code_point)
        if letter is not None and not spoiled:
            word.append(_Turned(at, letter, code_point > 0x7F, not word))
        elif letter is not None or code_point in WRITTEN:
            word, spoiled = [], True
            runs.append([])
        else:
            runs[-1] += word
            word, spoiled = [], False
    return [run for run in runs if sum(each.telling for each in run) >= MIN_TURNED]


def _read_turned(out: _Squeezing, text: str) -> None:
    """Write what stands upside down from its end; each letter stands for the whole of it."""
    for run in _turned_runs(text):
        before = True  # a word ends before this letter
        for each in reversed(run):
            gap = before and bool(out.letters)
            parted = gap and each is not run[-1]
            span = (run[0].at, run[0].at, run[-1].at + 1)
            about = (False, False, False, False, False, each.letter, 1)
            out.put(_Letter(each.letter, 1, gap, parted, before, each.starts, *about, *span))
            before = each.starts


def _paired(held: _Letter) -> _Letter:
    """Read two v in a row as w; more of them are one v drawn out."""
    if held.letter == ord("v") and held.run == 2:
        return held._replace(letter=ord("w"), run=1)
    return held


def _lettered(letters: list[_Letter]) -> tuple[bytes, tuple[int, ...]]:
    data, about = bytearray(), list[int]()
    for each in letters:
        encoded = chr(each.letter).encode()
        bits = LETTER_STARTS * each.starts + LETTER_ENDS * each.ends + LETTER_RUN * each.run
        bits += LETTER_OWN_FIRST * each.own + LETTER_OWN_LAST * each.last_own
        bits += LETTER_DOT_FIRST * each.dot + LETTER_DOT_LAST * each.last_dot
        bits += LETTER_DRAWN * each.drawn
        before = LETTER_GAP * each.gap + LETTER_PARTED * each.parted
        data += encoded
        about += [bits + before] + [bits] * (len(encoded) - 1)
    return bytes(data), tuple(about)


def squeezed_of(view: LaneView, *, folded: bool, as_latin: bool) -> LetterView:
    """Return what the squeezed lane makes of another lane, by which patterns are indexed.

    `folded`: that is the folded lane; else it is the skeleton, where m is rn. `as_latin` says
    whether letters that recall Latin ones are read so in words of such letters.
    """
    out = _Squeezing()
    units = units_of(view, ((0, 0),) * len(view.data))
    written = "".join(chr(unit.code_point) for unit in units)
    _read(out, units, folded=folded, written=written, as_latin=as_latin)
    return LetterView(*_lettered([_paired(each) for each in out.letters]), view.truncated)


def _squeezed(text: str) -> list[_Letter]:
    """Return the letters of a text in all its readings."""
    out = _Squeezing()
    if opens_squeezed(text):
        if opens_skeleton(text):
            _read(out, units_of(skeleton_of(text), spans_skeleton(text)))
        else:
            units = units_of(view_folded(text), spans_folded(text))
            written = text if text.isascii() and len(text) == len(units) else ""
            _read(out, units, folded=True, written=written)
        _read(out, units_again(text), again=True)
        _read_turned(out, text)
    return [_paired(each) for each in out.letters]


def view_squeezed(text: str) -> LetterView:
    """Return the squeezed lane of a text; empty where it does not run."""
    below = skeleton_of(text) if opens_skeleton(text) else view_folded(text)
    return LetterView(*_lettered(_squeezed(text)), opens_squeezed(text) and below.truncated)


def spans_squeezed(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the squeezed lane the source code points [start, end) of its letter."""
    spans: list[tuple[int, int]] = []
    for each in _squeezed(text):
        spans += [(each.start, each.end)] * len(chr(each.letter).encode())
    return tuple(spans)


def fits(found: Sequence[int], wanted: Sequence[int], letters: bytes) -> bool:
    """Say whether the letters of a text are those of a pattern: edges, gaps and runs.

    `found` and `wanted` are the LETTER_* bytes of both, `letters` the bytes they share. A gap
    between words must stand in the pattern too, and where one stands there some separator must.
    What stands for itself alone does so in the pattern. A run is as long as in the pattern, or
    longer and drawn out, more than any word has it; or every letter is doubled.
    """
    fitting = doubled = True
    for at, (has, asks) in enumerate(zip(found, wanted, strict=True)):
        if at and has & LETTER_GAP and not asks & LETTER_GAP:
            return False
        if asks & LETTER_GAP and not has & LETTER_PARTED:
            return False
        if has & ~asks & LETTER_SELF:
            return False
        run, least = has // LETTER_RUN, asks // LETTER_RUN
        drawn = has & LETTER_DRAWN if letters[at] == ord("i") else run >= MIN_DRAWN
        fitting = fitting and (run == least or (run > least and bool(drawn)))
        doubled = doubled and run >= max(least, 2)
    return fitting or doubled
