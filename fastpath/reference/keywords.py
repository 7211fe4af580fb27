"""Define what keyword lists find in a text: every occurrence, boundaries, caps, notes.

A pattern has one key in the raw and folded lanes. Skeletons depend on case, so in the skeleton
lane it has those of its lower, upper and title forms; in the squeezed lane, what is made of these
and of the folded pattern.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastpath.errors import BuildError
from fastpath.lanes import (
    LETTER_ENDS,
    LETTER_GAP,
    LETTER_RUN,
    LETTER_STARTS,
    MAX_PATTERN_BYTES,
    MAX_PATTERNS,
    MAX_TABLE_BYTES,
    MIN_SQUEEZED_LETTERS,
    VISITS_FIXED,
    VISITS_PER_BYTE,
    LaneView,
    LetterView,
    PatternNote,
    TextMatches,
)
from fastpath.reference.lookalikes import (
    fits,
    skeleton_of,
    spans_skeleton,
    spans_squeezed,
    squeezed_of,
    view_skeleton,
    view_squeezed,
)
from fastpath.reference.text import (
    LETTERS,
    NUMBERS,
    UNSPACED,
    WORD,
    spans_folded,
    spans_raw,
    view_folded,
    view_raw,
)
from fastpath.spec import LANES, MAX_ROWS, KeywordList, Match

BOUNDARIES = ("word", "prefix", "none")
_SQUEEZED = LANES.index("squeezed")
_VIEWS = (view_raw, view_folded, view_skeleton)
_SPANS = (spans_raw, spans_folded, spans_skeleton, spans_squeezed)


class _Pattern(NamedTuple):
    """Hold one pattern of one list in one lane; compares in the order of reports."""

    list: int
    lane: int
    number: int  # in the list; these three name it in a report
    test_start: bool  # must not follow a word character
    test_end: bool  # must not precede one
    asks: bytes  # squeezed: gaps and runs of the pattern, LETTER_* per byte; else empty


class _Key(NamedTuple):
    """Hold the bytes of a pattern in a lane and, in the squeezed one, its gaps and runs."""

    data: bytes
    asks: bytes


class _Lane(NamedTuple):
    """Hold one lane of a text while it is scanned."""

    data: bytes
    word: bytes
    letters: bytes  # squeezed alone
    truncated: bool


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
            keys = _keys(written, lane, held)
            bounded = []
            added = False
            for key in keys:
                text = key.data.decode()
                strict = lane == _SQUEEZED
                bound_start = (strict or held.boundary != "none") and _is_bounded(text[0])
                bound_end = (strict or held.boundary == "word") and _is_bounded(text[-1])
                bounded.append((bound_start, bound_end))
                patterns = self.patterns[lane].setdefault(key.data, [])
                if all((each.list, each.asks) != (list_index, key.asks) for each in patterns):
                    added = True
                    patterns.append(
                        _Pattern(list_index, lane, index, bound_start, bound_end, key.asks)
                    )
                    patterns.sort(key=lambda each: (each.asks, each.list, each.number))
            if not added:
                yield PatternNote(held.name, written, LANES[lane], "duplicate")
                continue
            if held.boundary != "none" and not bounded[0][0]:
                yield PatternNote(held.name, written, LANES[lane], "unbounded_start")
            if held.boundary == "word" and not bounded[0][1]:
                yield PatternNote(held.name, written, LANES[lane], "unbounded_end")

    def find(self, text: str) -> TextMatches:
        """Return what the lists find in one text."""
        found: dict[tuple[int, int, int], _Found] = {}
        visited, truncated = 0, False
        for lane, patterns in enumerate(self.patterns):
            if patterns:
                view = _view(text, lane)
                lane_visited, lane_truncated = self._scan(view, lane, found)
                visited += lane_visited
                truncated |= lane_truncated or view.truncated
        places = {lane: _SPANS[lane](text) for lane in {lane for _, lane, _ in found}}
        matches = []
        for pattern in sorted(found):
            list_index, lane, number = pattern
            start, end, times = found[pattern]
            held = self.lists[list_index]
            place = places[lane]
            matches.append(
                Match(
                    held.name,
                    held.patterns[number],
                    LANES[lane],
                    place[start][0],
                    place[end - 1][1],
                    times,
                )
            )
        return TextMatches(tuple(matches), visited, truncated)

    def find_all(self, texts: Sequence[str]) -> list[TextMatches]:
        """Return what the lists find in each text."""
        return [self.find(text) for text in texts]

    def _scan(
        self, view: _Lane, lane: int, found: dict[tuple[int, int, int], _Found]
    ) -> tuple[int, bool]:
        """Add what stands in one lane; return the outputs visited and whether a cap was met.

        Outputs are visited by their end, then longest first, then by gaps and runs, list and
        pattern; those that fail their boundary count as visited too. In the squeezed lane an
        output counts as many times as it has bytes, since each of them is looked at.
        """
        data = view.data
        rows = dict.fromkeys(range(len(self.lists)), 0)
        for list_index, _, _ in found:
            rows[list_index] += 1
        budget, visited, truncated = VISITS_FIXED + VISITS_PER_BYTE * len(data), 0, False
        for end in range(1, len(data) + 1):
            for length in self._lengths[lane].get(data[end - 1], ()):
                if length > end:
                    continue
                start = end - length
                for pattern in self.patterns[lane].get(data[start:end], ()):
                    cost = length if lane == _SQUEEZED else 1
                    if visited + cost > budget:
                        return visited, True
                    visited += cost
                    if not _stands(pattern, view, start, end):
                        continue
                    place = pattern[:3]
                    if place in found:
                        first = found[place]
                        found[place] = first._replace(times=first.times + 1)
                    elif rows[pattern.list] == MAX_ROWS:
                        truncated = True
                    else:
                        rows[pattern.list] += 1
                        found[place] = _Found(start, end, 1)
        return visited, truncated


def _view(text: str, lane: int) -> _Lane:
    if lane == _SQUEEZED:
        letters = view_squeezed(text)
        return _Lane(letters.data, b"", letters.letters, letters.truncated)
    view = _VIEWS[lane](text)
    return _Lane(view.data, view.word, b"", view.truncated)


def _stands(pattern: _Pattern, view: _Lane, start: int, end: int) -> bool:
    """Say whether a pattern whose bytes are in a lane may stand there."""
    if pattern.lane == _SQUEEZED:
        about = view.letters[start:end]
        if pattern.test_start and not about[0] & LETTER_STARTS:
            return False
        if pattern.test_end and not about[-1] & LETTER_ENDS:
            return False
        return fits(about, pattern.asks, view.data[start:end])
    if pattern.test_start and start > 0 and view.word[start - 1]:
        return False
    return not (pattern.test_end and end < len(view.data) and view.word[end])


def _check_list(held: KeywordList) -> None:
    if not held.lanes:
        raise BuildError("lanes of a list", "at least one", 0, f"list {held.name!r}")
    for lane in held.lanes:
        if lane not in LANES:
            raise BuildError("lane", " or ".join(LANES), lane, f"list {held.name!r}")
    if held.boundary not in BOUNDARIES:
        raise BuildError("boundary", " or ".join(BOUNDARIES), held.boundary, f"list {held.name!r}")


def _keys(written: str, lane: int, held: KeywordList) -> list[_Key]:
    """Return what a pattern is in a lane, each form once; the first one is for its notes."""
    where = f"list {held.name!r}, pattern {written!r}, lane {LANES[lane]}"
    try:
        folded = view_folded(written)
    except UnicodeEncodeError as error:
        raise BuildError("pattern encoding", "UTF-8", error.reason, where) from None
    if lane < LANES.index("skeleton"):
        keys = [_Key(_VIEWS[lane](written).data, b"")]
    else:
        # Case mappings are the interpreter's: those of Unicode 14.0 to 15.1 are the same.
        forms = (written.lower(), written.upper(), written.title())
        below = [skeleton_of(form) for form in forms]
        keys = [_Key(view.data, b"") for view in below]
        if lane == _SQUEEZED:
            _check_letters(folded, held, where)
            keys = [_squeezed_key(squeezed_of(view)) for view in (folded, *below)]
    for key in keys:
        if not 1 <= len(key.data) <= MAX_PATTERN_BYTES:
            raise BuildError("pattern bytes", f"1 to {MAX_PATTERN_BYTES}", len(key.data), where)
    return list(dict.fromkeys(keys))


def _squeezed_key(view: LetterView) -> _Key:
    asked = LETTER_GAP | -LETTER_RUN  # where it stands in the entry is nothing to ask for
    return _Key(view.data, bytes(each & asked for each in view.letters))


def _check_letters(folded: LaneView, held: KeywordList, where: str) -> None:
    letters = sum(ord(each) in LETTERS or ord(each) in NUMBERS for each in folded.data.decode())
    if letters < MIN_SQUEEZED_LETTERS and not held.insist:
        least = f"at least {MIN_SQUEEZED_LETTERS}, unless the list insists"
        raise BuildError("letters of a squeezed pattern", least, letters, where)


def _is_bounded(character: str) -> bool:
    """Say whether a word boundary can be asked for beside this end of a pattern."""
    return ord(character) in WORD and ord(character) not in UNSPACED


def _table_bytes(keys: Iterable[bytes]) -> int:
    """Return the size of the core's transition table: states x byte classes x 4."""
    states = {key[:length] for key in keys for length in range(len(key) + 1)}
    classes = {octet for key in keys for octet in key}
    return len(states) * (len(classes) + 1) * 4
