"""Look PDQ hashes up as moderation services do: the PDQ index of python-threatexchange."""

from __future__ import annotations

import faiss
from threatexchange.signal_type.pdq.pdq_index import PDQIndex


def index(entries: bytes, bits: int, radius: int) -> ThreatExchangeIndex:
    """Build the index; its radius is 31 and its hashes are PDQ's."""
    if (bits, radius) != (256, 31):
        raise ValueError("the PDQ index has 256 bits and the radius 31")
    return ThreatExchangeIndex(entries)


class ThreatExchangeIndex:
    """Query one hash at a time, as its interface has it."""

    def __init__(self, entries: bytes) -> None:
        faiss.omp_set_num_threads(1)
        size = len(entries) // 32
        self._index = PDQIndex(
            (entries[32 * place : 32 * place + 32].hex(), place) for place in range(size)
        )

    def find(self, queries: bytes) -> list[list[tuple[int, int]]]:
        """Look a batch up, query by query."""
        return [
            [
                (match.metadata, match.similarity_info.distance)
                for match in self._index.query(queries[at : at + 32].hex())
            ]
            for at in range(0, len(queries), 32)
        ]
