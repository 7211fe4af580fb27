"""Define SimHash-64 of a text, and what an index finds within a Hamming distance.

SimHash is Charikar's (2002) over character 4-grams. Where no bucket is full, an index finds
exactly the entries within its radius; where one is, an entry that it left out is found through
another of its words, if one leads to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from fastpath.distances import (
    BRUTE_PDQS,
    MAX_RUN_PDQ,
    MAX_RUN_SIMHASH,
    MIN_GRAMS,
)
from fastpath.reference.text import DIGITS, SPACES, WORD

GRAM = 4  # code points
# The fixed constants of simhash.h.
_GRAM_FIRST = 0xA4093822299F31D1
_GRAM_LAST = 0xC0AC29B7C97C50DD
_GRAM_MIX = 0x9216D5D98979FB1B
_MASK = 2**64 - 1
_WORD_BITS = 16


def gram_text(lane: str) -> str:
    """Return the text whose grams are hashed, from the folded lane.

    From left to right: `http://`, `https://` or `www.` up to white space becomes 0x01, `@` with
    the word characters after it 0x02, a run of decimal digits `0`, a run of white space one
    space, and none at either end.
    """
    out: list[str] = []
    index = 0
    while index < len(lane):
        start = index
        index += 1
        if lane.startswith(("http://", "https://", "www."), start):
            index = _end(lane, index, lambda point: point not in SPACES)
            out.append("\x01")
        elif lane[start] == "@" and index < len(lane) and ord(lane[index]) in WORD:
            index = _end(lane, index, lambda point: point in WORD)
            out.append("\x02")
        elif ord(lane[start]) in DIGITS:
            index = _end(lane, index, lambda point: point in DIGITS)
            out.append("0")
        elif ord(lane[start]) in SPACES:
            index = _end(lane, index, lambda point: point in SPACES)
            out.append(" ")
        else:
            out.append(lane[start])
    if out and out[-1] == " ":
        out.pop()
    return "".join(out[1:] if out and out[0] == " " else out)


def _end(lane: str, index: int, belongs: Callable[[int], bool]) -> int:
    while index < len(lane) and belongs(ord(lane[index])):
        index += 1
    return index


def _fold(a: int, b: int) -> int:
    product = a * b
    return (product >> 64) ^ (product & _MASK)


@lru_cache(maxsize=65_536)
def gram_hash(gram: str) -> int:
    """Return the 64-bit hash of four code points."""
    a, b, c, d = map(ord, gram)
    first = a | b << 21 | c << 42
    return _fold(_fold(first ^ _GRAM_FIRST, d ^ _GRAM_LAST), _GRAM_MIX)


def simhash(lane: str) -> int:
    """Return the SimHash of a folded lane; 0 where it has fewer than MIN_GRAMS grams.

    Bit i is set where more than half of the grams, repeats counted, have it set.
    """
    return _simhash_of_grams(gram_text(lane))


@lru_cache(maxsize=65_536)
def _simhash_of_grams(text: str) -> int:
    grams = Counter(text[at : at + GRAM] for at in range(len(text) - GRAM + 1))
    total = grams.total()
    if total < MIN_GRAMS:
        return 0
    ones = [0] * 64
    for gram, count in grams.items():
        hashed = gram_hash(gram)
        for bit in range(64):
            ones[bit] += count * (hashed >> bit & 1)
    return sum(1 << bit for bit in range(64) if 2 * ones[bit] > total)


class NearIndex:
    """Find hashes within a radius; see `fastpath.near`. Hashes are integers."""

    def __init__(self, hashes: Sequence[int], radius: int, bits: int, cap: int | None) -> None:
        self.hashes = list(hashes)
        self.indexed = len(self.hashes) if cap is not None else 0
        self.radius = radius
        self.words = bits // _WORD_BITS
        buckets = Counter[tuple[int, int]]()
        self.left_out: set[tuple[int, int]] = set()  # entry, word
        self.full: set[tuple[int, int]] = set()  # word, value
        for entry, held in enumerate(self.hashes[: self.indexed]):
            for word in range(self.words):
                bucket = (word, self._word(held, word))
                buckets[bucket] += 1
                if cap is not None and buckets[bucket] > cap:
                    self.left_out.add((entry, word))
                    self.full.add(bucket)
        self.longest_run = max(buckets.values(), default=0)

    def add(self, hashes: Sequence[int]) -> None:
        """Add entries that are compared one by one."""
        self.hashes += hashes

    def query(self, query: int) -> tuple[list[tuple[int, int]], bool]:
        """Return (entry, distance) of every hit, and whether a bucket left entries out."""
        hits = []
        for entry, held in enumerate(self.hashes):
            differ = held ^ query
            if differ.bit_count() > self.radius:
                continue
            if entry >= self.indexed or any(
                self._leads(differ, word) and (entry, word) not in self.left_out
                for word in range(self.words)
            ):
                hits.append((entry, differ.bit_count()))
        return hits, any(bucket in self.full for bucket in self._buckets(query))

    def _word(self, value: int, word: int) -> int:
        return value >> (_WORD_BITS * word) & 0xFFFF

    def _leads(self, differ: int, word: int) -> bool:
        own = self._word(differ, word).bit_count()
        following = self._word(differ, (word + 1) % self.words).bit_count()
        return own <= self.radius // self.words and own + following <= 2 * self.radius // self.words

    def _buckets(self, query: int) -> Iterator[tuple[int, int]]:
        flips = range(_WORD_BITS) if self.radius // self.words else ()
        for word in range(self.words):
            value = self._word(query, word)
            yield word, value
            yield from ((word, value ^ 1 << bit) for bit in flips)


def simhash_index(hashes: Sequence[int], radius: int) -> NearIndex:
    """Return the index of SimHashes."""
    return NearIndex(hashes, radius, 64, MAX_RUN_SIMHASH)


def pdq_index(hashes: Sequence[int], radius: int) -> NearIndex:
    """Return the index of PDQ hashes, given little-endian; short lists are compared one by one."""
    return NearIndex(hashes, radius, 256, MAX_RUN_PDQ if len(hashes) > BRUTE_PDQS else None)
