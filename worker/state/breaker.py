"""Count actions per kind and origin hour against this partition's part of a limit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import orjson

from fastpath.errors import CorruptImage
from fastpath.spec import Entry

HOUR_MS = 3_600_000
# Hours further behind the newest one share one count, so memory is bounded and a decision on an
# old post can never slip under a fresh limit.
KEPT_HOURS = 168
_NO_HOUR = -(2**62)
_NEWEST = ("", 0)  # names the entry that holds the newest hour; no kind of action is empty


def share(limit: int, partition: int, partitions: int) -> int:
    """Split a limit over partitions so that the parts add up to it."""
    return limit // partitions + (1 if partition < limit % partitions else 0)


class Breaker:
    """Say whether one more action of a kind is within the limit of its origin hour.

    `key` is the deployment key, `tag` one byte that tells the breakers of a state topic apart.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        partition: int,
        partitions: int,
        key: bytes = b"",
        tag: bytes = b"B",
    ) -> None:
        self._key = key
        self._tag = tag
        self._part = (partition, partitions)
        self.limit(limits)
        self._newest = _NO_HOUR
        self._counts: dict[tuple[str, int], int] = {}
        self._changed: dict[tuple[str, int], None] = {}

    def limit(self, limits: Mapping[str, int]) -> None:
        """Go on under other limits; what was counted stays counted."""
        self._limits = {kind: share(limit, *self._part) for kind, limit in limits.items()}

    def take(self, kind: str, origin_time: int) -> bool:
        """Count an action; False, and not counted, if its hour is full."""
        limit = self._limits.get(kind)
        if limit is None:
            return True
        hour = max(self._move(origin_time // HOUR_MS), self._newest - KEPT_HOURS)
        count = self._counts.get((kind, hour), 0)
        if count >= limit:
            return False
        self._set(kind, hour, count + 1)
        return True

    def changes(self) -> list[Entry]:
        """Drain the entries of the counts that changed since the last call."""
        changed, self._changed = self._changed, {}
        return list(self._entries(changed))

    def snapshot(self, slice_: int) -> list[Entry]:
        """Give the entries of a slice."""
        places = [*self._counts, *([_NEWEST] if self._newest != _NO_HOUR else [])]
        return [entry for entry in self._entries(places) if entry.key[0] == slice_]

    def restore(self, value: bytes) -> None:
        """Apply an entry's value without its tag; CorruptImage where it is malformed."""
        try:
            kind, hour, count = orjson.loads(value)
        except ValueError as error:
            raise CorruptImage(f"a breaker's entry is malformed: {error}") from None
        if not (isinstance(kind, str) and isinstance(hour, int) and isinstance(count, int)):
            raise CorruptImage("a breaker's entry is no kind, hour and count")
        if (kind, 0) == _NEWEST:
            self._newest = hour
        elif count:
            self._counts[kind, hour] = count
        else:
            self._counts.pop((kind, hour), None)

    def clear(self, slice_: int) -> None:
        """Forget the counts of a slice."""
        for place in [place for place in self._counts if self._key_of(place)[0] == slice_]:
            del self._counts[place]
        if self._key_of(_NEWEST)[0] == slice_:
            self._newest = _NO_HOUR

    def _set(self, kind: str, hour: int, count: int) -> None:
        self._counts[kind, hour] = count
        self._changed[kind, hour] = None

    def _entries(self, places: Iterable[tuple[str, int]]) -> Iterator[Entry]:
        for place in places:
            kind, hour = place
            if place == _NEWEST:
                image = [kind, self._newest, 0]
            else:
                image = [kind, hour, self._counts.get(place, 0)]
            gone = place != _NEWEST and place not in self._counts
            yield Entry(self._key_of(place), self._tag + orjson.dumps(image), gone)

    def _key_of(self, place: tuple[str, int]) -> bytes:
        name = self._tag + orjson.dumps(place)
        return hashlib.blake2b(name, digest_size=16, key=self._key).digest()

    def _move(self, hour: int) -> int:
        if hour > self._newest:
            self._newest = hour
            self._changed[_NEWEST] = None
            oldest = hour - KEPT_HOURS
            for kind, old in [key for key in self._counts if key[1] < oldest]:
                count = self._counts.pop((kind, old))
                self._changed[kind, old] = None
                self._set(kind, oldest, self._counts.get((kind, oldest), 0) + count)
        return hour
