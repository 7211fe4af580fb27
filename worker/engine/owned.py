"""Keep what the engine knows of each partition that it decides on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.engine.fuse import Fuse
from worker.stages.protocols import Output, Table
from worker.state.state_writer import StateWriter
from worker.transport.protocols import Headers, Partition


@dataclass(slots=True)
class Owned:
    """Hold one assigned partition whose state is restored and claimed."""

    partition: Partition
    table: Table | None  # None for an input without state
    writer: StateWriter | None  # None as above
    partitions: int  # of the input topic
    next: int  # the input offset to step next
    written: int  # state and outputs are, up to this input offset
    fuse: Fuse
    state_next: int | None = None  # state offset after our last record; None: not known
    time: int = 0  # of the last record stepped, ms
    behind_since: float | None = None  # when `next` passed `written` without a record


@dataclass(slots=True)
class Work:
    """Collect what one transaction has to write."""

    began: float  # monotonic seconds
    headers: Mapping[tuple[Partition, int], Headers]  # originals, for dead letters
    outputs: list[tuple[Output, Partition]] = field(default_factory=list)
    touched: dict[Partition, Owned] = field(default_factory=dict)
