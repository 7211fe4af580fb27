"""Define what a pattern is in a lane: its keys, which of its ends are tested, what is refused.

A pattern has one key in the raw and folded lanes. Skeletons depend on case, so in the skeleton
lane it has those of its lower, upper and title forms; in the squeezed lane, what is made of these
and of the folded pattern, with letters that recall Latin ones read as these and as themselves. A
run of white space in a pattern or a text is one space.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastpath.errors import BuildError
from fastpath.lanes import (
    LETTER_GAP,
    LETTER_RUN,
    LETTER_SELF,
    MAX_PATTERN_BYTES,
    MIN_SQUEEZED_LETTERS,
    LaneView,
    LetterView,
)
from fastpath.reference.skeleton import skeleton_of
from fastpath.reference.squeezed import squeezed_of
from fastpath.reference.text import LETTERS, NUMBERS, SPACES, is_word, view_folded, view_raw
from fastpath.spec import LANES, KeywordList, Lane

BOUNDARIES = ("word", "prefix", "none")
REPORTS = ("all", "leftmost-longest")
SQUEEZED = LANES.index("squeezed")
SKELETON = LANES.index("skeleton")


class Key(NamedTuple):
    """Hold the bytes of a pattern in a lane and, in the squeezed one, its gaps and runs."""

    data: bytes
    asks: tuple[int, ...]  # LETTER_* per byte; else empty


class Spaced(NamedTuple):
    """Show a lane with every run of white space as one space."""

    data: bytes
    word: bytes  # per byte: 1 where it belongs to a word character
    places: tuple[tuple[int, int], ...]  # per byte: the lane bytes [start, end) it stands for


def spaced(view: LaneView) -> Spaced:
    """Make one space of each run of white space (property White_Space)."""
    data, word = bytearray(), bytearray()
    places: list[tuple[int, int]] = []
    at, in_space = 0, False
    for character in view.data.decode():
        size = len(character.encode())
        if ord(character) not in SPACES:
            data += view.data[at : at + size]
            word += view.word[at : at + size]
            places += [(byte, byte + 1) for byte in range(at, at + size)]
        elif in_space:
            places[-1] = (places[-1][0], at + size)
        else:
            data += b" "
            word += b"\0"
            places.append((at, at + size))
        in_space = ord(character) in SPACES
        at += size
    return Spaced(bytes(data), bytes(word), tuple(places))


def pattern_lanes(held: KeywordList, index: int) -> tuple[Lane, ...]:
    """Return the lanes of one pattern of a list."""
    return held.pattern_lanes[index] if held.pattern_lanes else held.lanes


def check_list(held: KeywordList) -> None:
    """Raise BuildError for options of a list that mean nothing."""
    where = f"list {held.name!r}"
    if held.pattern_lanes and len(held.pattern_lanes) != len(held.patterns):
        counts = (len(held.patterns), len(held.pattern_lanes))
        raise BuildError("lanes per pattern", *counts, where)
    for lanes in {held.lanes, *held.pattern_lanes}:
        if not lanes:
            raise BuildError("lanes of a list", "at least one", 0, where)
        for lane in lanes:
            if lane not in LANES:
                raise BuildError("lane", " or ".join(LANES), lane, where)
    if held.boundary not in BOUNDARIES:
        raise BuildError("boundary", " or ".join(BOUNDARIES), held.boundary, where)
    if held.report not in REPORTS:
        raise BuildError("report", " or ".join(REPORTS), held.report, where)


def make_keys(written: str, lane: int, held: KeywordList) -> list[Key]:
    """Return what a pattern is in a lane, each form once; the first one is for its notes."""
    where = f"list {held.name!r}, pattern {written!r}, lane {LANES[lane]}"
    try:
        folded = view_folded(written)
    except UnicodeEncodeError as error:
        raise BuildError("pattern encoding", "UTF-8", error.reason, where) from None
    if lane < SKELETON:
        views = [folded if lane else view_raw(written)]
    else:
        # Case mappings are the interpreter's: those of Unicode 14.0 to 15.1 are the same.
        forms = (written.lower(), written.upper(), written.title())
        views = [skeleton_of(form) for form in forms]
    if lane == SQUEEZED:
        _check_letters(folded, held, where)
        keys = [
            key
            for as_latin in (True, False)
            for key in _squeezed_keys(folded, views, as_latin=as_latin)
        ]
    else:
        keys = [Key(spaced(view).data, ()) for view in views]
    for key in keys:
        if not 1 <= len(key.data) <= MAX_PATTERN_BYTES:
            raise BuildError("pattern bytes", f"1 to {MAX_PATTERN_BYTES}", len(key.data), where)
    return list(dict.fromkeys(keys))


def tested_ends(key: Key, lane: int, held: KeywordList) -> tuple[bool, bool]:
    """Say whether the start and the end of a key are tested for a word boundary."""
    text, strict = key.data.decode(), lane == SQUEEZED
    return (
        (strict or held.boundary != "none") and is_word(ord(text[0])),
        (strict or held.boundary == "word") and is_word(ord(text[-1])),
    )


def _squeezed_keys(folded: LaneView, views: list[LaneView], *, as_latin: bool) -> Iterator[Key]:
    """Yield the key of the folded form, then those of skeletons that ask for something else."""
    own = _squeezed_key(squeezed_of(folded, folded=True, as_latin=as_latin))
    yield own
    for view in views:
        key = _squeezed_key(squeezed_of(view, folded=False, as_latin=as_latin))
        if key != own._replace(asks=tuple(each & ~LETTER_SELF for each in own.asks)):
            yield key


def _squeezed_key(view: LetterView) -> Key:
    # Where it stands in the entry, and that the entry draws it out, is nothing to ask for.
    asked = LETTER_GAP | LETTER_SELF | -LETTER_RUN
    return Key(view.data, tuple(each & asked for each in view.letters))


def _check_letters(folded: LaneView, held: KeywordList, where: str) -> None:
    letters = sum(ord(each) in LETTERS or ord(each) in NUMBERS for each in folded.data.decode())
    if letters < MIN_SQUEEZED_LETTERS and not held.insist:
        least = f"at least {MIN_SQUEEZED_LETTERS}, unless the list insists"
        raise BuildError("letters of a squeezed pattern", least, letters, where)
