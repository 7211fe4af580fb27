"""Read posts with pysimdjson: one parser used again, each document converted at once.

Taking eleven fields one by one from a parsed document costs more than converting all of it, and
members that are absent cost an exception each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import simdjson

from benchmarks.peers.orjson_loads import fields_in

_parse = simdjson.Parser().parse


def reader() -> Callable[[Sequence[bytes]], object]:
    """Parse and convert each document."""
    return lambda documents: [_parse(document).as_dict() for document in documents]


def fields(document: bytes) -> dict[str, Any]:
    """Return all fields of one document."""
    return fields_in(_parse(document).as_dict())
