"""Say how many words in disguise each set of lanes finds, by kind of disguise.

`python -m benchmarks.disguises WORDS.txt [--seed N]` takes one word or phrase per line; those of
fewer than five letters are left out, as the squeezed lane does. The disguises are those of
tests/support/disguises.py: the same seed gives the same texts.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from fastpath.keywords import Keywords
from fastpath.lanes import MIN_SQUEEZED_LETTERS
from fastpath.spec import KeywordList, Lane
from tests.support.disguises import KINDS, disguised

LANE_SETS: tuple[tuple[Lane, ...], ...] = (
    ("raw",),
    ("folded",),
    ("folded", "skeleton"),
    ("folded", "skeleton", "squeezed"),
)


def recall(words: tuple[str, ...], lanes: tuple[Lane, ...], seed: int) -> dict[str, float]:
    """Return the share of texts in which the word is found, by kind and over all."""
    keywords = Keywords([KeywordList("words", words, lanes)])
    written = list(disguised(list(words), seed))
    seen: Counter[str] = Counter()
    found: Counter[str] = Counter()
    results = keywords.find_all([each.text for each in written])
    for each, result in zip(written, results, strict=True):
        seen[each.kind] += 1
        found[each.kind] += any(match.pattern == each.word for match in result.matches)
    shares = {kind: found[kind] / seen[kind] for kind in KINDS if seen[kind]}
    return {**shares, "all": found.total() / max(seen.total(), 1)}


def main() -> int:
    """Print one line per set of lanes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("words", type=Path)
    parser.add_argument("--seed", type=int, default=72)
    options = parser.parse_args()
    lines = options.words.read_text(encoding="utf-8").split("\n")
    words = tuple(
        line.lower()
        for line in lines
        if sum(char.isalnum() for char in line) >= MIN_SQUEEZED_LETTERS
    )
    print(f"{len(words)} words, seed {options.seed}")
    for lanes in LANE_SETS:
        shares = recall(words, lanes, options.seed)
        print(", ".join(lanes), *(f"{kind} {share:.1%}" for kind, share in shares.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
