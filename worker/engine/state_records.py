"""Turn what changed in tables into records of the state topic, and remember where those stand."""

from __future__ import annotations

from collections.abc import Mapping

from worker.engine.commands import Record
from worker.engine.owned import Owned
from worker.obs.names import Meter
from worker.settings import Settings
from worker.stages.protocols import StatefulStage, Table
from worker.state.changelog import KeyValue
from worker.state.state_writer import StateWriter
from worker.transport.protocols import Partition


class StateRecords:
    """Make the state records of one stage's transactions; an input without state has none."""

    def __init__(
        self, stage: StatefulStage, settings: Settings, meter: Meter, bundle_digest: str
    ) -> None:
        self._stage = stage
        self._slot = settings.slot
        self._topic = settings.topic(f"state.{stage.name}")
        self._meter = meter
        self._bundle = bytes.fromhex(bundle_digest)

    def claim(self, owned: Owned, generation: int, gap: int) -> list[Record]:
        """Claim a restored partition; a snapshot that a crash cut off is taken anew with it."""
        writer = owned.writer
        if writer is None:
            return []
        made = writer.claim(self._slot, generation, owned.partitions, owned.next, gap)
        return self._records(owned, [*made, *self._snapshots(writer, owned.table, writer.torn())])

    def delta(self, owned: Owned) -> list[Record]:
        """Drain what changed in a table into a delta, with the slices that are due."""
        writer, table = owned.writer, owned.table
        if writer is None:
            return []
        changes, time = self._stage.changes(table), self._stage.stream_time(table)
        delta = writer.delta(owned.next, time, self._bundle, changes)
        slices = self._snapshots(writer, table, writer.due())
        for kind, made in (("delta", delta), ("slice", slices)):
            size = sum(len(value) for _, value in made)
            self._meter.add("weir_state_written_bytes_total", (kind,), size)
        return self._records(owned, [*delta, *slices])

    def note(self, owned: Owned, last: Mapping[Partition, int]) -> None:
        """Remember where the newest state record stands, so that a kept table can be read on."""
        if owned.writer is not None:
            offset = last.get(Partition(self._topic, owned.partition.number), -1)
            owned.state_next = offset + 1 if offset >= 0 else None

    def _snapshots(self, writer: StateWriter, table: Table, slices: list[int]) -> list[KeyValue]:
        return [
            record
            for slice_ in slices
            for record in writer.slice(slice_, self._stage.snapshot(table, slice_))
        ]

    def _records(self, owned: Owned, made: list[KeyValue]) -> list[Record]:
        return [Record(self._topic, key, value, owned.partition.number) for key, value in made]
