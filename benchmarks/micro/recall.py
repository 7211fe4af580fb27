"""Count how many words in disguise the lanes find, and what they find in ordinary text.

Disguises are those of tests/support/disguises.py. Words are those that the shipped sample writes
in lower case, and its texts are the ordinary text. What a disguise lane finds there beyond the
folded lane is a false match, unless it spells the word or people have read it and found it true.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
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
# A word as it stands between what is no letter, digit or part of a handle: a piece of a name in
# camel case is none. As long as an entry must be in the squeezed lane.
_WORD = re.compile(rf"(?<![^\W_])[a-z]{{{MIN_SQUEEZED_LETTERS},}}(?![^\W_])")
# What a text is that a disguise lane finds a word in, the worst last.
VERDICTS = ("spelled", "reviewed", "false_matches")


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
        self._vocabulary = vocabulary()
        chance = random.Random(definition.patterns["seed"])
        words = chance.sample(self._vocabulary, definition.patterns["count"])
        self._written = list(disguised(words, definition.corpus["seed"]))
        self._texts = [each.text for each in self._written]
        self._lists = {name: _keywords(words, lanes) for name, lanes in LESSER.items()}
        self._all = _keywords(words, LANES)
        self._judged = {"": self._all, "_vocabulary": _keywords(self._vocabulary, LANES)}
        reviewed = definition.options["reviewed"]
        self._reviewed = {(each["word"], each["written"]) for each in reviewed}

    def measure(self) -> Measured:
        """Match the disguised words, timed, and the ordinary texts by all lanes."""
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
        counts = {"texts": seen.total(), "found": found.total()}
        counts["vocabulary"] = len(self._vocabulary)
        clean = corpora.sample_texts()
        for suffix, lists in self._judged.items():
            verdicts = judged(lists, clean, self._reviewed)
            counts |= {f"{verdict}{suffix}": verdicts[verdict] for verdict in VERDICTS}
            figures[f"false_match_share{suffix}"] = verdicts["false_matches"] / len(clean)
        return Measured(
            len(self._texts),
            watch.seconds,
            watch.cpu_seconds,
            counts,
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


def judged(
    lists: Keywords, texts: Sequence[str], reviewed: Collection[tuple[str, str]]
) -> Counter[str]:
    """Count the texts in which disguise lanes find words that the folded lane does not.

    Args:
        lists: lists with the folded lane and disguise lanes.
        texts: ordinary texts.
        reviewed: (word, as it was written) of matches that people have read and found true.

    Returns:
        Texts by verdict, each under its worst: `spelled` where the matched letters are those of the
        word, `reviewed`, and `false_matches`.
    """
    worst: dict[int, int] = {}
    for index, word, written in beyond(lists, texts):
        verdict = 0 if spells(word, written) else 1 if (word, written) in reviewed else 2
        worst[index] = max(verdict, worst.get(index, 0))
    return Counter(VERDICTS[verdict] for verdict in worst.values())


def beyond(lists: Keywords, texts: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield what there is to judge: number of the text, word, and its first place as written."""
    for index, result in enumerate(lists.find_all(list(texts))):
        plain = {match.pattern for match in result.matches if match.lane == "folded"}
        for match in result.matches:
            if match.pattern not in plain:
                yield index, match.pattern, texts[index][match.start : match.end]


def spells(word: str, written: str) -> bool:
    """Tell whether two writings have the same letters in the same order, drawn out or not."""
    return _letters(word) == _letters(written)


def _letters(text: str) -> str:
    kept = filter(str.isalpha, unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter, _ in groupby(kept))


def vocabulary() -> list[str]:
    """Return the words that the shipped sample writes in lower case, sorted."""
    return sorted({word for text in corpora.sample_texts() for word in _WORD.findall(text)})


def _keywords(words: Sequence[str], lanes: tuple[Lane, ...]) -> Keywords:
    return Keywords([KeywordList("words", tuple(words), lanes)])
