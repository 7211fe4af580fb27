"""Look digests up among millions: a list read from its file, then queries, on one thread.

The list is a file of SHA-256 digests in hex, one to a line; every second query stands in it. The
build is reading the file and making the set; every engine must find the same queries.
"""

from __future__ import annotations

import mmap
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks.definition import Definition
from benchmarks.jobs import peer
from benchmarks.measured import Engine, Measured, Stopwatch
from fastpath.exact import Digests, DigestSet, read_digests

BROKER = False
FRESH = False
WIDTH = 32  # bytes of a digest
_LINE = 2 * WIDTH + 1
_BLOCK = 10_000  # entries made at a time
_LIST, _QUERIES = "list.txt", "queries.txt"
_KEY = bytes(16)


class Held(Protocol):
    """Hold the digests of a list; made by a peer's `built`."""

    memory_bytes: int

    def find(self, queries: Sequence[bytes]) -> Sequence[int]:
        """Return of each query the number of its entry, from 0; -1 where there is none."""


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write the list and the queries."""
    count = definition.patterns["count"]
    rng = random.Random(definition.patterns["seed"])
    with (folder / _LIST).open("wb") as out:
        for _ in range(count // _BLOCK):
            out.write(rng.randbytes(WIDTH * _BLOCK).hex("\n", WIDTH).encode() + b"\n")
    rng = random.Random(definition.corpus["seed"])
    with (folder / _LIST).open("rb") as held, (folder / _QUERIES).open("wb") as out:
        entries = mmap.mmap(held.fileno(), 0, prot=mmap.PROT_READ)
        for number in range(definition.corpus["queries"]):
            at = _LINE * rng.randrange(count)
            known = entries[at : at + _LINE]
            out.write(known if number % 2 else rng.randbytes(WIDTH).hex().encode() + b"\n")
        entries.close()
    yield {}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Build a set of the list."""
    queries = _read(folder / _QUERIES)
    with Stopwatch() as building:
        held = (
            _Own(folder / _LIST)
            if name == "weir"
            else cast(Held, cast(Any, peer(name)).built(folder / _LIST))
        )
    asked = queries if name == "weir" else [bytes.fromhex(query) for query in queries]
    return _Lookups(held, asked, definition.patterns["count"], building.cpu_seconds)


def _read(path: Path) -> Digests:
    with path.open("rb") as file:
        read = read_digests(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), WIDTH)
    if isinstance(read, tuple):
        raise TypeError(f"{path}:{read[0]} holds no digest")
    return read


class _Own:
    def __init__(self, path: Path) -> None:
        self._held = DigestSet(_read(path), _KEY)
        self.memory_bytes = self._held.memory_bytes

    def find(self, queries: Digests) -> Sequence[int]:
        """Find the entry of each query, -1 where there is none."""
        return self._held.find(queries)


class _Lookups:
    """Look all queries up in one call."""

    def __init__(self, held: Any, queries: Any, entries: int, build_s: float) -> None:
        self._held, self._queries = held, queries
        self._figures = {"build_s": build_s, "bytes_per_entry": held.memory_bytes / entries}

    def measure(self) -> Measured:
        """Look every query up once."""
        with Stopwatch() as watch:
            found = self._held.find(self._queries)
        hits = [number for number, entry in enumerate(found) if entry >= 0]
        count = len(found)
        return Measured(
            count,
            watch.seconds,
            watch.cpu_seconds,
            {"queries": count, "hits": len(hits)},
            map(str, hits),
            figures={"ns_per_query": 1e9 * watch.cpu_seconds / count, **self._figures},
        )

    def close(self) -> None:
        """Hold nothing that must be closed."""
