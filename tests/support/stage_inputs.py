"""Make views, bundles and sightings for tests of the stages."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from fastpath.columns import Sighting
from fastpath.records import BatchView, SightingPacker
from tests.support.bundles import write_bundle
from worker.policy.bundle import Bundle, load_bundle
from worker.stages.protocols import Output

KEY = b"0123456789abcdef0123456789abcdef"
DIGEST = b"\x07" * 32


@cache
def base_bundle() -> Bundle:
    with tempfile.TemporaryDirectory() as folder:
        return load_bundle(write_bundle(Path(folder)))


def bundle_with(changes: Mapping[str, str], files: Mapping[str, str] | None = None) -> Bundle:
    with tempfile.TemporaryDirectory() as folder:
        return load_bundle(write_bundle(Path(folder), changes, dict(files or {})))


def view_of(
    values: Sequence[bytes | None],
    topic: str = "weir.signals",
    *,
    keys: Sequence[bytes | None] | None = None,
    times: Sequence[int] | None = None,
    first: int = 0,
    partition: int = 0,
) -> BatchView:
    n = len(values)
    return BatchView.from_records(
        topic,
        partition,
        keys if keys is not None else [None] * n,
        values,
        times if times is not None else [0] * n,
        list(range(first, first + n)),
    )


def sightings_value(sightings: Sequence[Sighting], topic: str = "posts") -> bytes:
    (batch,) = SightingPacker(topic, DIGEST, 1).pack(sightings)
    return batch.value


@dataclass(frozen=True)
class Content:
    """What of an output does not depend on where its stage read it."""

    topic: str
    key: bytes | None
    record: str
    headers: tuple[tuple[str, bytes], ...]


def content(output: Output) -> Content:
    record = orjson.loads(output.value or b"null")
    record.pop("in", None)
    return Content(output.topic, output.key, orjson.dumps(record).decode(), output.headers)
