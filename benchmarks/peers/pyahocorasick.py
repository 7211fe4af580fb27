"""Match with pyahocorasick: every occurrence, boundaries tested after."""

from __future__ import annotations

import ahocorasick

from benchmarks.micro.match import Found, first_places

PACKAGES = ("pyahocorasick",)


class Match:
    """Hold the automaton."""

    def __init__(self, patterns: list[str]) -> None:
        self._sizes = [len(pattern) for pattern in patterns]
        self._automaton = ahocorasick.Automaton()
        for number, pattern in enumerate(patterns):
            self._automaton.add_word(pattern, number)
        self._automaton.make_automaton()

    def find(self, texts: list[str]) -> list[Found]:
        """Return the first place of each pattern in each text."""
        iterate, sizes = self._automaton.iter, self._sizes
        return [
            found
            for number, text in enumerate(texts)
            for found in first_places(
                number,
                text,
                (
                    (pattern, last + 1 - sizes[pattern], last + 1)
                    for last, pattern in iterate(text.lower())
                ),
            )
        ]
