"""Evaluate rule gates over one post's columns in plain Python."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass

from fastpath.spec import FLAGS, NO_DISTANCE, Atom, Gate

DAY_MS = 86_400_000
_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold the columns of one post that atoms may read."""

    match: Mapping[str, int]
    distance: Mapping[str, int]  # of the nearest hit, absent without one
    window: Mapping[str, int]
    flags: int
    numbers: Mapping[str, int]  # age_days, followers, revision, text_length, the counts
    score: Mapping[str, float]
    lang: str
    op: str

    def holds(self, gate: Gate) -> bool:
        """Say whether a gate passes; a missing score compares false whatever the operator."""
        if gate.kind == "atom":
            return gate.atom is not None and self._atom(gate.atom)
        parts = (self.holds(part) for part in gate.parts)
        return all(parts) if gate.kind == "and" else any(parts)

    def _atom(self, atom: Atom) -> bool:
        value = self._column(atom)
        return value is not None and bool(_COMPARE[atom.op](value, atom.constant))

    def _column(self, atom: Atom) -> int | float | str | None:
        if atom.column == "match":
            return self.match.get(atom.name, 0)
        if atom.column == "distance":
            return self.distance.get(atom.name, NO_DISTANCE)
        if atom.column == "window":
            return self.window[atom.name]
        if atom.column == "flag":
            return self.flags >> FLAGS.index(atom.name) & 1
        if atom.column == "score":
            return self.score.get(atom.name)
        if atom.column == "lang":
            return self.lang
        if atom.column == "op":
            return self.op
        return self.numbers[atom.column]


def age_days(created_at: int | None, time: int) -> int:
    """Return whole days from an account's creation to origin time, -1 where unknown.

    An account that claims to be created after its post has an unknown age too.
    """
    return -1 if created_at is None or created_at > time else (time - created_at) // DAY_MS
