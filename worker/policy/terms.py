"""Take a condition apart into the terms that `&&` and `||` join, so that each can be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from worker.policy.conditions import Condition, ConditionErrors, Verdict, Vocabulary
from worker.policy.tree import Call, Node

_JOINS = ("_&&_", "_||_")
_JOIN_WIDTH = 2  # code points of && and ||
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[()]')


class Term(NamedTuple):
    """Hold one term of a condition, how it came out, and the values that it read."""

    source: str
    verdict: Verdict
    values: dict[str, object]


def explain_terms(
    condition: Condition, vocabulary: Vocabulary, activation: Mapping[str, object]
) -> list[Term]:
    """Evaluate each term of a condition by itself, in the order of the source.

    Every term is evaluated, also those that the whole condition would skip. A condition whose
    text cannot be taken apart is one term.
    """
    try:
        parts = [vocabulary.compile(source) for source in _sources(condition)]
    except ConditionErrors:
        parts = [condition]
    return [
        Term(
            part.source,
            part.evaluate(activation),
            {name: activation[name] for name in sorted(part.variables)},
        )
        for part in parts
    ]


def _sources(condition: Condition) -> Iterator[str]:
    start = 0
    for cut in sorted(_joins(condition.tree)):
        yield _unwrapped(condition.source[start:cut])
        start = cut + _JOIN_WIDTH
    yield _unwrapped(condition.source[start:])


def _joins(node: Node) -> Iterator[int]:
    """Find the operators that join terms; those inside a negation or a call belong to a term."""
    if isinstance(node, Call) and node.function in _JOINS:
        yield node.at
        for part in node.args:
            yield from _joins(part)


def _unwrapped(piece: str) -> str:
    """Drop parentheses that the cuts left open, and those around all of a piece."""
    piece = piece.strip()
    while True:
        depths = list(_depths(piece))
        end = depths[-1] if depths else 0
        if end > 0 and piece.startswith("("):
            piece = piece[1:].strip()
        elif end < 0 and piece.endswith(")"):
            piece = piece[:-1].strip()
        elif piece.startswith("(") and piece.endswith(")") and 0 not in depths[:-1]:
            piece = piece[1:-1].strip()
        else:
            return piece


def _depths(piece: str) -> Iterator[int]:
    depth = 0
    for found in _BRACKETS.finditer(piece):
        if found[0] in "()":
            depth += 1 if found[0] == "(" else -1
            yield depth
