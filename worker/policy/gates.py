"""Compile a rule's condition into a gate: a filter over columns that the core can test.

The law: where a gate is false, the condition is false or an error. A gate may be true for a post
whose condition is false; what the compiler does not understand is therefore true. Negation is
pushed down to the atoms, so a gate holds none: the compiler asks of each node "when can it be
true?" and "when can it be false?".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from fastpath.spec import GATE_TRUE, Atom, AtomColumn, AtomOp, Gate
from worker.policy.tree import Call, Const, Fold, Ident, Listing, Node, Select

GATE_FALSE = Gate("or")

_FLIPPED: dict[AtomOp, AtomOp] = {
    "<": ">", "<=": ">=", "==": "==", "!=": "!=", ">=": "<=", ">": "<"
}  # fmt: skip
_NEGATED: dict[AtomOp, AtomOp] = {
    "<": ">=", "<=": ">", "==": "!=", "!=": "==", ">=": "<", ">": "<="
}  # fmt: skip
_COMPARISONS: dict[str, AtomOp] = {
    "_<_": "<", "_<=_": "<=", "_==_": "==", "_!=_": "!=", "_>=_": ">=", "_>_": ">"
}  # fmt: skip
# Least value of each whole-number column: `windows.x >= 0` says nothing and must not pass as a
# gate that filters.
_LEAST: dict[AtomColumn, int] = {
    "match": 0,
    "distance": 0,
    "window": 0,
    "flag": 0,
    "age_days": -1,
    "followers": -1,
    "revision": 0,
    "text_length": 0,
    "url_count": 0,
    "hashtag_count": 0,
    "media_count": 0,
    "mixed_words": 0,
    "hidden_characters": 0,
    "direction_overrides": 0,
}
_IDENTS: dict[str, AtomColumn] = {
    "account.age_days": "age_days",
    "account.followers": "followers",
    "post.revision": "revision",
    "post.text_length": "text_length",
    "post.url_count": "url_count",
    "post.hashtag_count": "hashtag_count",
    "post.media_count": "media_count",
    "post.mixed_words": "mixed_words",
    "post.hidden_characters": "hidden_characters",
    "post.direction_overrides": "direction_overrides",
    "post.lang": "lang",
    "post.op": "op",
}
_SIZES: dict[str, AtomColumn] = {
    "post.urls": "url_count",
    "post.hashtags": "hashtag_count",
    "post.text": "text_length",
}
# What a condition sees of a list in a post. CEL builds lists in quadratic time: filter() over
# 10,000 entries takes 2 s, over 64 under 1 ms; and two lists in each other stay below the 10,000
# steps after which it gives up. As many URLs are looked up (fastpath.spec.MAX_URLS).
MAX_LISTED = 64
_LISTED = ("post.urls", "post.hashtags")

Constant: TypeAlias = bool | int | float | str


class _Column(NamedTuple):
    column: AtomColumn
    name: str = ""


def compile_gate(tree: Node) -> Gate:
    """Build the gate of a condition from its checked tree; GATE_TRUE if nothing can be tested."""
    return _gate(tree, True)


def is_true(gate: Gate) -> bool:
    """Say whether a gate lets every post pass."""
    return gate.kind == "and" and not gate.parts


def is_false(gate: Gate) -> bool:
    """Say whether a gate lets no post pass."""
    return gate.kind == "or" and not gate.parts


def all_of(parts: Iterable[Gate]) -> Gate:
    """Join gates that must all hold; flat, each once, false if one of them is."""
    kept = _flatten("and", parts)
    if any(is_false(part) for part in kept):
        return GATE_FALSE
    return kept[0] if len(kept) == 1 else Gate("and", parts=tuple(kept))


def any_of(parts: Iterable[Gate]) -> Gate:
    """Join gates of which one must hold; flat, each once, true if one of them is."""
    kept = _flatten("or", parts)
    if any(is_true(part) for part in kept):
        return GATE_TRUE
    return kept[0] if len(kept) == 1 else Gate("or", parts=tuple(kept))


def _flatten(kind: str, parts: Iterable[Gate]) -> list[Gate]:
    kept: list[Gate] = []
    for part in parts:
        inner = part.parts if part.kind == kind else (part,)
        kept.extend(each for each in inner if each not in kept)
    return kept


def _gate(node: Node, wanted: bool) -> Gate:
    """Say when `node` can evaluate to `wanted`."""
    match node:
        case Const(value=bool(value)):
            return GATE_TRUE if value is wanted else GATE_FALSE
        case Ident():
            return _truth(node.name, wanted)
        case Select(test=True):
            return _presence(node, wanted)
        case Call():
            return _call(node, wanted)
        case Fold():
            return _fold(node, wanted)
        case _:
            return GATE_TRUE


def _call(node: Call, wanted: bool) -> Gate:
    parts = node.args
    match node.function:
        case "!_":
            return _gate(parts[0], not wanted)
        case "_&&_" | "_||_":
            join = all_of if (node.function == "_&&_") is wanted else any_of
            return join(_gate(part, wanted) for part in parts)
        case "_?_:_":
            chosen = all_of((_gate(parts[0], True), _gate(parts[1], wanted)))
            other = all_of((_gate(parts[0], False), _gate(parts[2], wanted)))
            return any_of((chosen, other))
        case "@in":
            return _membership(parts[0], parts[1], wanted)
    op = _COMPARISONS.get(node.function)
    return GATE_TRUE if op is None else _comparison(op, parts[0], parts[1], wanted)


def _comparison(op: AtomOp, left: Node, right: Node, wanted: bool) -> Gate:
    if isinstance(left, Const) and not isinstance(right, Const):
        op, left, right = _FLIPPED[op], right, left
    if not isinstance(right, Const):
        return GATE_TRUE
    if not wanted:
        op = _NEGATED[op]
    if isinstance(left, Const):
        return _compare_constants(op, left.value, right.value)
    if isinstance(right.value, bool):
        return _gate(left, right.value is (op == "==")) if op in ("==", "!=") else GATE_TRUE
    column = _column(left)
    if column is None or _is_cut(left, right.value):
        return GATE_TRUE
    return _atom(column, op, right.value)


def _is_cut(node: Node, constant: int | float | str) -> bool:
    """Say whether the size of a list that is seen in part and its count may compare unlike."""
    match node:
        case Call(function="size", args=(Ident(name=name),)) if name in _LISTED:
            return isinstance(constant, int) and constant >= MAX_LISTED
    return False


def _compare_constants(op: AtomOp, left: Constant, right: Constant) -> Gate:
    if isinstance(left, str) or isinstance(right, str) or type(left) is not type(right):
        return GATE_TRUE  # strings order by code point in CEL; not worth a claim
    tests: dict[AtomOp, Callable[[float, float], bool]] = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        ">=": lambda a, b: a >= b,
        ">": lambda a, b: a > b,
    }
    return GATE_TRUE if tests[op](left, right) else GATE_FALSE


def _atom(column: _Column, op: AtomOp, constant: int | float | str) -> Gate:
    if isinstance(constant, str):
        if column.column not in ("lang", "op") or op not in ("==", "!="):
            return GATE_TRUE
    elif column.column in ("lang", "op") or (column.column == "score") is isinstance(constant, int):
        return GATE_TRUE  # only dyn() gets here: the checker keeps types apart
    least = _LEAST.get(column.column)
    if least is not None and isinstance(constant, int):
        above = constant < least or (constant == least and op in ("<", ">="))
        if above and op in (">", ">=", "!="):
            return GATE_TRUE
        if above and op in ("<", "<=", "=="):
            return GATE_FALSE
    return Gate("atom", Atom(column.column, column.name, op, constant))


def _column(node: Node) -> _Column | None:
    """Find the column that a node reads, if it reads just that."""
    match node:
        case Ident(name=name):
            if name in _IDENTS:
                return _Column(_IDENTS[name])
            head, _, rest = name.partition(".")
            if head == "windows":
                return _Column("window", rest)
            if head == "matches" and rest.endswith(".count"):
                return _Column("match", rest.removesuffix(".count"))
            if head == "matches" and rest.endswith(".distance"):
                return _Column("distance", rest.removesuffix(".distance"))
        case Call(function="size", args=(Ident(name=name),)) if name in _SIZES:
            return _Column(_SIZES[name])
        case Select(operand=Ident(name="scores"), field=field, test=False):
            return _Column("score", field)
        case Call(function="_[_]", args=(Ident(name="scores"), Const(value=str(key)))):
            return _Column("score", key)
    return None


def _truth(name: str, wanted: bool) -> Gate:
    head, _, rest = name.partition(".")
    if head == "matches" and rest.endswith(".any"):
        column = _Column("match", rest.removesuffix(".any"))
        return _atom(column, ">=" if wanted else "<", 1)
    if head == "flags":
        return _atom(_Column("flag", rest), "==", int(wanted))
    return GATE_TRUE


def _presence(node: Select, wanted: bool) -> Gate:
    """Test has(scores.k): any number is at least minus infinity, a missing one compares false."""
    if wanted and node.operand == Ident("scores", node.operand.at):
        return _atom(_Column("score", node.field), ">=", float("-inf"))
    return GATE_TRUE  # absence is no comparison


def _membership(item: Node, where: Node, wanted: bool) -> Gate:
    if isinstance(where, Listing) and all(isinstance(each, Const) for each in where.elements):
        each_equal = [_comparison("==", item, each, wanted) for each in where.elements]
        return any_of(each_equal) if wanted else all_of(each_equal)
    if isinstance(where, Ident) and where.name in _LISTED and wanted:
        return _atom(_Column(_SIZES[where.name]), ">=", 1)
    if where == Ident("scores", where.at) and isinstance(item, Const) and wanted:
        return _atom(_Column("score", str(item.value)), ">=", float("-inf"))
    return GATE_TRUE


def _fold(node: Fold, wanted: bool) -> Gate:
    """Use what a fold over an empty list gives: exists() false, all() true.

    Where that is not the wanted value, the list cannot be empty.
    """
    empty = node.start if node.result == Ident(node.accumulator, node.result.at) else None
    if not isinstance(empty, Const) or not isinstance(empty.value, bool) or empty.value is wanted:
        return GATE_TRUE
    if isinstance(node.range, Ident) and node.range.name in _LISTED:
        return _atom(_Column(_SIZES[node.range.name]), ">=", 1)
    return GATE_TRUE
