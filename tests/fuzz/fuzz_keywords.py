"""Fuzz keyword lists: options, patterns and texts from the input, the core against its twin.

Run: `python -m tests.fuzz keywords`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastpath import keywords as compiled
from fastpath.errors import BuildError
from fastpath.reference import keywords as twin
from fastpath.spec import LANES, Boundary, KeywordList, Report

MAX_LISTS = 3
MAX_PART_BYTES = 2_000  # the twin compares everything with everything
BOUNDARIES: tuple[Boundary, ...] = ("word", "prefix", "none")
REPORTS: tuple[Report, ...] = ("all", "leftmost-longest")


def lists_of(options: bytes, parts: list[str]) -> list[KeywordList]:
    """Read lists: four bytes of options for each, its patterns and exceptions from the parts."""
    lists = []
    for at in range(0, min(len(options), 4 * MAX_LISTS) - 3, 4):
        what, chosen, patterns, exceptions = options[at : at + 4]
        lanes = tuple(lane for bit, lane in enumerate(LANES) if chosen >> bit & 1) or ("folded",)
        taken = [parts.pop(0) for _ in range(min(patterns % 8, len(parts)))]
        excepted = [parts.pop(0) for _ in range(min(exceptions % 4, len(parts)))]
        own = (lanes[:1], lanes)
        lists.append(
            KeywordList(
                name=f"l{at}",
                patterns=tuple(taken),
                lanes=lanes,
                boundary=BOUNDARIES[what % 3],
                insist=bool(what & 64),
                report=REPORTS[what >> 4 & 1],
                exceptions=tuple(excepted),
                pattern_lanes=tuple(own[number & 1] for number in range(len(taken)))
                if what & 128
                else (),
            )
        )
    return lists


def test_one(data: bytes) -> None:
    """Build both backends alike, or neither, and find the same in every text.

    The input is parted by 0xFF, which no UTF-8 holds: options, patterns, and what is left is texts.
    """
    options, *rest = data.split(b"\xff")
    parts = [part[:MAX_PART_BYTES].decode("utf-8", "replace") for part in rest]
    lists = lists_of(options, parts)
    reference, core = built(twin.Keywords, lists), built(compiled.Keywords, lists)
    if isinstance(reference, BuildError) or isinstance(core, BuildError):
        assert (core.kind, core.actual) == (reference.kind, reference.actual)
        return
    assert core.notes == reference.notes
    assert core.find_all(parts) == reference.find_all(parts)


def built(backend: Any, lists: list[KeywordList]) -> Any:
    """Return what a backend makes of lists: a table or the error."""
    try:
        return backend(lists)
    except BuildError as error:
        return error


def seeds() -> Iterator[bytes]:
    """Yield inputs to begin with."""
    yield from (
        b"\x00\x02\x02\x01\xffhell\xffhell fire\xffhell's kitchen\xffhell, hell  fire\n",
        b"\x12\x03\x04\x00\x00\x0f\x02\x00\xffa\xffab\xffaba\xffba\xffpaypal\xff\xd1\x81a\xffp4yp@l"
        b" p a y p a l \xd1\x80\xd0\xb0ypal\xffababa",
        b"\x81\x02\x03\x00\xff#x\xff\xe5\xad\x97\xfffoo ba\xfffoo bar #x\xe5\xad\x97",
    )
