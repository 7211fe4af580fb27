"""Define the lanes of a text: raw, folded, and the normalised form for fingerprints.

The folded lane is NFKC_Casefold (The Unicode Standard 15.0, section 3.13, R5; NFC by UAX #15) of
the text with U+0000 shown as U+FFFD, except that of more than 30 non-starters in a row (counted
after decomposition, the Stream-Safe limit of UAX #15) the rest are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple, TypeAlias

from fastpath.lanes import MAX_LANE_BYTES, LaneView, NormalisedText
from fastpath.spec import MAX_MARKS
from fastpath.unicode_data import tables

UNICODE_VERSION = tables.VERSION


def members(words: str) -> Iterator[int]:
    """Yield the code points of words `first[-last]`."""
    for word in words.split():
        first, _, last = word.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


LETTERS = frozenset(members(tables.LETTERS))
MARKS = frozenset(members(tables.MARKS))
NUMBERS = frozenset(members(tables.NUMBERS))
DIGITS = frozenset(members(tables.DIGITS))
CONNECTORS = frozenset(members(tables.CONNECTORS))
SPACES = frozenset(members(tables.SPACES))
UNSPACED = frozenset(members(tables.UNSPACED))
WORD = LETTERS | MARKS | NUMBERS | CONNECTORS

_HANGUL = range(0xAC00, 0xAC00 + 11172)
_LEADS = range(0x1100, 0x1113)
_VOWELS = range(0x1161, 0x1176)
_TAILS = range(0x11A8, 0x11C3)


def _read_combining() -> dict[int, int]:
    combining = {}
    for word in tables.COMBINING.split():
        span, _, value = word.partition(":")
        combining.update(dict.fromkeys(members(span), int(value, 16)))
    return combining


def read_targets(words: str) -> dict[int, tuple[int, ...]]:
    """Read words `source:target,...`."""
    targets = {}
    for word in words.split():
        source, _, target = word.partition(":")
        targets[int(source, 16)] = tuple(int(part, 16) for part in target.split(","))
    return targets


def _read_folds() -> dict[int, tuple[int, ...]]:
    folds: dict[int, tuple[int, ...]] = dict.fromkeys(members(tables.FOLD_REMOVED), ())
    for word in tables.FOLD_RUNS.split():
        span, _, target = word.partition(":")
        ends, _, step = span.partition("/")
        first, last = (int(end, 16) for end in ends.split("-"))
        for source in range(first, last + 1, int(step)):
            folds[source] = (int(target, 16) + source - first,)
    folds.update(read_targets(tables.FOLD_LONG))
    folds[0] = (0xFFFD,)
    return folds


COMBINING = _read_combining()
FOLDS = _read_folds()
DECOMPOSE = read_targets(tables.DECOMPOSE)
_NEVER_COMPOSED = frozenset(members(tables.NEVER_COMPOSED))
COMPOSE = {
    target: source
    for source, target in DECOMPOSE.items()
    if len(target) == 2 and source not in _NEVER_COMPOSED
}


Mapping: TypeAlias = Callable[[int], tuple[int, ...]]


class _Item(NamedTuple):
    """Hold a decomposed code point and the index of the source code point it came from."""

    code_point: int
    source: int


class _Cluster(NamedTuple):
    """Hold a starter with what was put after it, and its source [start, end)."""

    code_points: list[int]
    start: int
    end: int


def decompose(code_point: int) -> Iterator[int]:
    """Yield the full canonical decomposition of a code point."""
    if code_point in _HANGUL:
        lead, rest = divmod(code_point - 0xAC00, 588)
        vowel, tail = divmod(rest, 28)
        yield 0x1100 + lead
        yield 0x1161 + vowel
        if tail:
            yield 0x11A7 + tail
    elif code_point in DECOMPOSE:
        for part in DECOMPOSE[code_point]:
            yield from decompose(part)
    else:
        yield code_point


def compose(first: int, second: int) -> int | None:
    """Return the canonical composition of two code points, if there is one."""
    if first in _LEADS and second in _VOWELS:
        return 0xAC00 + (first - 0x1100) * 588 + (second - 0x1161) * 28
    if first in _HANGUL and (first - 0xAC00) % 28 == 0 and second in _TAILS:
        return first + second - 0x11A7
    return COMPOSE.get((first, second))


@cache
def fold_code_point(code_point: int) -> tuple[int, ...]:
    """Return NFKC_Casefold of one code point, canonically decomposed."""
    folded = FOLDS.get(code_point, (code_point,))
    return tuple(part for target in folded for part in decompose(target))


def _capped(text: str, mapped: Mapping) -> tuple[list[_Item], int]:
    """Return the mapped and decomposed text without marks beyond the cap, and their number."""
    items: list[_Item] = []
    dropped = run = 0
    for source, character in enumerate(text):
        for code_point in mapped(ord(character)):
            run = run + 1 if code_point in COMBINING else 0
            if run > MAX_MARKS:
                dropped += 1
            else:
                items.append(_Item(code_point, source))
    return items, dropped


def _reordered(items: list[_Item]) -> list[_Item]:
    """Put each run of non-starters in canonical order."""
    ordered: list[_Item] = []
    marks: list[_Item] = []
    for item in items:
        if item.code_point in COMBINING:
            marks.append(item)
        else:
            ordered += sorted(marks, key=lambda mark: COMBINING[mark.code_point])
            ordered.append(item)
            marks = []
    return ordered + sorted(marks, key=lambda mark: COMBINING[mark.code_point])


def _clusters(items: list[_Item]) -> list[_Cluster]:
    """Compose (UAX #15, section 1.3) and group what each remaining starter holds."""
    clusters: list[_Cluster] = []
    for code_point, source in items:
        combining = COMBINING.get(code_point, 0)
        if not clusters:
            clusters.append(_Cluster([code_point], source, source + 1))
            continue
        held, start, end = clusters[-1]
        grown = (min(start, source), max(end, source + 1))
        blocked = len(held) > 1 and COMBINING.get(held[-1], 0) >= combining
        joined = None if blocked or held[0] in COMBINING else compose(held[0], code_point)
        if joined is not None:
            clusters[-1] = _Cluster([joined, *held[1:]], *grown)
        elif combining:
            clusters[-1] = _Cluster([*held, code_point], *grown)
        else:
            clusters.append(_Cluster([code_point], source, source + 1))
    return clusters


def fold_text(text: str) -> str:
    """Return the folded lane of a text as a string, cut at the output budget."""
    return view_folded(text).data.decode()


def view_folded(text: str) -> LaneView:
    """Return the folded lane of a text."""
    return view_mapped(text, fold_code_point)


def view_mapped(text: str, mapped: Mapping) -> LaneView:
    """Return the lane of a text whose code points are mapped and decomposed by `mapped`."""
    items, dropped = _capped(text, mapped)
    clusters = _clusters(_reordered(items))
    return _view([code_point for cluster in clusters for code_point in cluster[0]], dropped)


def view_raw(text: str) -> LaneView:
    """Return the raw lane of a text: the text itself, U+0000 shown as U+FFFD."""
    return _view([ord(character) or 0xFFFD for character in text], 0)


def spans_folded(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the folded lane the source code points [start, end) of its cluster."""
    return spans_mapped(text, fold_code_point)


def spans_mapped(text: str, mapped: Mapping) -> tuple[tuple[int, int], ...]:
    """Return per byte of a mapped lane the source code points [start, end) of its cluster."""
    spans: list[tuple[int, int]] = []
    for code_points, start, end in _clusters(_reordered(_capped(text, mapped)[0])):
        for code_point in code_points:
            size = len(chr(code_point).encode())
            if len(spans) + size > MAX_LANE_BYTES:
                return tuple(spans)
            spans += [(start, end)] * size
    return tuple(spans)


def spans_raw(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the raw lane the source code point [start, end) it belongs to."""
    spans: list[tuple[int, int]] = []
    for index, character in enumerate(text):
        size = len(chr(ord(character) or 0xFFFD).encode())
        if len(spans) + size > MAX_LANE_BYTES:
            break
        spans += [(index, index + 1)] * size
    return tuple(spans)


def is_word(code_point: int) -> bool:
    """Say whether a code point continues a word.

    Those of scripts written without spaces do not, as in UAX #29 (Version 15.0): a word of another
    script that stands among them is one by itself.
    """
    return code_point in WORD and code_point not in UNSPACED


def _view(code_points: list[int], dropped: int) -> LaneView:
    data, word = bytearray(), bytearray()
    truncated = False
    for code_point in code_points:
        encoded = chr(code_point).encode()
        if len(data) + len(encoded) > MAX_LANE_BYTES:
            truncated = True
            break
        data += encoded
        word += bytes([is_word(code_point)]) * len(encoded)
    return LaneView(bytes(data), bytes(word), dropped, truncated)


def trim_text(text: str) -> str:
    """Return a text without leading and trailing white space (property White_Space)."""
    start, end = 0, len(text)
    while start < end and ord(text[start]) in SPACES:
        start += 1
    while end > start and ord(text[end - 1]) in SPACES:
        end -= 1
    return text[start:end]


def normalised_text(text: str) -> NormalisedText:
    """Return the normalised form of a text, from its folded lane.

    From left to right: `http://`, `https://` or `www.` up to white space becomes 0x01, `@` with
    the word characters after it 0x02, a run of decimal digits `0`; of the rest letters, marks and
    numbers stay.
    """
    lane = fold_text(text)
    out: list[str] = []
    content = False
    index = 0
    while index < len(lane):
        start = index
        index += 1
        code_point = ord(lane[start])
        if lane.startswith(("http://", "https://", "www."), start):
            while index < len(lane) and ord(lane[index]) not in SPACES:
                index += 1
            out.append("\x01")
        elif lane[start] == "@" and index < len(lane) and ord(lane[index]) in WORD:
            while index < len(lane) and ord(lane[index]) in WORD:
                index += 1
            out.append("\x02")
        elif code_point in DIGITS:
            while index < len(lane) and ord(lane[index]) in DIGITS:
                index += 1
            out.append("0")
        elif code_point in LETTERS or code_point in NUMBERS:
            out.append(lane[start])
            content = True
        elif code_point in MARKS:
            out.append(lane[start])
    return NormalisedText("".join(out).encode(), content)
