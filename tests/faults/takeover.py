"""Read from workers' logs how long a partition was without an owner, part by part; never judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

Event: TypeAlias = Mapping[str, Any]


class Return(NamedTuple):
    """Split what passed from a process's end to its slot's next decision; seconds."""

    assigned: float  # end of the old process to the new one's first assignment
    restore: float  # from there to the first partition restored


class Takeover(NamedTuple):
    """Split what passed from a process's end to another's claim of its partition; seconds."""

    detection: float  # end of the process to the rebalance that another one noticed
    rebalance: float
    waited: float  # of the restore, for a stable offset
    unowned: float  # detection and wait: what a session or an open transaction held up
    restore: float  # without what it waited
    total: float


def returned(events: Iterable[Event], ended: float) -> Return | None:
    """Give the parts of a return into the same slot, or None where nothing was restored."""
    assigned: dict[str, float] = {}
    for event in events:
        if event["event"] == "partitions_assigned":
            assigned.setdefault(event["stage"], _at(event))
        elif event["event"] == "partition_restored" and event["stage"] in assigned:
            begun = assigned[event["stage"]]
            return Return(begun - ended, _at(event) - begun)
    return None


def taken_over(events: Iterable[Event], ended: float, until: float) -> list[Takeover]:
    """Give the takeovers by one process that lived on, one per partition that was new to it.

    `ended` is when the old owner did, and `until` when its slot came back.
    """
    revoked: dict[str, float] = {}
    rebalance: dict[str, float] = {}
    found = []
    for event in events:
        at, stage = _at(event), str(event.get("stage"))
        if not ended < at < until:
            continue
        if event["event"] == "partitions_revoked":
            revoked.setdefault(stage, at)
        elif event["event"] == "partitions_assigned" and stage in revoked:
            rebalance[stage] = event["seconds"]
        elif event["event"] == "partition_restored" and stage in rebalance:
            if event["mode"] == "warm":
                continue
            detection, waited = revoked[stage] - ended, event["waited"]
            restore = event["seconds"] - waited
            parts = (detection, rebalance[stage], waited, detection + waited, restore)
            found.append(Takeover(*parts, total=at - ended))
    return found


def _at(event: Event) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()
