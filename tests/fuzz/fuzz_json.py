"""Fuzz the post reader against orjson and the twin: `python -m tests.fuzz json`.

The first byte chooses the field map, the rest are records, between bytes that no JSON holds.
Whatever the reader accepts, the twin accepts with the same values, on every level of vector
instructions and whatever was read before; the reader never crashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from fastpath import ISA
from fastpath.field_maps import PRESETS, load_field_map
from fastpath.isa import LEVELS
from fastpath.posts import PostReader, fields_of
from tests.support.json_documents import ACCEPT, REJECT
from tests.support.post_readings import check

GOLDEN = Path(__file__).parents[1] / "golden" / "presets"
MAPS = [load_field_map(preset) for preset in PRESETS]
READERS = [
    [PostReader(field_map, isa) for isa in LEVELS[: LEVELS.index(ISA) + 1]] for field_map in MAPS
]
FRESH = [PostReader(field_map) for field_map in MAPS]


SEPARATOR = b"\x1e"


def test_one(data: bytes) -> None:
    """Read one input; raises AssertionError where two readings differ."""
    if not data:
        return
    readers, fresh = READERS[data[0] % len(READERS)], FRESH[data[0] % len(READERS)]
    for reader in readers:
        reader.forget()
    for value in data[1:].split(SEPARATOR):
        fresh.forget()
        due = fields_of(fresh, value)
        readings = [fields_of(reader, value) for reader in readers for _ in range(2)]
        assert all(reading == due for reading in readings), (value, due, readings)
        check(value, readers[-1])


def seeds() -> Iterator[bytes]:
    """Yield inputs to begin with: posts of every platform, and JSON that is meant to confuse."""
    for place, preset in enumerate(PRESETS):
        for case in json.loads((GOLDEN / f"{preset}.json").read_text(encoding="utf-8")):
            for ascii_only in (True, False):
                document = json.dumps(case["document"], ensure_ascii=ascii_only)
                value = document.encode("utf-8", "surrogatepass")
                yield bytes([place]) + value
                yield bytes([place]) + SEPARATOR.join((value, value[::2], value))
    post = b'\0{"id":"1","account":{"id":"u"},"text":"t","x":%b}'
    yield from (post % document for _, document in ACCEPT + REJECT)
    yield from (post % b"1" + SEPARATOR + post[1:] % document for _, document in ACCEPT + REJECT)
