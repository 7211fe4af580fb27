"""Look hashes up by Hamming distance, on one thread: SimHash of 64 bits, PDQ of 256.

Entries are random bits, as good hashes are. Half of the queries are entries with up to
`radius + 4` bits flipped, so that about as many stand within the radius as beyond; the others
are random. Every engine must find the same (query, entry, distance).
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks.definition import Definition
from benchmarks.jobs import peer
from benchmarks.measured import Engine, Measured, Stopwatch
from fastpath.near import PdqIndex, SimHashIndex

BROKER = False
FRESH = False
BATCH = 256  # queries of one call, as many as a chunk of posts has
_ENTRIES, _QUERIES = "entries.bin", "queries.bin"


class Index(Protocol):
    """Find (entry, distance) for each query of a batch; made by a peer's `index`."""

    def find(self, queries: bytes) -> list[list[tuple[int, int]]]:
        """Look a batch up; the hits of a query in any order."""


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write entries and queries as raw bytes."""
    width = definition.options["bits"] // 8
    entries = definition.patterns["count"]
    rng = random.Random(definition.patterns["seed"])
    held = b"".join(rng.randbytes(width * 10_000) for _ in range(entries // 10_000))
    (folder / _ENTRIES).write_bytes(held)
    queries = _queries(definition, held, width)
    (folder / _QUERIES).write_bytes(queries)
    yield {}


def _queries(definition: Definition, held: bytes, width: int) -> bytes:
    rng = random.Random(definition.corpus["seed"])
    made = []
    for number in range(definition.corpus["queries"]):
        query = rng.getrandbits(8 * width)
        if number % 2:
            place = width * rng.randrange(len(held) // width)
            query = int.from_bytes(held[place : place + width], "little")
            flips = rng.randrange(definition.options["radius"] + 5)
            for bit in rng.sample(range(8 * width), flips):
                query ^= 1 << bit
        made.append(query.to_bytes(width, "little"))
    return b"".join(made)


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Build an index over the entries."""
    entries, queries = (folder / _ENTRIES).read_bytes(), (folder / _QUERIES).read_bytes()
    bits, radius = definition.options["bits"], definition.options["radius"]
    with Stopwatch() as building:
        index = (
            _Own(entries, bits, radius)
            if name == "weir"
            else cast(Any, peer(name)).index(entries, bits, radius)
        )
    return _Lookups(index, queries, bits // 8, building.seconds)


class _Own:
    def __init__(self, entries: bytes, bits: int, radius: int) -> None:
        self._wide = bits == 256
        self._index = (
            PdqIndex(entries, radius) if self._wide else SimHashIndex(_words(entries), radius)
        )

    def find(self, queries: bytes) -> list[list[tuple[int, int]]]:
        """Look a batch up."""
        found = self._index.query(queries if self._wide else _words(queries))
        hits = list(zip(found.entries, found.distances, strict=True))
        starts = found.starts
        return [hits[starts[i] : starts[i + 1]] for i in range(len(starts) - 1)]


def _words(data: bytes) -> array[int]:
    words = array("Q")
    words.frombytes(data)
    return words


class _Lookups:
    """Look all queries up, batch by batch."""

    def __init__(self, index: Index, queries: bytes, width: int, build_s: float) -> None:
        self._index = index
        size = BATCH * width
        self._batches = [queries[at : at + size] for at in range(0, len(queries), size)]
        self._count = len(queries) // width
        self._build_s = build_s

    def measure(self) -> Measured:
        """Look every query up once, after a batch that is not timed."""
        self._index.find(self._batches[0])
        with Stopwatch() as watch:
            found = [hits for batch in self._batches for hits in self._index.find(batch)]
        lines = [
            f"{query} {entry} {distance}"
            for query, hits in enumerate(found)
            for entry, distance in hits
        ]
        return Measured(
            self._count,
            watch.seconds,
            watch.cpu_seconds,
            {"queries": self._count, "hits": len(lines)},
            lines,
            figures={
                "us_per_query": 1e6 * watch.cpu_seconds / self._count,
                "build_s": self._build_s,
            },
        )

    def close(self) -> None:
        """Hold nothing that must be closed."""
