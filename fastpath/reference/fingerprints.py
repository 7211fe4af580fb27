"""Keep the sightings of one partition by fingerprint: the meaning of the compiled table.

The rules are in docs/campaigns.md. Nothing here is fast: every fingerprint is asked how many
sightings it keeps each time one more arrives.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from fastpath.columns import Arrival, FoundRun, Sighting, Taken
from fastpath.records import unpack_sightings
from fastpath.reference.runs import NO_TIME, Kept, Track
from fastpath.spec import MAX_TIME_MS, MIN_TIME_MS, TICKS, CampaignGate, FingerprintSpec


class Fingerprint:
    """Hold one fingerprint; `opened` has the bits of the rules that have held for it."""

    def __init__(self, lengths: tuple[int, ...], spec: FingerprintSpec) -> None:
        self.opened = 0
        self.tracks = [
            Track(over_ms, spec.deployment_key, spec.exact_sightings) for over_ms in lengths
        ]


class _Found(NamedTuple):
    gate: int
    track: Track
    first: int


class FingerprintTable:
    """Hold the fingerprints of one partition of sightings.

    `begin` takes a record of packed sightings, `advance` counts on until one has runs to judge,
    `take` tells that a rule holds for one of these runs. Whether a sighting is kept is decided by
    stream time alone.
    """

    def __init__(self, spec: FingerprintSpec, placement_seed: bytes = b"") -> None:
        del placement_seed  # a dictionary needs none
        self.late = 0
        self.repeated = 0
        self.refused = 0
        self.sightings = 0
        self.stream_time = NO_TIME
        self._spec = spec
        self._lengths: dict[str, tuple[int, ...]] = {}
        for gate in spec.gates:
            known = self._lengths.get(gate.type, ())
            self._lengths[gate.type] = tuple(sorted({*known, gate.over_ms}))
        self._entries: dict[tuple[str, bytes], Fingerprint] = {}
        self._topic = ""
        self._pending: deque[Sighting] = deque()
        self._arrived: tuple[Fingerprint, Kept, list[_Found]] | None = None

    def begin(self, value: bytes, offset: int) -> None:
        """Take a record, whose offset orders what it holds; CorruptImage if it does not unpack."""
        del offset  # what arrives is kept in order
        record = unpack_sightings(value)
        self._topic = record.topic
        self._pending.extend(record.sightings)
        self.sightings += len(record.sightings)

    def advance(self) -> Arrival | None:
        """Count sightings until one of them has runs to judge; None at the end of the record."""
        while self._pending:
            sighting = self._pending.popleft()
            placed = min(max(sighting.time, MIN_TIME_MS), MAX_TIME_MS)
            arrival = self._add(sighting._replace(time=placed))
            if arrival is not None:
                return arrival
        return None

    def take(self, index: int) -> Taken | None:
        """Mark that a rule holds for a run of the arrival at hand; None if all of it is told."""
        assert self._arrived is not None  # noqa: S101  # between advance() and the next
        entry, kept, runs = self._arrived
        gate, track, first = runs[index]
        bit = 1 << gate
        held = bool(track.held.get(first, 0) & bit)
        if held and kept.done & bit:
            return None
        track.held[first] = track.held.get(first, 0) | bit
        told = [kept] if held or track.sketched else list(track.sightings(first))
        opens = not entry.opened & bit
        entry.opened |= bit
        new = [each for each in told if not each.done & bit]
        for each in new:
            each.done |= bit
        shown = [each.shown() for each in told] if opens else []
        return Taken(opens, shown, [each.shown() for each in new])

    def _add(self, sighting: Sighting) -> Arrival | None:
        self.stream_time = max(self.stream_time, sighting.time)
        if self.stream_time - sighting.time > self._spec.lateness_ms:
            self.late += 1
            return None
        lengths = self._lengths.get(sighting.type)
        if lengths is None:
            return None  # no rule in force reads this type
        for each in self._entries.values():
            for track in each.tracks:
                track.retire(self._floor(track.over_ms))
        entry = self._entries.get((sighting.type, sighting.fingerprint))
        if entry is None or all(track.empty for track in entry.tracks):
            entry = Fingerprint(lengths, self._spec)
        kept = Kept(self._topic, sighting)
        if self._has_no_room(entry, kept):
            self.refused += 1
            return None
        self._entries[sighting.type, sighting.fingerprint] = entry
        tracks = [track for track in entry.tracks if track.add(kept)]
        if not tracks:
            self.repeated += 1
            return None
        return self._arrive(entry, kept, tracks)

    def _arrive(self, entry: Fingerprint, kept: Kept, tracks: list[Track]) -> Arrival | None:
        seen = kept.sighting
        found: list[_Found] = []
        shown: list[FoundRun] = []
        for track in tracks:
            for index, gate in enumerate(self._spec.gates):
                if (gate.type, gate.over_ms) != (seen.type, track.over_ms):
                    continue
                told = False
                for run in track.runs_with(seen.time):
                    held = bool(track.held.get(run.first, 0) >> index & 1)
                    if held and told:
                        continue  # the first run that the rule held for tells of the sighting
                    told |= held
                    if held or _passes(gate, run.accounts, run.sightings):
                        span = track.span(run.first)
                        found.append(_Found(index, track, run.first))
                        shown.append(FoundRun(index, *span, *run[1:], track.sketched, held))
        if not found:
            return None
        self._arrived = entry, kept, found
        return Arrival(seen.type, seen.fingerprint, kept.shown(), tuple(shown))

    def _has_no_room(self, entry: Fingerprint, kept: Kept) -> bool:
        """Say whether a sighting that its longest run would keep is one too many."""
        longest = entry.tracks[-1]
        if longest.sketched or longest.full or longest.knows(kept):
            return False
        held = sum(each.tracks[-1].kept for each in self._entries.values())
        return held >= self._spec.max_sightings

    def _floor(self, over_ms: int) -> int:
        """Give the first tick that is kept: no sighting to come can be in a run before it."""
        tick_ms = over_ms // TICKS
        return (self.stream_time - self._spec.lateness_ms) // tick_ms - TICKS + 1


def _passes(gate: CampaignGate, accounts: int, sightings: int) -> bool:
    return any(accounts >= least and sightings >= total for least, total in gate.corners)
