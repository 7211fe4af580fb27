"""Count actions per kind and origin hour against this partition's part of a limit."""

from __future__ import annotations

from collections.abc import Mapping

HOUR_MS = 3_600_000
# Hours further behind the newest one share one count, so memory is bounded and a decision on an
# old post can never slip under a fresh limit.
KEPT_HOURS = 168


def share(limit: int, partition: int, partitions: int) -> int:
    """Split a limit over partitions so that the parts add up to it."""
    return limit // partitions + (1 if partition < limit % partitions else 0)


class Breaker:
    """Say whether one more action of a kind is within the limit of its origin hour."""

    def __init__(self, limits: Mapping[str, int], partition: int, partitions: int) -> None:
        self._limits = {kind: share(limit, partition, partitions) for kind, limit in limits.items()}
        self._newest = -(2**62)
        self._counts: dict[tuple[str, int], int] = {}

    def take(self, kind: str, origin_time: int) -> bool:
        """Count an action; False, and not counted, if its hour is full."""
        limit = self._limits.get(kind)
        if limit is None:
            return True
        hour = max(self._move(origin_time // HOUR_MS), self._newest - KEPT_HOURS)
        count = self._counts.get((kind, hour), 0)
        if count >= limit:
            return False
        self._counts[kind, hour] = count + 1
        return True

    def _move(self, hour: int) -> int:
        if hour > self._newest:
            self._newest = hour
            oldest = hour - KEPT_HOURS
            for kind, old in [key for key in self._counts if key[1] < oldest]:
                count = self._counts.pop((kind, old))
                self._counts[kind, oldest] = self._counts.get((kind, oldest), 0) + count
        return hour
