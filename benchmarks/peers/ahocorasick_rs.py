"""Match with ahocorasick-rs: every occurrence, boundaries tested after."""

from __future__ import annotations

import ahocorasick_rs

from benchmarks.micro.match import Found, first_places

PACKAGES = ("ahocorasick-rs",)


class Match:
    """Hold the automaton."""

    def __init__(self, patterns: list[str]) -> None:
        self._automaton = ahocorasick_rs.AhoCorasick(
            patterns, matchkind=ahocorasick_rs.MatchKind.Standard, store_patterns=False
        )

    def find(self, texts: list[str]) -> list[Found]:
        """Return the first place of each pattern in each text."""
        find = self._automaton.find_matches_as_indexes
        return [
            found
            for number, text in enumerate(texts)
            for found in first_places(number, text, find(text.lower(), overlapping=True))
        ]
