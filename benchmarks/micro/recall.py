"""Count how many words in disguise the lanes find, and what they find in ordinary text.

Disguises are those of tests/support/disguises.py; words are those of the shipped sample, and so
is the ordinary text. A false match is a text in which the disguise lanes find a word that the
folded lane does not.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import corpora
from benchmarks.definition import Definition
from benchmarks.measured import Engine, Measured, Stopwatch
from fastpath.keywords import Keywords
from fastpath.lanes import MIN_SQUEEZED_LETTERS
from fastpath.spec import KeywordList, Lane
from tests.support.disguises import KINDS, disguised

BROKER = False
FRESH = False
LANES: tuple[Lane, ...] = ("folded", "skeleton", "squeezed")
LESSER: dict[str, tuple[Lane, ...]] = {
    "raw": ("raw",),
    "folded": ("folded",),
    "skeleton": ("folded", "skeleton"),
}


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Need no files: words and disguises are made from their seeds."""
    del definition, folder
    yield {"sample": corpora.digest_of(corpora.SAMPLE)}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Make the one engine; nothing else has these lanes."""
    del name, folder
    return Recall(definition)


class Recall:
    """Find disguised words with the lists of the definition."""

    def __init__(self, definition: Definition) -> None:
        words = _words(definition.patterns["seed"], definition.patterns["count"])
        self._words = words
        self._written = list(disguised(words, definition.corpus["seed"]))
        self._texts = [each.text for each in self._written]
        self._lists = {name: _keywords(words, lanes) for name, lanes in LESSER.items()}
        self._all = _keywords(words, LANES)

    def measure(self) -> Measured:
        """Match the disguised words and the ordinary texts by all lanes."""
        with Stopwatch() as watch:
            results = self._all.find_all(self._texts)
        found: Counter[str] = Counter()
        for each, result in zip(self._written, results, strict=True):
            found[each.kind] += any(match.pattern == each.word for match in result.matches)
        seen = Counter(each.kind for each in self._written)
        figures = {f"recall_{kind}": found[kind] / seen[kind] for kind in KINDS}
        figures["recall"] = found.total() / seen.total()
        for name, lists in self._lists.items():
            figures[f"recall_{name}_lane"] = self._recall(lists)
        clean = corpora.sample_texts()
        extra = _hit(self._all, clean) - _hit(self._lists["folded"], clean)
        figures["false_match_share"] = len(extra) / len(clean)
        return Measured(
            len(self._texts),
            watch.seconds,
            watch.cpu_seconds,
            {"texts": seen.total(), "found": found.total(), "false_matches": len(extra)},
            (f"{index} {match.pattern} {match.start}" for index, result in enumerate(results)
             for match in result.matches),
            sum(len(text.encode()) for text in self._texts),
            figures=figures,
        )  # fmt: skip

    def close(self) -> None:
        """Hold nothing."""

    def _recall(self, lists: Keywords) -> float:
        results = lists.find_all(self._texts)
        found = sum(
            any(match.pattern == each.word for match in result.matches)
            for each, result in zip(self._written, results, strict=True)
        )
        return found / len(self._texts)


def _words(seed: int, count: int) -> list[str]:
    known = {
        word
        for text in corpora.sample_texts()
        for word in re.findall(r"[a-z]+", text.lower())
        if len(word) >= MIN_SQUEEZED_LETTERS
    }
    return random.Random(seed).sample(sorted(known), count)


def _keywords(words: list[str], lanes: tuple[Lane, ...]) -> Keywords:
    return Keywords([KeywordList("words", tuple(words), lanes)])


def _hit(lists: Keywords, texts: tuple[str, ...]) -> set[int]:
    return {index for index, result in enumerate(lists.find_all(list(texts))) if result.matches}
