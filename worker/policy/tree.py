"""Read the type-checked syntax tree out of a compiled CEL expression.

`cel_expr_python` serializes an expression as google.protobuf.Any of cel.expr.CheckedExpr
(github.com/google/cel-spec, proto/cel/expr/{checked,syntax}.proto). Only the fields named below
are read; protobuf skips the rest, and a node of a kind that is not named becomes `Unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "weir.cel"  # our own copy: never clashes with a pool that holds the real one
_INT64, _BOOL, _STRING, _DOUBLE, _UINT64, _BYTES, _INT32 = 3, 8, 9, 1, 4, 12, 5
_MESSAGE = 11

# message -> field -> (number, type or message name, repeated)
_FIELDS: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "CheckedExpr": {"expr": (4, "Expr", False), "source_info": (5, "SourceInfo", False)},
    "SourceInfo": {"positions": (4, "Position", True)},
    "Position": {"key": (1, _INT64, False), "value": (2, _INT32, False)},
    "Expr": {
        "id": (2, _INT64, False),
        "const_expr": (3, "Constant", False),
        "ident_expr": (4, "Ident", False),
        "select_expr": (5, "Select", False),
        "call_expr": (6, "Call", False),
        "list_expr": (7, "CreateList", False),
        "comprehension_expr": (9, "Comprehension", False),
    },
    "Ident": {"name": (1, _STRING, False)},
    "Select": {
        "operand": (1, "Expr", False),
        "field": (2, _STRING, False),
        "test_only": (3, _BOOL, False),
    },
    "Call": {
        "target": (1, "Expr", False),
        "function": (2, _STRING, False),
        "args": (3, "Expr", True),
    },
    "CreateList": {"elements": (1, "Expr", True)},
    "Comprehension": {
        "iter_range": (2, "Expr", False),
        "accu_var": (3, _STRING, False),
        "accu_init": (4, "Expr", False),
        "loop_condition": (5, "Expr", False),
        "loop_step": (6, "Expr", False),
        "result": (7, "Expr", False),
    },
    "Constant": {
        "bool_value": (2, _BOOL, False),
        "int64_value": (3, _INT64, False),
        "uint64_value": (4, _UINT64, False),
        "double_value": (5, _DOUBLE, False),
        "string_value": (6, _STRING, False),
        "bytes_value": (7, _BYTES, False),
    },
}
_KNOWN_CONSTANTS = ("bool_value", "int64_value", "double_value", "string_value")


@dataclass(frozen=True, slots=True)
class Const:
    """Hold a literal; `at` is its code point in the source, as in every node."""

    value: bool | int | float | str
    at: int


@dataclass(frozen=True, slots=True)
class Ident:
    """Name a variable, dotted names resolved to one."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Select:
    """Read a field of a message or map; `test` is the macro has()."""

    operand: Node
    field: str
    test: bool
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """Apply a function or operator (`_&&_`, `!_`, `_>=_`); a receiver is the first argument."""

    function: str
    args: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Write out a list."""

    elements: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Fold:
    """Fold over a list or map: what exists(), all(), map(), filter() expand to."""

    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node
    at: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stand for anything else; whoever meets it must assume nothing."""

    at: int


Node: TypeAlias = Const | Ident | Select | Call | Listing | Fold | Unknown


def checked_tree(serialized: bytes) -> Node:
    """Decode what `Expression.serialize()` gives; the root of the tree, macros expanded.

    Raises:
        google.protobuf.message.DecodeError: The bytes are no such message.
    """
    wrapper = any_pb2.Any.FromString(serialized)
    checked = _CHECKED.FromString(wrapper.value)
    places = {entry.key: entry.value for entry in checked.source_info.positions}
    return _node(checked.expr, places)


def walk(node: Node) -> list[Node]:
    """List a tree's nodes, parents before children."""
    found: list[Node] = [node]
    for each in found:
        found.extend(children(each))
    return found


def children(node: Node) -> tuple[Node, ...]:
    """List the nodes right below one."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.args
        case Listing():
            return node.elements
        case Fold():
            return (node.range, node.start, node.condition, node.step, node.result)
        case _:
            return ()


def _node(expr: Any, places: dict[int, int]) -> Node:
    at = places.get(expr.id, 0)
    match expr.WhichOneof("expr_kind"):
        case "const_expr":
            kind = expr.const_expr.WhichOneof("constant_kind")
            known = kind in _KNOWN_CONSTANTS
            return Const(getattr(expr.const_expr, kind), at) if known else Unknown(at)
        case "ident_expr":
            return Ident(expr.ident_expr.name.removeprefix("."), at)
        case "select_expr":
            select = expr.select_expr
            return Select(_node(select.operand, places), select.field, select.test_only, at)
        case "call_expr":
            call = expr.call_expr
            args = [call.target, *call.args] if call.HasField("target") else call.args
            return Call(call.function, tuple(_node(arg, places) for arg in args), at)
        case "list_expr":
            return Listing(tuple(_node(e, places) for e in expr.list_expr.elements), at)
        case "comprehension_expr":
            return _fold(expr.comprehension_expr, places, at)
        case _:
            return Unknown(at)


def _fold(fold: Any, places: dict[int, int], at: int) -> Fold:
    return Fold(
        _node(fold.iter_range, places),
        fold.accu_var,
        _node(fold.accu_init, places),
        _node(fold.loop_condition, places),
        _node(fold.loop_step, places),
        _node(fold.result, places),
        at,
    )


def _checked_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="weir_cel.proto", package=_PACKAGE)
    file.syntax = "proto3"
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        oneof = {"Expr": "expr_kind", "Constant": "constant_kind"}.get(name)
        if oneof is not None:
            message.oneof_decl.add(name=oneof)
        for field_name, (number, kind, repeated) in fields.items():
            field = message.field.add(name=field_name, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                field.type, field.type_name = _MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
            if oneof is not None and field_name != "id":
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.CheckedExpr")
    return message_factory.GetMessageClass(descriptor)


_CHECKED = _checked_class()
