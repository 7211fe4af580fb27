"""Ask the brokers where assigned partitions go on."""

from __future__ import annotations

from worker.engine.start_point import Point, first_points, points
from worker.settings import Settings, Start
from worker.transport.protocols import Partition, Source


class Planner:
    """Find the points of an assignment; `start` is for posts, derived topics begin earliest."""

    def __init__(
        self, source: Source, settings: Settings, start: Start | None, accept_gap: int | None
    ) -> None:
        self._source = source
        self._posts = settings.topic("posts")
        self._limit_s = settings.kafka.request_timeout_ms / 1000
        self._start = start
        self._accept_gap = accept_gap

    def find(self, assigned: frozenset[Partition]) -> dict[Partition, Point]:
        """Return a point for each partition; blocks for some round trips.

        Raises:
            OffsetsUnknown: the brokers did not say in time; ask again.
            FailStop, ConfigError: a person must decide.
        """
        committed = self._source.committed(assigned, self._limit_s)
        beginnings = self._source.beginnings(assigned, self._limit_s)
        counts = {p.topic: self._source.partition_count(p.topic) for p in assigned}
        found, fresh = points(committed, beginnings, counts, self._accept_gap)
        posts = [p for p in fresh if p.topic == self._posts]
        derived = [p for p in fresh if p.topic != self._posts]
        first = self._first(posts, beginnings)
        found |= first_points(posts, self._start, first, counts)
        found |= first_points(derived, "earliest", beginnings, counts)
        return found

    def _first(
        self, posts: list[Partition], beginnings: dict[Partition, int]
    ) -> dict[Partition, int]:
        if not posts or self._start is None:
            return {}
        if self._start == "earliest":
            return beginnings
        if self._start == "latest":
            return self._source.ends(posts, self._limit_s)
        return self._source.at_time(posts, self._start, self._limit_s)
