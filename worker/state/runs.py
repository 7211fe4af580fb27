"""Count the sightings of one fingerprint over runs of eight ticks, exactly or by sketch."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

from fastpath.columns import Sighting
from fastpath.spec import TICKS
from worker.state import sketch

EXACT_SIGHTINGS = 4_096  # kept per fingerprint and window length; beyond, accounts are estimated
NO_TIME = -(2**63)


class KeptSighting:
    """Hold one sighting; `done` has the bits of the rules that have judged its account."""

    __slots__ = (
        "account",
        "created_at",
        "digest",
        "done",
        "offset",
        "partition",
        "post",
        "revision",
        "time",
        "topic",
    )

    def __init__(self, topic: str, sighting: Sighting) -> None:
        self.topic = topic
        self.account = sighting.account
        self.created_at = sighting.account_created_at
        self.post = sighting.post
        self.revision = sighting.revision
        self.time = sighting.time
        self.digest = sighting.text_digest
        self.partition = sighting.partition
        self.offset = sighting.offset
        self.done = 0


class Run(NamedTuple):
    """Count one run of eight ticks."""

    first: int  # its first tick
    accounts: int  # distinct
    sightings: int


class Track:
    """Count the sightings of one fingerprint over runs of one length."""

    __slots__ = (
        "_accounts",
        "_distinct",
        "_estimates",
        "_key",
        "_oldest",
        "_seen",
        "_size",
        "_sketches",
        "_tick_ms",
        "_ticks",
        "_totals",
        "held",
        "over_ms",
    )

    def __init__(self, over_ms: int, key: bytes) -> None:
        self.over_ms = over_ms
        self.held: dict[int, int] = {}  # run -> bits of the rules that hold for it
        self._tick_ms = over_ms // TICKS
        self._key = key
        self._sketches: dict[int, bytearray] | None = None  # by tick, once past the exact cap
        self._estimates: dict[int, int] = {}  # run -> estimate, until a register of it changes
        self._ticks: dict[int, list[KeptSighting]] = {}
        self._totals: dict[int, int] = {}  # tick -> sightings
        self._oldest = 0  # tick; meaningless while empty
        self._accounts: dict[str, list[int]] = {}  # account -> its ticks, rising
        self._distinct: dict[int, int] = {}  # run -> accounts
        self._seen: set[tuple[str, str, int, int]] = set()
        self._size = 0

    @property
    def sketched(self) -> bool:
        """Say whether accounts are estimated."""
        return self._sketches is not None

    @property
    def empty(self) -> bool:
        """Say whether every sighting was retired."""
        return not self._totals

    def tick(self, time: int) -> int:
        """Give the tick of an origin time."""
        return time // self._tick_ms

    def span(self, first: int) -> tuple[int, int]:
        """Give the time of a run: its first ms, and the first ms after it."""
        return first * self._tick_ms, (first + TICKS) * self._tick_ms

    def retire(self, floor: int) -> None:
        """Drop ticks before `floor`; no run that begins before it will be read again."""
        if self.empty or floor <= self._oldest:
            return
        old = [tick for tick in self._totals if tick < floor]
        for tick in old:
            del self._totals[tick]
            for kept in self._ticks.pop(tick, ()):
                self._drop(kept, floor)
        for by_run in (self._distinct, self._estimates, self.held):
            for run in [run for run in by_run if run < floor]:
                del by_run[run]
        if self._sketches is not None:
            for tick in old:
                self._sketches.pop(tick, None)
            if not self._totals:
                self._sketches = None
        self._oldest = min(self._totals, default=0)

    def add(self, kept: KeptSighting) -> bool:
        """Count a sighting; False if the very same was counted before."""
        tick = self.tick(kept.time)
        if self._sketches is None:
            identity = (kept.account, kept.post, kept.revision, kept.time)
            if identity in self._seen:
                return False
            if self._size < EXACT_SIGHTINGS:
                self._seen.add(identity)
                self._add_exactly(kept, tick)
                return True
            self._sketches = self._sketch_all()
        self._count_in(tick)
        registers = self._sketches.get(tick)
        if registers is None:
            registers = self._sketches[tick] = bytearray(sketch.REGISTERS)
        if sketch.add(registers, sketch.account_hash(self._key, kept.account)):
            for run in range(tick - TICKS + 1, tick + 1):
                self._estimates.pop(run, None)
        return True

    def firsts(self, time: int) -> range:
        """Give the first ticks of the runs that hold a time, earliest first."""
        tick = self.tick(time)
        return range(tick - TICKS + 1, tick + 1)

    def run(self, first: int) -> Run:
        """Count the run that begins at a tick."""
        get = self._totals.get
        total = sum([get(each, 0) for each in range(first, first + TICKS)])
        return Run(first, self._count(first), total)

    def most(self) -> tuple[int, int] | None:
        """Give accounts and sightings of all that is kept: no run has more; None if estimated."""
        return None if self._sketches is not None else (len(self._accounts), self._size)

    def sightings(self, first: int) -> Iterator[KeptSighting]:
        """Give the sightings of a run by tick, then arrival; none where they are estimated."""
        for tick in range(first, first + TICKS):
            yield from self._ticks.get(tick, ())

    def newest_end(self) -> int:
        """Give the first ms after the newest tick."""
        return (max(self._totals) + 1) * self._tick_ms if self._totals else NO_TIME

    def _count(self, first: int) -> int:
        if self._sketches is None:
            return self._distinct.get(first, 0)
        known = self._estimates.get(first)
        if known is None:
            ticks = range(first, first + TICKS)
            known = sketch.estimate(self._sketches[t] for t in ticks if t in self._sketches)
            self._estimates[first] = known
        return known

    def _count_in(self, tick: int) -> None:
        self._oldest = min(tick, self._oldest) if self._totals else tick
        self._totals[tick] = self._totals.get(tick, 0) + 1

    def _add_exactly(self, kept: KeptSighting, tick: int) -> None:
        self._size += 1
        self._count_in(tick)
        self._ticks.setdefault(tick, []).append(kept)
        ticks = self._accounts.setdefault(kept.account, [])
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

    def _drop(self, kept: KeptSighting, floor: int) -> None:
        self._size -= 1
        self._seen.discard((kept.account, kept.post, kept.revision, kept.time))
        ticks = self._accounts.get(kept.account)
        if ticks is not None:
            del ticks[: bisect_left(ticks, floor)]
            if not ticks:
                del self._accounts[kept.account]

    def _sketch_all(self) -> dict[int, bytearray]:
        """Turn what is kept into sketches and let the sightings go."""
        sketches: dict[int, bytearray] = {}
        for tick, sightings in self._ticks.items():
            registers = sketches[tick] = bytearray(sketch.REGISTERS)
            for kept in sightings:
                sketch.add(registers, sketch.account_hash(self._key, kept.account))
        self._ticks.clear()
        self._accounts.clear()
        self._distinct.clear()
        self._seen.clear()
        self._size = 0
        return sketches
