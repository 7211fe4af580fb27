"""Load a run's posts little by little, as fast as its processes end: every fault finds work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from fastpath.records import BatchView
from worker.transport.kafka.loader import Loaded

# Records of one load. The least keeps every partition at work while the next end is awaited, so
# that a failpoint that is reached once per transaction is reached within seconds.
LEAST, MOST = 12, 2_000
AHEAD = 3  # ends of processes that posts are loaded ahead of: a restart finds a backlog


class Loads(Protocol):
    """Write posts: `worker.transport.kafka.loader.Loader`."""

    def load(self, views: Iterable[BatchView], /) -> Loaded:
        """Write all posts of some views and wait for the brokers."""


class Feed:
    """Hold the rest of a stream, and the one client that writes it."""

    def __init__(self, loader: Loads, lines: Iterator[bytes], posts: int, wanted: int) -> None:
        self.loaded = 0  # lines taken
        self.written = 0  # records that the brokers acknowledged
        self._lines, self._posts, self._wanted = lines, posts, wanted
        self._loader = loader

    @property
    def empty(self) -> bool:
        """Say that nothing is left to load."""
        return self.loaded >= self._posts

    def load(self, ended: int) -> None:
        """Load what is due once so many processes have ended, and never nothing."""
        due = self._posts * (ended + AHEAD) // (self._wanted + AHEAD) - self.loaded
        self._load(min(max(due, LEAST), MOST))

    def load_rest(self) -> None:
        """Load everything that is left."""
        while not self.empty:
            self._load(MOST)

    def _load(self, most: int) -> None:
        part = list(islice(self._lines, most))
        if part:
            view = BatchView.from_lines("posts", b"\n".join(part) + b"\n", self.loaded)
            self.written += self._loader.load([view]).posts
        self.loaded += len(part)
        if len(part) < most:
            self.loaded = self._posts
