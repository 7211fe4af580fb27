"""Define the words of a text for the squeezed lane: disguise and all, and how they are read.

A word of which every letter is Latin or recalls Latin is read as Latin. Some letters recall two:
those of the words that hold one are read the other way in a second reading.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from fastpath.lanes import MAX_INNER_GAP, MIN_SPACED_OUT, LaneView
from fastpath.reference.text import is_word, members, read_targets
from fastpath.unicode_data import lookalike_tables as tables

LETTERS = frozenset(members(tables.LOOSE_LETTERS))
DETACHED = frozenset(members(tables.LOOSE_DETACHED))
SIGNS = frozenset(members(tables.LOOSE_SIGNS))
_DIGITS = frozenset(members(tables.LOOSE_DIGITS))
WRITTEN = LETTERS | _DIGITS | SIGNS  # what words are written with
_LOOSE = {source: target[0] for source, target in read_targets(tables.LOOSE).items()}
_RECALLED = {source: target[0] for source, target in read_targets(tables.IMITATIONS).items()}
_SECOND = {source: target[0] for source, target in read_targets(tables.SECOND).items()}
_TWOFOLD = frozenset(members(tables.TWOFOLD))


class Unit(NamedTuple):
    """Hold a code point of a lane, or of the text, with the detached marks behind it."""

    code_point: int
    letter: int  # what it is in a word
    recalled: int | None  # what it is in a word of Latin letters, a-z
    twofold: bool  # that is the second letter which it recalls
    word: bool  # a word character
    start: int  # code points of the text, [start, end)
    end: int

    def is_written(self) -> bool:
        """Say whether it can belong to a word."""
        return self.code_point in LETTERS or self.is_doubtful()

    def is_doubtful(self) -> bool:
        """Say whether it stands for a letter only beside letters."""
        return self.code_point in _DIGITS or self.code_point in SIGNS


class Word(NamedTuple):
    """Hold units [first, last) that stand without separators between them."""

    first: int
    last: int
    lettered: bool  # one of them is a letter by itself
    single: bool  # all are the same letter
    plain: bool  # all are Latin letters a-z


Places: TypeAlias = tuple[tuple[int, int], ...]  # per byte of a lane: code points [start, end)


def units_of(view: LaneView, places: Places) -> list[Unit]:
    """Take the code points of a lane, marks that come off with what they stand on."""
    units: list[Unit] = []
    at = 0
    for character in view.data.decode():
        code_point, size = ord(character), len(character.encode())
        start, end = places[at][0], places[at + size - 1][1]
        if code_point not in DETACHED:
            letter = _LOOSE.get(code_point, code_point)
            recalled = _RECALLED.get(code_point, _RECALLED.get(letter, _latin(letter)))
            word = bool(view.word[at])
            units.append(Unit(code_point, letter, recalled, False, word, start, end))
        elif units:
            units[-1] = units[-1]._replace(end=end)
        at += size
    return units


def units_again(text: str) -> list[Unit]:
    """Take the code points of a text by what they recall in the second reading."""
    units: list[Unit] = []
    for at, character in enumerate(text):
        code_point = ord(character)
        if code_point not in DETACHED:
            letter = _LOOSE.get(code_point, code_point)
            second, twofold = _SECOND.get(code_point), code_point in _TWOFOLD
            word = is_word(code_point)
            units.append(Unit(code_point, letter, second, twofold, word, at, at + 1))
        elif units:
            units[-1] = units[-1]._replace(end=at + 1)
    return units


def _latin(letter: int) -> int | None:
    return letter if ord("a") <= letter <= ord("z") else None


def words_of(units: list[Unit]) -> list[Word]:
    """Return what is written without a separator; `!` behind a word is one."""
    words: list[Word] = []
    first = 0
    while first < len(units):
        last = first
        while last < len(units) and units[last].is_written():
            last += 1
        end = last
        while last > first and chr(units[last - 1].code_point) == "!":
            last -= 1  # behind a word it ends a sentence
        if last > first:
            inside = units[first:last]
            lettered = any(unit.code_point in LETTERS for unit in inside)
            single = len({unit.letter for unit in inside}) == 1
            plain = all(_latin(unit.code_point) for unit in inside)
            words.append(Word(first, last, lettered, single, plain))
        first = end + 1
    return words


def spaced_out(words: list[Word]) -> list[int]:
    """Return per word the number of the spaced-out word it belongs to, 0 for none."""
    numbers = [0] * len(words)
    first = 0
    while first < len(words):
        last = first + 1
        if words[first].single:
            while (
                last < len(words)
                and words[last].single
                and words[last].first - words[last - 1].last <= MAX_INNER_GAP
            ):
                last += 1
            if last - first >= MIN_SPACED_OUT and any(w.lettered for w in words[first:last]):
                numbers[first:last] = [first + 1] * (last - first)
        first = last
    return numbers


def imitations(units: list[Unit], words: list[Word], numbers: list[int]) -> list[bool]:
    """Say per word, or spaced-out word, whether all its letters are Latin or recall Latin ones."""
    read: list[bool] = []
    while len(read) < len(words):
        first = last = len(read)
        while last < len(words) and (last == first or 0 < numbers[last] == numbers[first]):
            last += 1
        inside = [unit for word in words[first:last] for unit in units[word.first : word.last]]
        letters = [unit for unit in inside if unit.code_point in LETTERS]
        imitating = bool(letters) and all(unit.recalled is not None for unit in letters)
        read += [imitating] * (last - first)
    return read


def chosen_again(
    units: list[Unit], words: list[Word], numbers: list[int], imitating: list[bool]
) -> list[bool]:
    """Say per word whether the second reading makes another word of it."""
    twofold = [any(unit.twofold for unit in units[word.first : word.last]) for word in words]
    spaced_out = {number for number, each in zip(numbers, twofold, strict=True) if each and number}
    return [
        latin and (each or number in spaced_out)
        for latin, each, number in zip(imitating, twofold, numbers, strict=True)
    ]
