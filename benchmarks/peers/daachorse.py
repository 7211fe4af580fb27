"""Match with daachorse: every occurrence of a double-array automaton, boundaries tested after."""

from __future__ import annotations

import daachorse

from benchmarks.micro.match import Found, first_places

PACKAGES = ("daachorse",)


class Match:
    """Hold the automaton."""

    def __init__(self, patterns: list[str]) -> None:
        self._automaton = daachorse.DoubleArrayAhoCorasick([each.encode() for each in patterns])

    def find(self, texts: list[str]) -> list[Found]:
        """Return the first place of each pattern in each text."""
        find = self._automaton.find_overlapping
        return [
            found
            for number, text in enumerate(texts)
            for found in first_places(
                number,
                text,
                ((pattern, start, end) for start, end, pattern in find(text.lower().encode())),
            )
        ]
