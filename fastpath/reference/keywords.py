"""Define what keyword lists find in a text: every occurrence, boundaries, caps, notes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastpath.errors import BuildError
from fastpath.lanes import (
    MAX_PATTERN_BYTES,
    MAX_PATTERNS,
    MAX_TABLE_BYTES,
    VISITS_FIXED,
    VISITS_PER_BYTE,
    LaneView,
    PatternNote,
    TextMatches,
)
from fastpath.reference.text import (
    UNSPACED,
    WORD,
    spans_folded,
    spans_raw,
    view_folded,
    view_raw,
)
from fastpath.spec import LANES, MAX_ROWS, KeywordList, Match

BOUNDARIES = ("word", "prefix", "none")


class _Pattern(NamedTuple):
    """Hold one pattern of one list in one lane; compares in the order of reports."""

    list: int
    lane: int
    number: int  # in the list
    test_start: bool  # must not follow a word character
    test_end: bool  # must not precede one


class _Found(NamedTuple):
    """Hold the first place of a pattern in lane bytes, and how often it was met."""

    start: int
    end: int
    times: int


class Keywords:
    """Find the patterns of keyword lists in texts; see `fastpath.keywords.Keywords`."""

    def __init__(self, lists: Sequence[KeywordList]) -> None:
        self.lists = tuple(lists)
        self.patterns: list[dict[bytes, list[_Pattern]]] = [{} for _ in LANES]
        notes: list[PatternNote] = []
        total = sum(len(held.patterns) * len(set(held.lanes)) for held in self.lists)
        if total > MAX_PATTERNS:
            raise BuildError("patterns times lanes", MAX_PATTERNS, total)
        for index, held in enumerate(self.lists):
            _check_list(held)
            for lane, name in enumerate(LANES):
                if name in held.lanes:
                    notes += self._add(index, lane)
        self.notes = tuple(notes)
        self.table_bytes = sum(_table_bytes(keys) for keys in self.patterns)
        if self.table_bytes > MAX_TABLE_BYTES:
            raise BuildError("keyword table bytes", MAX_TABLE_BYTES, self.table_bytes)
        # Lengths of the patterns by their last byte, longest first: what may end at a byte.
        self._lengths: list[dict[int, list[int]]] = []
        for keys in self.patterns:
            by_last: defaultdict[int, set[int]] = defaultdict(set)
            for key in keys:
                by_last[key[-1]].add(len(key))
            self._lengths.append({last: sorted(by_last[last])[::-1] for last in by_last})

    def _add(self, list_index: int, lane: int) -> Iterable[PatternNote]:
        """Index the patterns of a list in a lane; yield what its author should know."""
        held = self.lists[list_index]
        for index, written in enumerate(held.patterns):
            key = _key(written, lane, held.name)
            patterns = self.patterns[lane].setdefault(key, [])
            if any(pattern.list == list_index for pattern in patterns):
                yield PatternNote(held.name, written, LANES[lane], "duplicate")
                continue
            lane_text = key.decode()
            bound_start = held.boundary != "none" and _is_bounded(lane_text[0])
            bound_end = held.boundary == "word" and _is_bounded(lane_text[-1])
            patterns.append(_Pattern(list_index, lane, index, bound_start, bound_end))
            if held.boundary != "none" and not bound_start:
                yield PatternNote(held.name, written, LANES[lane], "unbounded_start")
            if held.boundary == "word" and not bound_end:
                yield PatternNote(held.name, written, LANES[lane], "unbounded_end")

    def find(self, text: str) -> TextMatches:
        """Return what the lists find in one text."""
        found: dict[_Pattern, _Found] = {}
        views: list[LaneView] = []
        visited, truncated = 0, False
        for lane, view in enumerate((view_raw, view_folded)):
            views.append(view(text) if self.patterns[lane] else LaneView(b"", b"", 0, False))
            lane_visited, lane_truncated = self._scan(views[lane], lane, found)
            visited += lane_visited
            truncated |= lane_truncated or views[lane].truncated
        spans = (spans_raw, spans_folded)
        places = {lane: spans[lane](text) for lane in {pattern.lane for pattern in found}}
        matches = []
        for pattern in sorted(found):
            start, end, times = found[pattern]
            held = self.lists[pattern.list]
            place = places[pattern.lane]
            matches.append(
                Match(
                    held.name,
                    held.patterns[pattern.number],
                    LANES[pattern.lane],
                    place[start][0],
                    place[end - 1][1],
                    times,
                )
            )
        return TextMatches(tuple(matches), visited, truncated)

    def find_all(self, texts: Sequence[str]) -> list[TextMatches]:
        """Return what the lists find in each text."""
        return [self.find(text) for text in texts]

    def _scan(self, view: LaneView, lane: int, found: dict[_Pattern, _Found]) -> tuple[int, bool]:
        """Add what stands in one lane; return the outputs visited and whether a cap was met.

        Outputs are visited by their end, then longest first, then by list and pattern; those
        that fail their boundary count as visited too.
        """
        data, word = view.data, view.word
        rows = dict.fromkeys(range(len(self.lists)), 0)
        for pattern in found:
            rows[pattern.list] += 1
        visited, truncated = 0, False
        for end in range(1, len(data) + 1):
            for length in self._lengths[lane].get(data[end - 1], ()):
                if length > end:
                    continue
                start = end - length
                for pattern in self.patterns[lane].get(data[start:end], ()):
                    if visited == VISITS_FIXED + VISITS_PER_BYTE * len(data):
                        return visited, True
                    visited += 1
                    if pattern.test_start and start > 0 and word[start - 1]:
                        continue
                    if pattern.test_end and end < len(data) and word[end]:
                        continue
                    if pattern in found:
                        first = found[pattern]
                        found[pattern] = first._replace(times=first.times + 1)
                    elif rows[pattern.list] == MAX_ROWS:
                        truncated = True
                    else:
                        rows[pattern.list] += 1
                        found[pattern] = _Found(start, end, 1)
        return visited, truncated


def _check_list(held: KeywordList) -> None:
    if not held.lanes:
        raise BuildError("lanes of a list", "at least one", 0, f"list {held.name!r}")
    for lane in held.lanes:
        if lane not in LANES:
            raise BuildError("lane", " or ".join(LANES), lane, f"list {held.name!r}")
    if held.boundary not in BOUNDARIES:
        raise BuildError("boundary", " or ".join(BOUNDARIES), held.boundary, f"list {held.name!r}")


def _key(written: str, lane: int, list_name: str) -> bytes:
    """Return the bytes that a pattern has in a lane."""
    where = f"list {list_name!r}, pattern {written!r}, lane {LANES[lane]}"
    try:
        view = (view_raw, view_folded)[lane](written)
    except UnicodeEncodeError as error:
        raise BuildError("pattern encoding", "UTF-8", error.reason, where) from None
    if not 1 <= len(view.data) <= MAX_PATTERN_BYTES:
        raise BuildError("pattern bytes", f"1 to {MAX_PATTERN_BYTES}", len(view.data), where)
    return view.data


def _is_bounded(character: str) -> bool:
    """Say whether a word boundary can be asked for beside this end of a pattern."""
    return ord(character) in WORD and ord(character) not in UNSPACED


def _table_bytes(keys: Iterable[bytes]) -> int:
    """Return the size of the core's transition table: states x byte classes x 4."""
    states = {key[:length] for key in keys for length in range(len(key) + 1)}
    classes = {octet for key in keys for octet in key}
    return len(states) * (len(classes) + 1) * 4
