"""Point into a JSON document: RFC 6901 with each-element, selection and alternatives.

`/a/b` is the member b of a. `/a/0` is an element by place. `/a[]/b` is b of each element.
`/a[k=v]/b` takes the elements whose k is the string v; `[k=/p]` compares with what /p points at.
`/a|b` takes b where a is absent. `~0` and `~1` write `~` and `/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastpath.errors import BuildError

_STEP = re.compile(r"/([^/\[\]]*)(\[(?:([^=\[\]]+)=([^\[\]]*))?\])?")
GRAMMAR = "/key/0/key[]/key[name=value]/one|other, with ~0 for ~ and ~1 for /"


@dataclass(frozen=True, slots=True)
class Step:
    """Go down one level: by the first key that stands, then perhaps into the elements."""

    keys: tuple[str, ...]
    each: bool = False
    select: str = ""  # the member that is compared, "" where all elements are taken
    equals: str | Pointer = ""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Hold a parsed pointer; `text` is how it was written."""

    text: str
    steps: tuple[Step, ...]

    def find(self, document: object, root: object) -> list[object]:
        """Return what stands there, in document order, nulls left out; nothing raises.

        `root` is where the pointers inside selections start; both are parsed JSON.
        """
        found = [document]
        for step in self.steps:
            if len(found) == 1 and not step.each:  # the common case, without a generator
                below = _member(found[0], step.keys)
                if below is None:
                    return []
                found = [below]
            else:
                found = list(_descend(found, step, root))
        return found


def parse_pointer(text: str) -> Pointer:
    """Parse a pointer; raise BuildError naming it where it is malformed."""
    steps: list[Step] = []
    end = 0
    while end < len(text):
        match = _STEP.match(text, end)
        if match is None:
            raise BuildError("field map pointer", GRAMMAR, repr(text))
        key, brackets, select, equals = match.groups()
        target: str | Pointer = equals or ""
        if isinstance(target, str) and target.startswith("/"):
            target = parse_pointer(target)
        keys = tuple(_unescape(part) for part in key.split("|"))
        steps.append(Step(keys, brackets is not None, select or "", target))
        end = match.end()
    if not steps:
        raise BuildError("field map pointer", GRAMMAR, repr(text))
    return Pointer(text, tuple(steps))


def _unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _descend(values: Iterable[object], step: Step, root: object) -> Iterator[object]:
    for value in values:
        below = _member(value, step.keys)
        if below is None:
            continue
        if not step.each:
            yield below
        elif isinstance(below, list):
            yield from (e for e in below if e is not None and _selected(e, step, root))


def _member(value: object, keys: tuple[str, ...]) -> object:
    if isinstance(value, dict):
        for key in keys:
            found: object = value.get(key)
            if found is not None:
                return found
        return None
    if isinstance(value, list):
        places = (int(key) for key in keys if key.isascii() and key.isdigit() and len(key) < 6)
        return next((value[place] for place in places if place < len(value)), None)
    return None


def _selected(element: object, step: Step, root: object) -> bool:
    if not step.select:
        return True
    value = element.get(step.select) if isinstance(element, dict) else None
    wanted = step.equals
    if isinstance(wanted, Pointer):
        return value is not None and value in wanted.find(root, root)
    return value == wanted
