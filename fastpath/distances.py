"""Bound the indexes by Hamming distance and say what they hand back; no logic."""

from __future__ import annotations

import re
from array import array
from typing import NamedTuple

MIN_GRAMS = 20  # of a text; shorter texts collide, and have no SimHash

MAX_SIMHASHES = 16_777_216  # entries of one index, 32 bytes each
MAX_SIMHASH_RADIUS = 7  # 4 words of 16 bits, one flip each: below 4 * 2
MAX_PDQS = 16_777_216  # entries of one index, 128 bytes each
MAX_PDQ_RADIUS = 31  # 16 words of 16 bits, one flip each: below 16 * 2

# A bucket holds at most so many entries, the first ones; a query that reads a fuller one is
# marked. At a million entries of even spread a bucket holds 15, at ten million 153.
MAX_RUN_SIMHASH = 4_096
MAX_RUN_PDQ = 1_024

# Up to here all entries are compared, eight queries in a pass; above, the index is faster
# (benchmark `pdq`).
BRUTE_PDQS = 16_384

# Entries added since the index was built are compared one by one, until they are merged.
MAX_PENDING_SIMHASH = 4_096
MAX_PENDING_PDQ = 65_536


class NearFound(NamedTuple):
    """Hold what a batch of queries found: query i has the hits starts[i] to starts[i + 1]."""

    starts: array[int]  # uint32, queries + 1
    entries: array[int]  # uint32, rising within a query
    distances: array[int]  # uint32
    capped: bytes  # per query: 1 where a bucket that it read had left entries out


SIMHASH_ENTRY = f"16 hex digits that are not all 0, or a text of at least {MIN_GRAMS} grams"
_SIMHASH = re.compile(r"[0-9A-Fa-f]{16}")


def is_simhash(entry: str) -> bool:
    """Say whether an entry of a SimHash list is the hash itself; no text of 16 letters has one."""
    return _SIMHASH.fullmatch(entry) is not None
