"""A stage for tests of the engine: it numbers the records of each key, so a repeat shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fastpath.records import BatchView
from worker.stages.protocols import Output

Table = Counter[bytes]


class CountingStage:
    """Write `key=n` for the n-th record of a key: equal outputs mean equal state."""

    name = "correlate"
    inputs = ("sightings",)

    def __init__(self, fails_at: bytes | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self.views: list[tuple[int, int, int]] = []  # partition, first offset, records
        self.tables = 0
        self._fails_at = fails_at

    def new_table(self, partition: int, partitions: int) -> Table:
        del partition, partitions
        self.tables += 1
        return Counter()

    def entries(self, table: Table) -> Mapping[str, int]:
        return {"keys": len(table)}

    def step(self, table: Table, view: BatchView) -> list[Output]:
        self.views.append((view.partition, view.offset(0), len(view)))
        outputs = []
        for index in range(len(view)):
            key, offset = view.key(index), view.offset(index)
            if key == self._fails_at:
                raise ZeroDivisionError
            table[key or b""] += 1
            value = b"%b=%d" % (key, table[key or b""])
            outputs.append(Output(offset, offset, "campaigns", key, value))
        return outputs
