"""Match regular expressions on the posts that hold their literals, in linear time (RE2).

The core looks for the literals among the keywords, under the name of the list, so its gates let
through every post on which an expression could match. What stands in a row is then replaced by
what the expressions match. Called for rows alone, by the stage and by `weir explain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

from fastpath.rows import Row
from fastpath.spec import FLAGS, Atom, Gate, KeywordList, Lane, Match
from fastpath.text import fold_text, spans_folded, spans_raw, view_raw
from worker.policy.literals import MIN_LITERAL_BYTES, required_literals

MAX_PROGRAM = 5_000  # instructions of one expression; `[a-z]{1000}` has a thousand
MAX_MATCHES = 32  # of one expression in one post; then counts are lower bounds
# Bytes read for one post, each search once over: 64 searches of the longest text, about 20 ms.
WORK_BYTES = 4 << 20

_TRUNCATED = 1 << FLAGS.index("matches_truncated")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class ExpressionError(ValueError):
    """Say why an expression is refused, and what to change."""

    def __init__(self, message: str, hint: str) -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True)
class Expression:
    """Hold one expression, compiled, and the literals without which it cannot match."""

    source: str
    literals: tuple[str, ...]  # empty: it runs on every row
    compiled: Any = field(repr=False, compare=False)


def compile_expression(source: str, lane: Lane, *, ungated: bool) -> Expression:
    """Compile an expression for a lane.

    Raises:
        ExpressionError: RE2 refuses it, it is too large, can never match, or has no literals and
            the list does not accept that.
    """
    try:
        compiled = re2.compile(source, _OPTIONS)
    except re2.error as error:
        said = error.args[0]
        said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        hint = "the syntax is that of RE2: no look-around, no back-references"
        raise ExpressionError(f"not a regular expression: {said}", hint) from None
    if compiled.programsize > MAX_PROGRAM:
        what = f"this compiles to {compiled.programsize:,} instructions, at most {MAX_PROGRAM:,}"
        raise ExpressionError(what, "use smaller repetitions, or several expressions")
    if compiled.search("") is not None:
        raise ExpressionError("this matches the empty text, and so every post", "ask for more")
    folded = lane == "folded"
    literals = required_literals(source, folded=folded)
    for literal in literals if folded else ():
        if fold_text(literal) != literal:
            what = f"`{literal}` never stands in the folded lane"
            hint = f"write `{fold_text(literal)}`; folded text is lower-case and composed"
            raise ExpressionError(what, hint)
    if not literals and not ungated:
        what = f"no literal of {MIN_LITERAL_BYTES} letters stands in every match"
        hint = "add one, or accept that it runs on every post in Python with `ungated: true`"
        raise ExpressionError(what, hint)
    return Expression(source, literals, compiled)


@dataclass(frozen=True)
class ExpressionList:
    """Hold the expressions of one list of kind `regex`."""

    name: str
    lane: Lane
    expressions: tuple[Expression, ...]

    @property
    def is_gated(self) -> bool:
        """Say whether a post without a literal of the list cannot match."""
        return all(each.literals for each in self.expressions)

    def as_keywords(self) -> KeywordList:
        """Return the list of literals that the core looks for."""
        literals = {literal for each in self.expressions for literal in each.literals}
        return KeywordList(self.name, tuple(sorted(literals)), (self.lane,), "none")


class Expressions:
    """Hold all expressions of a bundle; immutable, total, may be shared."""

    def __init__(self, lists: Mapping[str, ExpressionList]) -> None:
        self._lists = dict(lists)

    def relax(self, gate: Gate) -> Gate:
        """Return a gate that is true wherever one over true matches is.

        The core counts literals in place of matches: none of those means none of these, more says
        nothing.
        """
        if gate.kind != "atom":
            return Gate(gate.kind, parts=tuple(self.relax(part) for part in gate.parts))
        atom = gate.atom
        if atom is None or atom.column != "match" or atom.name not in self._lists:
            return gate
        none_holds = _compare(0, atom)
        if none_holds or not self._lists[atom.name].is_gated:
            return Gate("and")
        return Gate("atom", Atom("match", atom.name, ">=", 1))

    def refine(self, row: Row) -> None:
        """Put the matches of expressions in place of their literals in a row of the screen.

        Where the work is used up, or an expression matches more often than is counted, the row
        gets the flag `matches_truncated`.
        """
        if not self._lists:
            return
        met: dict[str, set[str]] = {}
        kept: list[Match] = []
        for match in row.matches:
            if match.list in self._lists:
                met.setdefault(match.list, set()).add(match.pattern)
            else:
                kept.append(match)
        work = _Work(str(row.post.get("text", "")))
        for held in self._lists.values():
            literals = met.get(held.name, set())
            # A cap may have hidden literals; then every expression of the list runs.
            every = bool(row.flags & _TRUNCATED)
            for expression in held.expressions:
                if every or not expression.literals or literals.intersection(expression.literals):
                    kept += work.matches(held, expression)
        row.matches = tuple(kept)
        if work.truncated:
            row.flags |= _TRUNCATED


@dataclass
class _Work:
    """Search one text within its budget; lanes and spans are made when they are first needed."""

    text: str
    truncated: bool = False
    _left: int = WORK_BYTES
    _lanes: dict[Lane, bytes] = field(default_factory=dict)
    _spans: dict[Lane, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def matches(self, held: ExpressionList, expression: Expression) -> Iterator[Match]:
        """Yield the match of one expression, with its first place and how often it stands."""
        lane = self._lane(held.lane)
        first: tuple[int, int] | None = None
        count = at = 0
        while at <= len(lane):
            if self._left < len(lane) - at or count == MAX_MATCHES:
                self.truncated = True
                break
            self._left -= len(lane) - at + 1
            found = expression.compiled.search(lane, at)
            if found is None:
                break
            start, end = found.span()
            first = first or (start, end)
            count += 1
            at = max(end, start + 1)
        if first is not None:
            start, end = self._place(held.lane, *first)
            yield Match(held.name, expression.source, held.lane, start, end, count)

    def _lane(self, lane: Lane) -> bytes:
        if lane not in self._lanes:
            folded = lane == "folded"
            self._lanes[lane] = fold_text(self.text).encode() if folded else view_raw(self.text)[0]
        return self._lanes[lane]

    def _place(self, lane: Lane, start: int, end: int) -> tuple[int, int]:
        """Turn lane bytes into code points of the text."""
        if lane not in self._spans:
            self._spans[lane] = (spans_folded if lane == "folded" else spans_raw)(self.text)
        spans = self._spans[lane]
        if start == end:
            place = spans[start][0] if start < len(spans) else len(self.text)
            return place, place
        return spans[start][0], spans[end - 1][1]


def _compare(count: int, atom: Atom) -> bool:
    constant = atom.constant
    if isinstance(constant, str):
        return True
    return {
        "<": count < constant,
        "<=": count <= constant,
        "==": count == constant,
        "!=": count != constant,
        ">=": count >= constant,
        ">": count > constant,
    }[atom.op]
