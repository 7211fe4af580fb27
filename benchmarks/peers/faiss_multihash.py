"""Look up by multi-index hashing: IndexBinaryMultiHash of faiss, one thread.

One table per 16 bits, and as many flipped bits as exact results need.
"""

from __future__ import annotations

import faiss

from benchmarks.peers.faiss_flat import FaissIndex


def index(entries: bytes, bits: int, radius: int) -> FaissIndex:
    """Build the index that finds every entry within the radius."""
    held = faiss.IndexBinaryMultiHash(bits, bits // 16, 16)
    held.nflip = radius // (bits // 16)
    return FaissIndex(held, entries, bits, radius)
