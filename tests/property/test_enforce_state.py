"""Enforce goes on from what its changelog holds as if it had never stopped."""

from __future__ import annotations

import random

import pytest

from fastpath import CorruptImage
from fastpath.changelog import SLICES, pack, unpack
from fastpath.spec import Entry
from tests.support.enforce_stories import KEY, Replay, oracle_for, story, view_of
from worker.policy.bundle import Bundle
from worker.stages.enforce import EnforceStage, EnforceTable
from worker.stages.protocols import Output
from worker.state.ledger_images import RowImages

STORIES = 300
DAY = 86_400_000


def read_out(table: EnforceTable) -> tuple[object, ...]:
    """Give all that can be observed of a table, rows as of their last judged time."""
    images = RowImages(KEY, b"x")
    return tuple(
        (
            book.ledger.stream_time,
            sorted(
                entry for account, row in book.ledger.rows() for entry in images.all(account, row)
            ),
            sorted(entry for slice_ in range(SLICES) for entry in book.breaker.snapshot(slice_)),
        )
        for book in (table.live, table.shadow)
    )


class Line:
    """Drive one table, and restart it where a draw says so: from deltas or from snapshots."""

    def __init__(self, bundle: Bundle, act_after: int | None, draw: random.Random | None) -> None:
        self.stage = EnforceStage(bundle, "weir", KEY, act_after)
        self.table = self.stage.new_table(0, 2)
        self.copy = self.stage.new_table(0, 2)
        self.draw = draw
        self.restarts = 0

    def step(self, records: list[bytes], first: int) -> list[Output]:
        outputs = self.stage.step(self.table, view_of(records, first=first))
        if self.draw is not None and self.draw.random() < 0.4:
            self.drain()
            if self.draw.random() < 0.5:
                self.restart()
        return outputs

    def drain(self) -> None:
        entries = self.stage.changes(self.table)
        self.stage.restore(self.copy, self.stage.stream_time(self.table), entries)
        if self.draw is not None and self.draw.random() < 0.3:  # a slice of the copy is replaced
            slice_ = self.draw.randrange(SLICES)
            snapshot = self.stage.snapshot(self.table, slice_)
            self.stage.clear(self.copy, slice_)
            self.stage.restore(self.copy, self.stage.stream_time(self.table), snapshot)

    def restart(self) -> None:
        assert self.draw is not None
        if self.draw.random() < 0.5:
            assert read_out(self.copy) == read_out(self.table)
        self.restarts += 1
        self.table, self.copy = self.copy, self.stage.new_table(0, 2)
        time = self.stage.stream_time(self.table)
        for slice_ in range(SLICES):
            self.stage.restore(self.copy, time, self.stage.snapshot(self.table, slice_))
        assert self.stage.changes(self.table) == b""


def test_stories_with_restarts_end_as_those_without() -> None:
    restarts = 0
    for seed in range(STORIES):
        bundle, events, act_after = story(seed)
        replay = Replay(oracle_for(bundle, act_after, 0, 2))
        for event in events:
            replay.feed(event)
        draw = random.Random(seed)
        calm, shaken = Line(bundle, act_after, None), Line(bundle, act_after, draw)
        at = 0
        while at < len(replay.records):
            part = replay.records[at : at + draw.randint(1, 6)]
            assert shaken.step(part, at) == calm.step(part, at), f"story {seed} at {at}"
            at += len(part)
        assert read_out(shaken.table) == read_out(calm.table), f"story {seed}"
        restarts += shaken.restarts
    assert restarts > STORIES


def test_what_one_signal_changes_is_written_and_nothing_else() -> None:
    """An account with a long history costs no more than one with a short one."""
    bundle, _, _ = story(1)
    replay = Replay(oracle_for(bundle, None, 0, 2))
    for _ in range(400):
        replay.feed(("fresh", DAY // 8, "a", "p", "r0"))
    line = Line(bundle, None, None)
    sizes = []
    for at, record in enumerate(replay.records):
        line.step([record], at)
        sizes.append(len(line.stage.changes(line.table)))
    assert max(sizes[200:]) < 2 * max(sizes[:20])


@pytest.mark.parametrize("value", [
    b"", b"X[]", b"L", b"L{}", b"L[]", b'L["a"]', b'L["a", 0]', b"B[]", b'B["lock", "x", 1]',
])  # fmt: skip
def test_malformed_entries_are_refused(value: bytes) -> None:
    bundle, _, _ = story(1)
    stage = EnforceStage(bundle, "weir", KEY, None)
    table = stage.new_table(0, 2)
    with pytest.raises(CorruptImage):  # noqa: PT012  # where it is noticed is open
        stage.restore(table, 0, pack([Entry(b"k" * 16, value)]))
        stage.snapshot(table, b"k"[0])
        list(table.live.ledger.rows())


def test_deletes_reach_what_they_name() -> None:
    bundle, events, act_after = story(5)
    replay = Replay(oracle_for(bundle, act_after, 0, 2))
    for event in events:
        replay.feed(event)
    line = Line(bundle, act_after, None)
    line.step(replay.records, 0)
    line.drain()
    assert len(line.copy.live.ledger) > 0
    far = 4_000 * DAY
    for ledger in (line.table.live.ledger, line.table.shadow.ledger):
        for _ in range(400):
            ledger.advance(far)
    entries = line.stage.changes(line.table)
    assert all(entry.deleted for entry in unpack(entries))
    line.stage.restore(line.copy, far, entries)
    assert len(line.copy.live.ledger) == len(line.copy.shadow.ledger) == 0
