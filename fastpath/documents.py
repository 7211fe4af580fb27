"""Read JSON as orjson takes it, and tell what its trees do not: keys that stood twice.

slow_path calls `parse` once per record that leaves the fast path; it takes microseconds, does not
block, and raises Refusal alone. A record of a quarter of a megabyte may hold little else than
brackets, strings or keys, so no statement runs for each of those unless a key repeats.
"""

from __future__ import annotations

import json
from itertools import accumulate

import orjson

from fastpath.field_maps import KeyTrie
from fastpath.spec import MAX_DEPTH

FLAT = 4  # levels that are taken off all at once, before brackets are counted one by one
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = {ord("["): 1, ord("]"): -1}


class Refusal(Exception):
    """Say why a record is no post: one of spec.REJECT_REASONS; `error` names path and type only."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error


class Repeating(dict[str, object]):
    """Hold a JSON object in which keys stood twice; the last value of each won."""

    def __init__(self, pairs: list[tuple[str, object]], members: dict[str, object]) -> None:
        super().__init__(members)
        self.earlier: dict[str, list[object]] = {}
        for key, value in pairs:
            self.earlier.setdefault(key, []).append(value)
        self.earlier = {key: values[:-1] for key, values in self.earlier.items() if values[1:]}


class Wide(float):
    """Hold an integer literal of more than 19 digits as the float that orjson makes of it."""


def parse(value: bytes, text: str, path: str) -> Document:
    """Parse JSON that is UTF-8, given as bytes and as the text they are.

    `path` names it in the message of the Refusal that is raised where it is nested too deep or no
    JSON.
    """
    bare = _without_strings(value)
    if _is_deeper(bare, MAX_DEPTH):
        raise Refusal("json_too_deep", f"{path}: nesting above {MAX_DEPTH}")
    try:
        root = orjson.loads(value)  # the acceptance oracle
    except orjson.JSONDecodeError as error:
        raise Refusal("json_invalid", f"{path}: {error.msg} at character {error.pos}") from None
    return Document(text, root if _is_whole(root, bare) else None)


def _without_strings(json_text: bytes) -> bytes:
    unescaped = json_text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2])


def _is_deeper(bare: bytes, depth: int) -> bool:
    """Say whether brackets stand deeper in each other; they need not be those of JSON."""
    brackets = bare.translate(_SQUARE, _NO_BRACKETS)
    for _ in range(FLAT):
        brackets = brackets.replace(b"[]", b"")  # the innermost of each branch
    return any(map((depth - FLAT).__lt__, accumulate(map(_STEPS.__getitem__, brackets))))


def _is_whole(root: object, bare: bytes) -> bool:
    """Say whether orjson's tree is all that the JSON says: no key was lost, no integer rounded.

    Integers that do not fit become floats of 2**63 and more, which orjson writes with exponents.
    """
    again = _without_strings(orjson.dumps(root))
    return bare.count(b":") == again.count(b":") and b"e+" not in again


def _integer(literal: str) -> int | float:
    return int(literal) if len(literal) <= 20 else Wide(literal)


class Document:
    """Hold parsed JSON, and whether a key stood twice anywhere in it.

    `root` is the tree of a parser that keeps one value a key, where that is known to be all;
    without it `text` is read by one that tells of every pair, at several times the cost.
    """

    def __init__(self, text: str, root: object | None) -> None:
        self._repeating = False
        if root is None:
            decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_int=_integer)
            root = decoder.decode(text)
        self.root = root

    def repeats(self, keys: KeyTrie) -> bool:
        """Say whether one of these keys stood twice where it is read."""
        return self._repeating and _repeats(self.root, keys)

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        if not pairs:
            return {}
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self._repeating = True
        return Repeating(pairs, members)


def _repeats(value: object, keys: KeyTrie) -> bool:
    if isinstance(value, list):
        # A list may hold 87,000 elements; where no key leads further, only what repeats counts.
        kinds = (dict if any(keys.values()) else Repeating, Repeating, list)
        if set(map(type, value)).isdisjoint(kinds):
            return False
        return any(_repeats(element, keys) for element in value if isinstance(element, kinds))
    if not isinstance(value, dict) or not keys:
        return False
    if isinstance(value, Repeating) and ("*" in keys or not keys.keys().isdisjoint(value.earlier)):
        return True
    return any(_repeats(value[key], below) for key, below in keys.items() if below and key in value)
