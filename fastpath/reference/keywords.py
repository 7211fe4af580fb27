"""Define what keyword lists find in a text: every occurrence, exceptions, overlaps, caps, notes.

An occurrence is where the bytes of a key stand in a lane with the boundaries that its list asks
for. What a list reports of its occurrences follows from its exceptions and from `report`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fastpath import lanes as limits
from fastpath.errors import BuildError
from fastpath.lanes import (
    LETTER_ENDS,
    LETTER_STARTS,
    VISITS_FIXED,
    VISITS_PER_BYTE,
    PatternNote,
    Remark,
    TextMatches,
)
from fastpath.reference.patterns import (
    SQUEEZED,
    Key,
    check_list,
    make_keys,
    pattern_lanes,
    spaced,
    tested_ends,
)
from fastpath.reference.skeleton import spans_skeleton, view_skeleton
from fastpath.reference.squeezed import fits, spans_squeezed, view_squeezed
from fastpath.reference.text import is_word, spans_folded, spans_raw, view_folded, view_raw
from fastpath.spec import LANES, MAX_ROWS, KeywordList, Match

_VIEWS = (view_raw, view_folded, view_skeleton)
_SPANS = (spans_raw, spans_folded, spans_skeleton, spans_squeezed)


class _Pattern(NamedTuple):
    """Hold one pattern or exception of one list in one lane, in the order of visits."""

    list: int
    lane: int
    exception: bool
    number: int  # among the list's patterns or exceptions
    test_start: bool  # must not follow a word character
    test_end: bool  # must not precede one
    asks: tuple[int, ...]  # squeezed: LETTER_* per byte of the pattern; else empty


class _Lane(NamedTuple):
    """Hold one lane of a text while it is scanned."""

    data: bytes
    word: bytes
    letters: tuple[int, ...]  # squeezed alone
    places: tuple[tuple[int, int], ...]  # lane bytes per byte scanned
    truncated: bool


class _Occurrence(NamedTuple):
    """Hold where a pattern stands: bytes [start, end) of what was scanned."""

    start: int
    end: int
    pattern: _Pattern


class _Row(NamedTuple):
    """Hold the first place of a pattern, lane bytes [start, end), and how often it was met."""

    pattern: _Pattern
    start: int
    end: int
    times: int


class Keywords:
    """Find the patterns of keyword lists in texts; see `fastpath.keywords.Keywords`."""

    def __init__(self, lists: Sequence[KeywordList]) -> None:
        self.lists = tuple(lists)
        self.patterns: list[dict[bytes, list[_Pattern]]] = [{} for _ in LANES]
        for held in self.lists:
            check_list(held)
        total = sum(len(_entries(held, lane)) for held in self.lists for lane in range(len(LANES)))
        if total > limits.MAX_PATTERNS:
            raise BuildError("patterns times lanes", limits.MAX_PATTERNS, total)
        entries = [
            entry
            for index, held in enumerate(self.lists)
            for lane in range(len(LANES))
            for exception, number in _entries(held, lane)
            for entry in self._add(index, lane, exception, number)
        ]
        # Lengths of the patterns by their last byte, longest first: what may end at a byte.
        self._lengths: list[dict[int, list[int]]] = []
        for keys in self.patterns:
            by_last: defaultdict[int, set[int]] = defaultdict(set)
            for key in keys:
                by_last[key[-1]].add(len(key))
            self._lengths.append({last: sorted(by_last[last])[::-1] for last in by_last})
        self.notes = tuple(
            PatternNote(
                self.lists[pattern.list].name,
                self._written(pattern),
                LANES[pattern.lane],
                remark,
            )
            for pattern, key, added in entries
            for remark in self._remarks(pattern, key, added)
        )

    def _written(self, pattern: _Pattern) -> str:
        held = self.lists[pattern.list]
        return (held.exceptions if pattern.exception else held.patterns)[pattern.number]

    def _add(
        self, list_index: int, lane: int, exception: bool, number: int
    ) -> Iterator[tuple[_Pattern, Key, bool]]:
        """Index a pattern; yield it with its first key, and whether it has a key of its own."""
        held = self.lists[list_index]
        written = (held.exceptions if exception else held.patterns)[number]
        keys = make_keys(written, lane, held)
        patterns = [
            _Pattern(list_index, lane, exception, number, *tested_ends(key, lane, held), key.asks)
            for key in keys
        ]
        added = False
        for key, pattern in zip(keys, patterns, strict=True):
            sharing = self.patterns[lane].setdefault(key.data, [])
            if all(each[:3] + each[6:] != pattern[:3] + pattern[6:] for each in sharing):
                added = True
                sharing.append(pattern)
                sharing.sort(key=lambda each: (not each.test_start, each.asks, each[:4]))
        yield patterns[0], keys[0], added

    def _remarks(self, pattern: _Pattern, key: Key, added: bool) -> Iterator[Remark]:
        """Yield what the author of a list should know about an entry."""
        held = self.lists[pattern.list]
        if not added:
            yield "duplicate"
            return
        if held.boundary != "none" and not pattern.test_start and not pattern.exception:
            yield "unbounded_start"
        if held.boundary == "word" and not pattern.test_end and not pattern.exception:
            yield "unbounded_end"
        if pattern.lane == SQUEEZED:
            return
        word = bytes(
            is_word(ord(character)) for character in key.data.decode() for _ in character.encode()
        )
        view = _Lane(key.data, word, (), (), False)
        inside = {
            (each.pattern.exception, each.end - each.start == len(key.data))
            for each in self._occurrences(view, pattern.lane)[0]
            if each.pattern.list == pattern.list
        }
        if pattern.exception:
            if (False, True) not in inside and (False, False) not in inside:
                yield "idle_exception"
            return
        if (True, True) in inside:
            yield "excepted"
        if (False, False) in inside and held.report == "all":
            yield "dominated"

    def find(self, text: str) -> TextMatches:
        """Return what the lists find in one text."""
        rows: list[_Row] = []
        visited, truncated = 0, False
        per_list = dict.fromkeys(range(len(self.lists)), 0)
        for lane, patterns in enumerate(self.patterns):
            if not patterns:
                continue
            view = _view(text, lane)
            occurrences, lane_visited, cut = self._occurrences(view, lane)
            visited += lane_visited
            truncated |= cut or view.truncated
            found: dict[int, dict[int, _Row]] = defaultdict(dict)
            for start, end, pattern in self._reported(occurrences):
                of_list = found[pattern.list]
                if pattern.number in of_list:
                    first = of_list[pattern.number]
                    of_list[pattern.number] = first._replace(times=first.times + 1)
                elif per_list[pattern.list] == MAX_ROWS:
                    truncated = True
                else:
                    per_list[pattern.list] += 1
                    of_list[pattern.number] = _Row(
                        pattern, view.places[start][0], view.places[end - 1][1], 1
                    )
            rows += [row for of_list in found.values() for row in of_list.values()]
        rows.sort(key=lambda row: row.pattern[:4])
        places = {lane: _SPANS[lane](text) for lane in {row.pattern.lane for row in rows}}
        return TextMatches(
            tuple(
                Match(
                    self.lists[pattern.list].name,
                    self._written(pattern),
                    LANES[pattern.lane],
                    places[pattern.lane][start][0],
                    places[pattern.lane][end - 1][1],
                    times,
                )
                for pattern, start, end, times in rows
            ),
            visited,
            truncated,
        )

    def find_all(self, texts: Sequence[str]) -> list[TextMatches]:
        """Return what the lists find in each text."""
        return [self.find(text) for text in texts]

    def _occurrences(self, view: _Lane, lane: int) -> tuple[list[_Occurrence], int, bool]:
        """Return what stands in a lane, the outputs visited, and whether their cap was met.

        Occurrences are visited by their end, then longest first, then those whose start is tested,
        then by gaps and runs, list and pattern. In the squeezed lane an output counts as many
        times as it has bytes, since each of them is looked at, and even where it does not stand.
        """
        data = view.data
        met: list[_Occurrence] = []
        budget, visited = VISITS_FIXED + VISITS_PER_BYTE * len(data), 0
        for end in range(1, len(data) + 1):
            for length in self._lengths[lane].get(data[end - 1], ()):
                if length > end:
                    continue
                start = end - length
                for pattern in self.patterns[lane].get(data[start:end], ()):
                    stands = _stands(pattern, view, start, end)
                    if not stands and lane != SQUEEZED:
                        continue
                    cost = length if lane == SQUEEZED else 1
                    if visited + cost > budget:
                        return met, visited, True
                    visited += cost
                    if stands:
                        met.append(_Occurrence(start, end, pattern))
        return met, visited, False

    def _reported(self, met: list[_Occurrence]) -> Iterator[_Occurrence]:
        """Yield the occurrences that count: none that an exception covers, nor overlapping ones.

        Leftmost-longest takes, from left to right, what starts first and of that the longest, then
        the first pattern, and goes on behind it.
        """
        for index, held in enumerate(self.lists):
            mine = [each for each in met if each.pattern.list == index]
            if held.exceptions or held.report == "leftmost-longest":
                mine.sort(key=lambda each: (each.start, -each.end, each.pattern.number))
            exceptions = [each for each in mine if each.pattern.exception]
            reach = 0
            for each in mine:
                if each.pattern.exception or any(
                    other.start <= each.start and each.end <= other.end for other in exceptions
                ):
                    continue
                if held.report == "leftmost-longest":
                    if each.start < reach:
                        continue
                    reach = each.end
                yield each


def _entries(held: KeywordList, lane: int) -> list[tuple[bool, int]]:
    """Return the patterns of a list in a lane, then its exceptions: (exception, number)."""
    patterns = [
        (False, number)
        for number in range(len(held.patterns))
        if LANES[lane] in pattern_lanes(held, number)
    ]
    exceptions = [(True, number) for number in range(len(held.exceptions))]
    return patterns + exceptions if patterns else []


def _view(text: str, lane: int) -> _Lane:
    if lane == SQUEEZED:
        letters = view_squeezed(text)
        places = tuple((at, at + 1) for at in range(len(letters.data)))
        return _Lane(letters.data, b"", letters.letters, places, letters.truncated)
    view = _VIEWS[lane](text)
    data, word, places = spaced(view)
    return _Lane(data, word, (), places, view.truncated)


def _stands(pattern: _Pattern, view: _Lane, start: int, end: int) -> bool:
    """Say whether a pattern whose bytes are in a lane may stand there."""
    if pattern.lane == SQUEEZED:
        about = view.letters[start:end]
        if pattern.test_start and not about[0] & LETTER_STARTS:
            return False
        if pattern.test_end and not about[-1] & LETTER_ENDS:
            return False
        return fits(about, pattern.asks, view.data[start:end])
    if pattern.test_start and start > 0 and view.word[start - 1]:
        return False
    return not (pattern.test_end and end < len(view.data) and view.word[end])
