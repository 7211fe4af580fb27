"""Evaluate gates in the plainest way, from a row and from nothing the gate compiler uses."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from fastpath.reference.evasion import measure
from fastpath.rows import Row
from fastpath.spec import FLAGS, NO_DISTANCE, Atom, Gate

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def gate_holds(gate: Gate, row: Row, windows: tuple[str, ...]) -> bool:
    if gate.kind == "and":
        return all(gate_holds(part, row, windows) for part in gate.parts)
    if gate.kind == "or":
        return any(gate_holds(part, row, windows) for part in gate.parts)
    assert gate.atom is not None
    value = _column(gate.atom, row, windows)
    return value is not None and _COMPARE[gate.atom.op](value, gate.atom.constant)


def _column(atom: Atom, row: Row, windows: tuple[str, ...]) -> object:
    post: dict[str, Any] = row.post
    account = post["account"]
    match atom.column:
        case "match":
            rows = sum(match.count for match in row.matches if match.list == atom.name)
            return rows + sum(1 for hit in row.hits if hit.list == atom.name)
        case "distance":
            near = [hit.distance for hit in row.hits if hit.list == atom.name]
            return min(near, default=NO_DISTANCE)
        case "window":
            return row.windows[windows.index(atom.name)]
        case "flag":
            return row.flags >> FLAGS.index(atom.name) & 1
        case "age_days":
            created = account.get("created_at")
            known = created is not None and created <= row.time
            return (row.time - created) // 86_400_000 if known else -1
        case "followers":
            return account.get("followers", -1)
        case "score":
            return post.get("scores", {}).get(atom.name)
        case "text_length":
            return len(post.get("text", ""))
        case "mixed_words" | "hidden_characters" | "direction_overrides":
            return getattr(measure(post.get("text", "")), atom.column)
        case "url_count" | "hashtag_count" | "media_count":
            key = {"url_count": "urls", "hashtag_count": "hashtags", "media_count": "media"}
            return len(post.get(key[atom.column], []))
        case "revision":
            return post["revision"]
        case "op":
            return post["op"]
        case "lang":
            return post.get("lang", "")
