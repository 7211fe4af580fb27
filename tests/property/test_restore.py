"""A restored table equals the one that was written, or the restore refuses: never in between."""

from __future__ import annotations

import hashlib
import random

import pytest

from fastpath.records import BatchView
from tests.support.counting_stage import CountingStage, Table
from worker.domain.errors import StateMismatch
from worker.state.changelog import KeyValue
from worker.state.restore import Restore, Tail
from worker.state.state_writer import StateWriter

BUNDLE = hashlib.sha256(b"bundle").digest()


class Owner:
    """Write the state of one partition as an engine does, one transaction at a time."""

    def __init__(self, table: Table, tail: Tail, **shape: int) -> None:
        self.stage = CountingStage()
        self.table = table
        self.writer = StateWriter(tail, **shape)

    def claim(self, in_next: int) -> list[KeyValue]:
        return self.writer.claim("slot-0", 1, 4, in_next)

    def transact(self, keys: list[bytes], offset: int) -> list[KeyValue]:
        """Step some records from `offset` and return what the transaction writes."""
        size = len(keys)
        view = BatchView.from_records(
            "t", 0, keys, [b""] * size, [1] * size, list(range(offset, offset + size))
        )
        self.stage.step(self.table, view)
        writer, stage, table = self.writer, self.stage, self.table
        records = writer.delta(
            offset + size, stage.stream_time(table), BUNDLE, stage.changes(table)
        )
        for slice_ in writer.due():
            records += writer.slice(slice_, stage.snapshot(table, slice_))
        return records


def restore(log: list[KeyValue], committed: int, **shape: int) -> tuple[Table, Tail]:
    stage = CountingStage()
    table = stage.new_table(0, 4)
    restore = Restore(stage, table, 4, **shape)
    for _, value in log:
        restore.feed(value)
    assert restore.progress(committed) == "done"
    return table, restore.tail


def test_a_log_restores_what_was_written_across_owners() -> None:
    rng = random.Random(5)
    log: list[KeyValue] = []
    owner = Owner(Table(), Tail(), ring=2_048, every=3)
    log += owner.claim(0)
    offset = 0
    for turn in range(2_000):
        if turn % 500 == 499:
            table, tail = restore(log, offset, ring=2_048)
            assert table.counts == owner.table.counts
            owner = Owner(table, tail, ring=2_048, every=3)
            log += owner.claim(offset)
        keys = [b"%d" % rng.randrange(300) for _ in range(rng.randrange(1, 4))]
        log += owner.transact(keys, offset)
        offset += len(keys)
    table, tail = restore(log, offset, ring=2_048)
    assert table.counts == owner.table.counts
    assert tail == owner.writer.tail
    with pytest.raises(StateMismatch, match="continues at input offset"):
        restore(log, offset - 1, ring=2_048)
