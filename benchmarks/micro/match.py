"""Match keyword lists at word boundaries, caseless, in process: one text after the other.

Every engine reads the same texts and patterns, both ASCII, where all agree on what a letter is and
on case. An output is the first place of a pattern in a text, so the sets can be compared.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks import corpora
from benchmarks.definition import OWN_ENGINE, Definition, DefinitionError
from benchmarks.jobs import peer
from benchmarks.measured import Engine, Measured, Stopwatch

BROKER = False
FRESH = False
TEXTS, PATTERNS = "texts.txt", "patterns.txt"  # one a line
WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
SHARED = corpora.ROOT.parent / "shared" / "data" / "labeled_tweets.csv.gz"
Found = tuple[int, int, int]  # text, pattern, first start


class Matcher(Protocol):
    """Name what the module of a peer offers as `Match`: made from patterns, asked for texts."""

    def find(self, texts: list[str]) -> list[Found]:
        """Return the first place of each pattern that stands in each text."""


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write texts and patterns, one a line."""
    what = definition.patterns
    patterns = corpora.patterns(what["seed"], what["count"])
    texts = _texts(definition.corpus, patterns)
    (folder / PATTERNS).write_text("".join(f"{each}\n" for each in patterns), encoding="ascii")
    (folder / TEXTS).write_text("".join(f"{each}\n" for each in texts), encoding="ascii")
    yield {name: corpora.digest_of(folder / name) for name in (TEXTS, PATTERNS)}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Make Weir's engine or a peer's."""
    del definition
    if name == OWN_ENGINE:
        return Weir(folder)
    module = cast("Any", peer(name))
    if hasattr(module, "engine"):
        return cast("Engine", module.engine(folder))
    return Peer(module.Match(read_lines(folder / PATTERNS)), read_lines(folder / TEXTS))


class Weir:
    """Fold and scan all texts in batches, as the screen does, without a row per text."""

    def __init__(self, folder: Path) -> None:
        from fastpath.keywords import Keywords, Scanner, TextBatch
        from fastpath.spec import KeywordList

        patterns = read_lines(folder / PATTERNS)
        keywords = Keywords([KeywordList("words", tuple(patterns))])
        self._scanner = Scanner(keywords)
        self._batch = TextBatch(read_lines(folder / TEXTS))
        self._figures = {
            "build_seconds": keywords.build_seconds,
            "table_mib": keywords.table_bytes / (1 << 20),
        }

    def measure(self) -> Measured:
        """Scan every text once."""
        with Stopwatch() as watch:
            columns = self._scanner.find_columns(self._batch)
        rows = memoryview(columns).cast("I")
        found = [(rows[at], rows[at + 2], rows[at + 4]) for at in range(0, len(rows), 7)]
        return measured(
            found, self._batch.count, self._batch.bytes, watch.seconds, watch.cpu_seconds,
            self._figures,
        )  # fmt: skip

    def close(self) -> None:
        """Hold nothing."""


class Peer:
    """Ask a library about each text."""

    def __init__(self, matcher: Matcher, texts: list[str]) -> None:
        self._matcher, self._texts = matcher, texts

    def measure(self) -> Measured:
        """Scan every text once."""
        with Stopwatch() as watch:
            found = self._matcher.find(self._texts)
        size = sum(map(len, self._texts))
        return measured(found, len(self._texts), size, watch.seconds, watch.cpu_seconds, {})

    def close(self) -> None:
        """Hold nothing."""


def measured(
    found: list[Found], posts: int, size: int, seconds: float, cpu: float, figures: dict[str, float]
) -> Measured:
    """Count and name what was found."""
    counts = {"posts_hit": len({text for text, _, _ in found}), "matches": len(found)}
    named = (f"{text} {pattern} {start}" for text, pattern, start in found)
    figures = {"mb_per_s": size / cpu / 1e6, **figures}
    return Measured(posts, seconds, cpu, counts, named, size, figures=figures)


def read_lines(path: Path) -> list[str]:
    """Read a file of one text a line."""
    return path.read_text(encoding="ascii").split("\n")[:-1]


def stands_alone(text: str, start: int, end: int) -> bool:
    """Tell whether a match has word boundaries at both ends."""
    return not (start and text[start - 1] in WORD) and not (end < len(text) and text[end] in WORD)


def first_places(
    number: int, text: str, occurrences: Iterable[tuple[int, int, int]]
) -> Iterator[Found]:
    """Reduce (pattern, start, end) of one text to the first that stands alone of each pattern."""
    first: dict[int, int] = {}
    for pattern, start, end in occurrences:
        if first.get(pattern, end) > start and stands_alone(text, start, end):
            first[pattern] = start
    return ((number, pattern, start) for pattern, start in first.items())


def _texts(what: dict[str, Any], patterns: list[str]) -> list[str]:
    kind = what["kind"]
    if kind == "spliced":
        texts: Iterable[str] = corpora.texts({**what, "ascii": True}, patterns)
    elif kind == "tweets":
        texts = _tweets()
    elif kind == "near-misses":
        texts = _near_misses(what["seed"], patterns)
    elif kind == "dense":
        chance = random.Random(what["seed"])
        texts = (" ".join(chance.choices(patterns, k=9)) for _ in iter(int, 1))
    else:
        raise DefinitionError(f"corpus.kind: no corpus is called {kind!r}")
    return list(islice((" ".join(text.split()) for text in texts), what["posts"]))


def _near_misses(seed: int, patterns: list[str]) -> Iterator[str]:
    """Yield texts that walk an automaton deep and end in nothing: all but the last letter."""
    chance = random.Random(seed)
    while True:
        yield " ".join(
            pattern[:-1] + ("" if chance.random() < 0.5 else chance.choice("qxz"))
            for pattern in chance.choices(patterns, k=12)
        )


def _tweets() -> Iterator[str]:
    if not SHARED.exists():
        raise DefinitionError(f"{SHARED} is missing: the real data folder beside the checkout")
    with gzip.open(SHARED, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["tweet"].isascii():
                yield row["tweet"]
