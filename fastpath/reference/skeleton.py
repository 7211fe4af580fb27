"""Define the skeleton lane: a text by what its letters look like.

It is the folded lane of a text whose code points were replaced by their UTS #39 prototypes
(Default_Ignorable removed first; signs and Hangul keep what they are). It runs if a code point
beyond ASCII imitates another one.
"""

from __future__ import annotations

from functools import cache

from fastpath.lanes import LaneView
from fastpath.reference.text import (
    FOLDS,
    fold_code_point,
    members,
    read_targets,
    spans_mapped,
    view_mapped,
)
from fastpath.unicode_data import lookalike_tables as tables

PROTOTYPES = read_targets(tables.PROTOTYPES)
DISGUISED = frozenset(members(tables.DISGUISED))


@cache
def skeleton_code_point(code_point: int) -> tuple[int, ...]:
    """Return the folded prototype of one code point, canonically decomposed."""
    if FOLDS.get(code_point) == ():
        return ()
    target = PROTOTYPES.get(code_point)
    if target is None:
        return fold_code_point(code_point)
    return tuple(part for each in target for part in fold_code_point(each))


def opens_skeleton(text: str) -> bool:
    """Say whether a code point beyond ASCII imitates another one."""
    return any(ord(character) in DISGUISED for character in text)


def skeleton_of(text: str) -> LaneView:
    """Return the skeleton of a text, whatever it holds; patterns are indexed by theirs."""
    return view_mapped(text, skeleton_code_point)


def view_skeleton(text: str) -> LaneView:
    """Return the skeleton lane of a text; empty where it does not run."""
    return skeleton_of(text) if opens_skeleton(text) else LaneView(b"", b"", 0, False)


def spans_skeleton(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the skeleton lane the source code points [start, end) of its cluster."""
    return spans_mapped(text, skeleton_code_point) if opens_skeleton(text) else ()
