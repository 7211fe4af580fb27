"""Hold digests as Python does by itself: a dictionary from bytes to the number of the entry."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def built(path: Path) -> DigestDict:
    """Read a list of hex digests, one to a line."""
    with path.open(encoding="ascii") as lines:
        return DigestDict({bytes.fromhex(line): number for number, line in enumerate(lines)})


class DigestDict:
    """Look digests up in a dictionary."""

    def __init__(self, entries: dict[bytes, int]) -> None:
        self._entries = entries
        sample = next(iter(entries.items()))
        self.memory_bytes = sys.getsizeof(entries) + len(entries) * sum(map(sys.getsizeof, sample))

    def find(self, queries: Sequence[bytes]) -> Sequence[int]:
        """Return of each query the number of its entry, -1 where there is none."""
        get = self._entries.get
        return [get(query, -1) for query in queries]
