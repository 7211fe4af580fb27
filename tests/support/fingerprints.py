"""Drive the table of fingerprints and its twin through the same records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fastpath.changelog import SLICES
from fastpath.columns import Arrival, Sighting, Taken
from fastpath.fingerprints import FingerprintTable
from fastpath.reference import fingerprints as twin
from fastpath.spec import CampaignGate, Corner, FingerprintSpec, FingerprintType
from tests.support.stage_inputs import KEY, sightings_value

SHORT, LONG, DAY_MS = 8_000, 60_000, 86_400_000
SEEDS = (b"a" * 16, b"\xff" * 16)


def gate(name: str, of: FingerprintType, over_ms: int, *corners: tuple[int, int]) -> CampaignGate:
    return CampaignGate(
        name.encode().ljust(8, b"."), of, over_ms, tuple(Corner(*each) for each in corners)
    )


GATES = (
    gate("pair", "text", SHORT, (2, 0)),
    gate("crowd", "text", LONG, (4, 0), (0, 9)),
    gate("some", "text", LONG, (3, 5)),
    gate("alone", "device", DAY_MS, (1, 0)),
    gate("many", "media", SHORT, (12, 20)),
    gate("more", "media", 9_000, (0, 30)),
)


def spec_of(gates: Sequence[CampaignGate] = GATES, **changes: Any) -> FingerprintSpec:
    values = {"lateness_ms": 20_000, "deployment_key": KEY, "exact_sightings": 24, **changes}
    return FingerprintSpec(tuple(values.pop("gates", gates)), **values)


class Told(NamedTuple):
    """What a table says about one sighting that has runs to judge."""

    arrival: Arrival
    taken: tuple[Taken | None, ...]  # by run; of a run that was refused: None


class Judge:
    """Take some of the runs that a gate lets through, by their counts alone, as a rule would."""

    def __init__(self, spec: FingerprintSpec, least: int = 0) -> None:
        self.spec = spec
        self.least = least

    def holds(self, run: Any) -> bool:
        return run.held or run.accounts + run.sightings >= self.least


def feed(
    table: FingerprintTable | twin.FingerprintTable,
    judge: Judge,
    records: Iterable[tuple[int, Sequence[Sighting]]],
    topic: str = "posts",
) -> list[Told]:
    told = []
    for offset, sightings in records:
        table.begin(sightings_value(sightings, topic), offset)
        while (arrival := table.advance()) is not None:
            taken = tuple(
                table.take(index) if judge.holds(run) else None
                for index, run in enumerate(arrival.runs)
            )
            told.append(Told(arrival, taken))
    return told


def counts(table: FingerprintTable | twin.FingerprintTable) -> tuple[int, ...]:
    return table.sightings, table.late, table.repeated, table.refused, table.stream_time


def dump(table: FingerprintTable) -> tuple[bytes, ...]:
    return tuple(table.snapshot(slice_) for slice_ in range(SLICES))
