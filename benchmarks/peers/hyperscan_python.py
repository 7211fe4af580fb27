"""Match with Hyperscan's Python package: caseless literals, boundaries tested in the callback."""

from __future__ import annotations

from typing import Any

import hyperscan

from benchmarks.micro.match import Found, first_places

PACKAGES = ("hyperscan",)


class Match:
    """Hold the database."""

    def __init__(self, patterns: list[str]) -> None:
        self._sizes = [len(pattern) for pattern in patterns]
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[pattern.encode() for pattern in patterns],
            ids=list(range(len(patterns))),
            flags=[hyperscan.HS_FLAG_CASELESS] * len(patterns),
            literal=True,
        )

    def find(self, texts: list[str]) -> list[Found]:
        """Return the first place of each pattern in each text."""
        scan, sizes = self._database.scan, self._sizes
        found: list[Found] = []
        met: list[tuple[int, int, int]] = []

        def on_match(pattern: int, _start: int, end: int, _flags: int, _context: Any) -> None:
            met.append((pattern, end - sizes[pattern], end))

        for number, text in enumerate(texts):
            scan(text.encode(), match_event_handler=on_match)
            if met:
                found += first_places(number, text, met)
                met.clear()
        return found
