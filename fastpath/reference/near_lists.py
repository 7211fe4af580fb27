"""Look posts up in the lists that are compared by distance, in plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastpath.distances import SIMHASH_ENTRY, is_simhash
from fastpath.errors import BuildError
from fastpath.reference.near import NearIndex, pdq_index, simhash, simhash_index
from fastpath.reference.posts import Medium
from fastpath.reference.text import fold_text
from fastpath.spec import MAX_HITS, HashList


class NearHits(NamedTuple):
    """Hold what a post hits: (list, entry, distance) by list, then entry."""

    hits: list[tuple[int, int, int]]
    truncated: bool  # a bucket left entries out, or a list had more than MAX_HITS hits


class NearLists:
    """Own the indexes of a screen's lists by distance."""

    def __init__(self, lists: Sequence[HashList]) -> None:
        self._lists = [
            (place, held, _index(held))
            for place, held in enumerate(lists)
            if held.kind in ("simhash", "pdq")
        ]

    def find(self, text_hash: int, media: Sequence[Medium]) -> NearHits:
        """Return the hits of a post; an entry counts once, at its least distance."""
        hits: list[tuple[int, int, int]] = []
        truncated = False
        for place, held, index in self._lists:
            nearest: dict[int, int] = {}
            for query in _queries(held, text_hash, media):
                found, capped = index.query(query)
                truncated |= capped
                for entry, distance in found:
                    nearest[entry] = min(distance, nearest.get(entry, distance))
            ranked = sorted((distance, entry) for entry, distance in nearest.items())
            truncated |= len(ranked) > MAX_HITS
            hits += [(place, entry, distance) for distance, entry in ranked[:MAX_HITS]]
        return NearHits(sorted(hits), truncated)


def _index(held: HashList) -> NearIndex:
    if held.kind == "pdq":
        return pdq_index([_pdq(entry) for entry in held.entries], held.radius)
    return simhash_index([_simhash(entry) for entry in held.entries], held.radius)


def _pdq(digits: str) -> int:
    return int.from_bytes(bytes.fromhex(digits), "little")


def _simhash(entry: str) -> int:
    hashed = int(entry, 16) if is_simhash(entry) else simhash(fold_text(entry))
    if not hashed:
        raise BuildError("simhash entry", SIMHASH_ENTRY, repr(entry))
    return hashed


def _queries(held: HashList, text_hash: int, media: Sequence[Medium]) -> Iterable[int]:
    if held.kind == "simhash":
        return [text_hash] if text_hash else []
    return [
        _pdq(medium.pdq)
        for medium in media
        if medium.pdq and (medium.pdq_quality is None or medium.pdq_quality >= held.min_quality)
    ]
