"""Lay out the core's fold tables: what one 32-bit trie entry says of a code point.

Entry of a code point:
    bits 0-5    classes (CLASS_* of text.pxd)
    bit  6      may be the second part of a composition although its combining class is 0
    bit  7      folded table: opens the skeleton lane (DISGUISED)
    bits 8-9    kind: 0 itself, 1 removed, 2 whole, 3 sequence
    bits 10-17  itself: its combining class; whole, sequence: length in the pool
    bits 18-30  whole, sequence: offset in the pool
    bit  31     folded table: opens the squeezed lane (OPENING)

A *whole* folds to one starter, pool[offset]. If marks went into it, the `length` items behind are
the starter without them and the marks, needed only if a further non-starter follows. A *sequence*
is `length` items from pool[offset], canonically decomposed. A pool item has the code point in
bits 0-20, its combining class in bits 21-28, bit 29 as bit 6 above, and in bit 30 whether it is a
word character.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastpath.unicode_data.lookalikes import Lookalikes, skeleton_model
from fastpath.unicode_data.sources import CODE_POINTS, UnicodeModel

ALNUM, MARK, DIGIT, CONNECTOR, SPACE, UNSPACED = 1, 2, 4, 8, 16, 32
WORD = ALNUM | MARK | CONNECTOR
COMPOSES = 64
DISGUISED, OPENING = 1 << 7, 1 << 31
KIND_ITSELF, KIND_REMOVED, KIND_WHOLE, KIND_SEQUENCE = 0, 1, 2, 3
# Vowels and trailing consonants join the syllable before them (The Unicode Standard, 3.12).
HANGUL_SECOND = frozenset(range(0x1161, 0x1176)) | frozenset(range(0x11A8, 0x11C3))


@dataclass(frozen=True, slots=True)
class FoldTables:
    """Hold the arrays of the generated header."""

    shift: int  # code points per block = 1 << shift
    blocks: list[int]  # code point >> shift -> block number
    entries: list[int]  # block number << shift | low bits -> entry
    pool: list[int]
    pairs: dict[tuple[int, int], int]  # canonical compositions, Hangul left out


def build_tables(model: UnicodeModel, found: Lookalikes) -> FoldTables:
    """Lay out the tables of the folded lane of one Unicode version."""
    marks = dict.fromkeys(found.disguised, DISGUISED)
    for code_point in found.opening:
        marks[code_point] = marks.get(code_point, 0) | OPENING
    return _Layout(model).build(marks, range(4, 10))


def build_skeleton_tables(model: UnicodeModel, found: Lookalikes, shift: int) -> FoldTables:
    """Lay out the tables of the skeleton lane: the same form, other mappings."""
    return _Layout(skeleton_model(model, found)).build({}, (shift,))


def build_loose_tables(found: Lookalikes, shift: int) -> tuple[list[int], list[int]]:
    """Lay out what the squeezed lane makes of a code point: blocks, entries.

    Entry: bits 0-15 the letter, 0 for the code point itself; bits 16-18 the kind; bits 19-23 the
    place in the alphabet, from 1, of the letter that it recalls; bits 24-28 of the one that it is
    in the second reading; bit 29: these are two; bit 30: it is one that stands upside down.
    """
    entries = []
    for code_point, (kind, letter) in sorted(found.loose.items()):
        own = 0 if letter == code_point else letter
        if own >= 1 << 16:
            raise ValueError(f"U+{code_point:04X}: the letter U+{own:04X} has more than 16 bits")
        first = _place(found.imitations.get(code_point)) << 19
        second = _place(found.second.get(code_point)) << 24
        twofold = (code_point in found.twofold) << 29
        telling = (code_point > 0x7F and code_point in found.turned) << 30
        entries.append(own | kind << 16 | first | second | twofold | telling)
    _, blocks, packed = pack(entries, shift)
    return blocks, packed


def _place(letter: int | None) -> int:
    return 0 if letter is None else letter - ord("a") + 1


class _Layout:
    def __init__(self, model: UnicodeModel) -> None:
        self.model = model
        self.pairs = {
            (target[0], target[1]): code_point
            for code_point, target in model.decompose.items()
            if len(target) == 2 and code_point not in model.excluded
        }
        combining = model.combining
        self.seconds = {second for _, second in self.pairs if second not in combining}
        self.seconds |= HANGUL_SECOND
        self.pool: list[int] = []
        self.offsets: dict[tuple[int, ...], int] = {}

    def build(self, marks: Mapping[int, int], shifts: Iterable[int]) -> FoldTables:
        """Fill the pool, then choose the block size that takes the least memory."""
        entries = [self.entry(cp) | marks.get(cp, 0) for cp in range(CODE_POINTS)]
        if len(self.pool) >= 1 << 13:
            raise ValueError(f"the pool has {len(self.pool)} items, an offset has 13 bits")
        shift, blocks, packed = min(
            (pack(entries, shift) for shift in shifts),
            key=lambda packing: 2 * len(packing[1]) + 4 * len(packing[2]),
        )
        return FoldTables(shift, blocks, packed, self.pool, self.pairs)

    def entry(self, code_point: int) -> int:
        """Return the trie entry of a code point."""
        model = self.model
        classes = self.classes(code_point) | (COMPOSES if code_point in self.seconds else 0)
        fold = model.fold.get(code_point, (code_point,))
        if code_point == 0:
            fold = (0xFFFD,)  # lanes show U+0000 as the replacement character
        if not fold:
            return classes | KIND_REMOVED << 8
        sequence = tuple(part for item in fold for part in self.decomposed(item))
        if sequence == (code_point,):
            return classes | KIND_ITSELF << 8 | model.combining.get(code_point, 0) << 10
        whole = self.composed(sequence)
        if whole is None:
            offset, length, kind = self.place(sequence), len(sequence), KIND_SEQUENCE
        else:
            tail = self.without_marks(sequence)
            offset, length, kind = self.place((whole, *tail)), len(tail), KIND_WHOLE
        return classes | kind << 8 | length << 10 | offset << 18

    def classes(self, code_point: int) -> int:
        """Return the CLASS_* bits of a code point."""
        category = self.model.category.get(code_point, "Cn")
        bits = ALNUM if category[0] in "LN" else MARK if category[0] == "M" else 0
        bits |= DIGIT if category == "Nd" else CONNECTOR if category == "Pc" else 0
        bits |= SPACE if code_point in self.model.space else 0
        return bits | (UNSPACED if code_point in self.model.unspaced else 0)

    def decomposed(self, code_point: int) -> tuple[int, ...]:
        """Return the full canonical decomposition; Hangul syllables stay whole."""
        target = self.model.decompose.get(code_point)
        if target is None:
            return (code_point,)
        return tuple(part for item in target for part in self.decomposed(item))

    def composed(self, sequence: tuple[int, ...]) -> int | None:
        """Return the one starter that a sequence composes to and that cannot join backwards."""
        first, *rest = sequence
        if first in self.model.combining:
            return None
        last_class = 0
        for code_point in rest:
            combining = self.model.combining.get(code_point, 0)
            joined = self.pairs.get((first, code_point))
            if joined is None or 0 < combining < last_class:
                return None
            first, last_class = joined, combining
        return None if sequence[0] in self.seconds else first

    def without_marks(self, sequence: tuple[int, ...]) -> tuple[int, ...]:
        """Split a composable sequence into its starter and the marks behind; () without marks."""
        marks = len(sequence)
        while sequence[marks - 1] in self.model.combining:
            marks -= 1
        base = self.composed(sequence[:marks])
        if base is None or marks == len(sequence):
            return ()
        return (base, *sequence[marks:])

    def place(self, sequence: tuple[int, ...]) -> int:
        """Put a sequence into the pool once and return its offset."""
        if sequence not in self.offsets:
            self.offsets[sequence] = len(self.pool)
            self.pool.extend(self.item(code_point) for code_point in sequence)
        return self.offsets[sequence]

    def item(self, code_point: int) -> int:
        """Return the pool item of a code point."""
        combining = self.model.combining.get(code_point, 0)
        composes = 1 << 29 if code_point in self.seconds else 0
        classes = self.classes(code_point)
        word = 1 << 30 if classes & WORD and not classes & UNSPACED else 0
        return code_point | combining << 21 | composes | word


def pack(entries: list[int], shift: int) -> tuple[int, list[int], list[int]]:
    """Split entries into blocks of 1 << shift and keep each distinct block once.

    Return shift, the block number of each block of code points, and the entries of the blocks.
    """
    size = 1 << shift
    numbers: dict[tuple[int, ...], int] = {}
    blocks: list[int] = []
    packed: list[int] = []
    for start in range(0, CODE_POINTS, size):
        block = tuple(entries[start : start + size])
        if block not in numbers:
            numbers[block] = len(numbers)
            packed.extend(block)
        blocks.append(numbers[block])
    return shift, blocks, packed
