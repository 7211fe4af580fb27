"""Check that a campaign condition, once true for a run of sightings, stays true when it grows.

Only then is a campaign a set: what is signalled does not depend on the order of arrival.
"""

from __future__ import annotations

from typing import NamedTuple

from worker.policy.tree import Call, Ident, Node, walk

_FLIPPED = {"_<_": "_>_", "_<=_": "_>=_", "_>=_": "_<=_", "_>_": "_<_"}
_RISING = ("_>=_", "_>_")
_FALLING = ("_<=_", "_<_")


class Violation(NamedTuple):
    """Point at a part under which more sightings could make the condition false."""

    at: int
    hint: str


def violations(node: Node, rising: bool = True) -> list[Violation]:
    """List the parts of a condition that could turn false (`rising`), or true, as counts grow."""
    if not any(_is_count(each) for each in walk(node)):
        return []
    if not isinstance(node, Call):
        return [_not_a_comparison(node)]
    match node.function:
        case "_&&_" | "_||_":
            return [found for part in node.args for found in violations(part, rising)]
        case "!_":
            return violations(node.args[0], not rising)
        case "_?_:_":
            chosen, *branches = node.args
            if not violations(chosen, True) and not violations(chosen, False):
                return [found for part in branches for found in violations(part, rising)]
            return [Violation(node.at, "choose with && and || instead of ?:")]
        case "_<_" | "_<=_" | "_>=_" | "_>_":
            return _comparison(node, rising)
        case "_==_" | "_!=_":
            return [Violation(node.at, "compare counts with >= or >")]
        case _:
            return [_not_a_comparison(node)]


def _comparison(node: Call, rising: bool) -> list[Violation]:
    function, (left, right) = node.function, node.args
    if not _grows(left):
        function, left, right = _FLIPPED[function], right, left
    if not _grows(left) or any(_is_count(each) for each in walk(right)):
        return [Violation(node.at, "compare a count with a constant")]
    if function in (_RISING if rising else _FALLING):
        return []
    return [Violation(node.at, "compare counts with >= or >")]


def _grows(node: Node) -> bool:
    """Say whether a number is a count or a sum of counts."""
    if isinstance(node, Call) and node.function == "_+_":
        return all(_grows(part) for part in node.args)
    return _is_count(node)


def _is_count(node: Node) -> bool:
    if not isinstance(node, Ident):
        return False
    return node.name.startswith("windows.") or node.name == "fingerprint.sightings"


def _not_a_comparison(node: Node) -> Violation:
    return Violation(node.at, "compare counts with >= or >, joined by && and ||")
