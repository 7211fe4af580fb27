"""Compare by brute force: IndexBinaryFlat of faiss, one thread."""

from __future__ import annotations

import faiss
import numpy as np


def index(entries: bytes, bits: int, radius: int) -> FaissIndex:
    """Build the index; it compares every entry, with the processor's bit counts."""
    return FaissIndex(faiss.IndexBinaryFlat(bits), entries, bits, radius)


class FaissIndex:
    """Search a binary index of faiss within a radius."""

    def __init__(self, held: faiss.IndexBinary, entries: bytes, bits: int, radius: int) -> None:
        faiss.omp_set_num_threads(1)
        self._width, self._radius, self._index = bits // 8, radius, held
        self._index.add(self._rows(entries))

    def _rows(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, self._width)

    def find(self, queries: bytes) -> list[list[tuple[int, int]]]:
        """Look a batch up; faiss takes distances below its threshold."""
        starts, distances, entries = self._index.range_search(self._rows(queries), self._radius + 1)
        hits = list(zip(entries.tolist(), distances.astype(int).tolist(), strict=True))
        return [hits[starts[i] : starts[i + 1]] for i in range(len(starts) - 1)]
