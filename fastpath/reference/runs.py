"""Count the sightings of one fingerprint over runs of eight ticks, exactly or by sketch."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

from fastpath.columns import KeptSighting, Sighting
from fastpath.reference import sketch
from fastpath.spec import TICKS

NO_TIME = -(2**63)


class Kept:
    """Hold one sighting; `done` has the bits of the rules that have judged its account."""

    __slots__ = ("done", "sighting", "topic")

    def __init__(self, topic: str, sighting: Sighting) -> None:
        self.topic = topic
        self.sighting = sighting
        self.done = 0

    @property
    def identity(self) -> tuple[str, str, int, int]:
        """Say which element of the set it is."""
        seen = self.sighting
        return seen.account, seen.post, seen.revision, seen.time

    def shown(self) -> KeptSighting:
        """Show it as the table hands it out."""
        seen = self.sighting
        return KeptSighting(
            seen.account,
            seen.account_created_at,
            seen.post,
            seen.revision,
            seen.time,
            seen.text_digest,
            self.topic,
            seen.partition,
            seen.offset,
        )


class Run(NamedTuple):
    """Count one run of eight ticks."""

    first: int  # its first tick
    accounts: int  # distinct
    sightings: int


class Track:
    """Count the sightings of one fingerprint over runs of one length."""

    def __init__(self, over_ms: int, key: bytes, exact: int) -> None:
        self.over_ms = over_ms
        self.held: dict[int, int] = {}  # run -> bits of the rules that hold for it
        self._tick_ms = over_ms // TICKS
        self._key = key
        self._exact = exact
        self._sketches: dict[int, bytearray] | None = None  # by tick, once past the exact cap
        self._ticks: dict[int, list[Kept]] = {}
        self._totals: dict[int, int] = {}  # tick -> sightings
        self._accounts: dict[str, list[int]] = {}  # account -> its ticks, rising
        self._distinct: dict[int, int] = {}  # run -> accounts
        self._seen: set[tuple[str, str, int, int]] = set()

    @property
    def sketched(self) -> bool:
        """Say whether accounts are estimated."""
        return self._sketches is not None

    @property
    def empty(self) -> bool:
        """Say whether every sighting was retired."""
        return not self._totals

    @property
    def kept(self) -> int:
        """Count the sightings that are kept one by one."""
        return len(self._seen)

    def span(self, first: int) -> tuple[int, int]:
        """Give the time of a run: its first ms, and the first ms after it."""
        return first * self._tick_ms, (first + TICKS) * self._tick_ms

    def retire(self, floor: int) -> None:
        """Drop ticks before `floor`; no run that begins before it will be read again."""
        old = [tick for tick in self._totals if tick < floor]
        for tick in old:
            del self._totals[tick]
            for kept in self._ticks.pop(tick, ()):
                self._drop(kept, floor)
        for by_run in (self._distinct, self.held):
            for run in [run for run in by_run if run < floor]:
                del by_run[run]
        if self._sketches is not None:
            for tick in old:
                self._sketches.pop(tick, None)
            if not self._totals:
                self._sketches = None

    def knows(self, kept: Kept) -> bool:
        """Say whether the very same sighting is kept."""
        return kept.identity in self._seen

    @property
    def full(self) -> bool:
        """Say whether one more sighting would be one too many to count exactly."""
        return self._sketches is None and len(self._seen) >= self._exact

    def add(self, kept: Kept) -> bool:
        """Count a sighting; False if the very same was counted before."""
        tick = kept.sighting.time // self._tick_ms
        if self._sketches is None:
            if self.knows(kept):
                return False
            if not self.full:
                self._add_exactly(kept, tick)
                return True
            self._sketches = self._sketch_all()
        self._totals[tick] = self._totals.get(tick, 0) + 1
        registers = self._sketches.setdefault(tick, bytearray(sketch.REGISTERS))
        sketch.add(registers, sketch.account_hash(self._key, kept.sighting.account))
        return True

    def runs_with(self, time: int) -> Iterator[Run]:
        """Count the runs that hold a time, earliest first."""
        tick = time // self._tick_ms
        for first in range(tick - TICKS + 1, tick + 1):
            total = sum(self._totals.get(each, 0) for each in range(first, first + TICKS))
            yield Run(first, self._count(first), total)

    def sightings(self, first: int) -> Iterator[Kept]:
        """Give the sightings of a run by tick, then arrival; none where they are estimated."""
        for tick in range(first, first + TICKS):
            yield from self._ticks.get(tick, ())

    def _count(self, first: int) -> int:
        if self._sketches is None:
            return self._distinct.get(first, 0)
        ticks = range(first, first + TICKS)
        return sketch.estimate(self._sketches[t] for t in ticks if t in self._sketches)

    def _add_exactly(self, kept: Kept, tick: int) -> None:
        self._seen.add(kept.identity)
        self._totals[tick] = self._totals.get(tick, 0) + 1
        self._ticks.setdefault(tick, []).append(kept)
        ticks = self._accounts.setdefault(kept.sighting.account, [])
        place = bisect_left(ticks, tick)
        if place < len(ticks) and ticks[place] == tick:
            return
        # Runs that begin after the account's tick before, and end before its tick after, did
        # not hold the account yet.
        first = tick - TICKS + 1 if place == 0 else max(tick - TICKS, ticks[place - 1]) + 1
        last = tick if place == len(ticks) else min(tick, ticks[place] - TICKS)
        for run in range(first, last + 1):
            self._distinct[run] = self._distinct.get(run, 0) + 1
        insort(ticks, tick)

    def _drop(self, kept: Kept, floor: int) -> None:
        self._seen.discard(kept.identity)
        ticks = self._accounts.get(kept.sighting.account)
        if ticks is not None:
            del ticks[: bisect_left(ticks, floor)]
            if not ticks:
                del self._accounts[kept.sighting.account]

    def _sketch_all(self) -> dict[int, bytearray]:
        """Turn what is kept into sketches and let the sightings go."""
        sketches: dict[int, bytearray] = {}
        for tick, sightings in self._ticks.items():
            registers = sketches[tick] = bytearray(sketch.REGISTERS)
            for kept in sightings:
                sketch.add(registers, sketch.account_hash(self._key, kept.sighting.account))
        self._ticks.clear()
        self._accounts.clear()
        self._distinct.clear()
        self._seen.clear()
        return sketches
