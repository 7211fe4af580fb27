"""A stage for tests of the engine: it numbers the records of each key, so a repeat shows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fastpath.changelog import SLICES, pack, unpack
from fastpath.records import BatchView
from fastpath.spec import Entry
from worker.stages.protocols import Output
from worker.state.changelog import NO_TIME


@dataclass
class Table:
    counts: Counter[bytes] = field(default_factory=Counter)
    changed: dict[bytes, None] = field(default_factory=dict)
    stream_time: int = NO_TIME


def identity(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=16).digest()


class CountingStage:
    """Write `key=n` for the n-th record of a key: equal outputs mean equal state."""

    name = "correlate"
    inputs = ("sightings",)

    def __init__(
        self, fails_at: bytes | None = None, slices: int = SLICES, forgets_at: int = 0
    ) -> None:
        self.slices = slices
        self.forgets_at = forgets_at  # a key that counts so far is gone, if not 0
        self.counters: Counter[str] = Counter()
        self.views: list[tuple[int, int, int]] = []  # partition, first offset, records
        self.tables = 0
        self._fails_at = fails_at

    def new_table(self, partition: int, partitions: int) -> Table:
        del partition, partitions
        self.tables += 1
        return Table()

    def entries(self, table: Table) -> Mapping[str, int]:
        return {"keys": len(table.counts)}

    def changes(self, table: Table) -> bytes:
        changed = list(table.changed)
        table.changed.clear()
        return self._pack(table, changed)

    def snapshot(self, table: Table, slice_: int) -> bytes:
        return self._pack(table, self._of(table, slice_))

    def restore(self, table: Table, stream_time: int, entries: bytes) -> None:
        table.stream_time = max(table.stream_time, stream_time)
        for entry in unpack(entries):
            key = entry.value[8:]
            if entry.deleted:
                table.counts.pop(key, None)
            else:
                table.counts[key] = int.from_bytes(entry.value[:8], "little")

    def clear(self, table: Table, slice_: int) -> None:
        for key in self._of(table, slice_):
            del table.counts[key]

    def stream_time(self, table: Table) -> int:
        return table.stream_time

    def adopt(self, table: Table, older: CountingStage) -> Table:
        del older
        self.tables += 1
        return Table(Counter(table.counts), {}, table.stream_time)

    def _of(self, table: Table, slice_: int) -> list[bytes]:
        return [key for key in table.counts if identity(key)[0] % self.slices == slice_]

    def _pack(self, table: Table, keys: Iterable[bytes]) -> bytes:
        return pack(
            Entry(
                identity(key),
                table.counts[key].to_bytes(8, "little") + key,
                key not in table.counts,
            )
            for key in keys
        )

    def step(self, table: Table, view: BatchView) -> list[Output]:
        self.views.append((view.partition, view.offset(0), len(view)))
        outputs = []
        for index in range(len(view)):
            key, offset = view.key(index), view.offset(index)
            if key == self._fails_at:
                raise ZeroDivisionError
            table.counts[key or b""] += 1
            table.changed[key or b""] = None
            table.stream_time = max(table.stream_time, view.time(index))
            value = b"%b=%d" % (key, table.counts[key or b""])
            outputs.append(Output(offset, offset, "campaigns", key, value))
            if table.counts[key or b""] == self.forgets_at:
                del table.counts[key or b""]
        return outputs
