"""A restored table equals the one that was written, or the restore refuses: never in between.

A small model of a compacted topic: transactions commit or abort, the cleaner removes any part of
what is superseded, aborted or a control record, owners die at any time and restore. The log is
what `read_committed` shows.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
from collections import Counter
from typing import Literal, NamedTuple

import pytest

from fastpath.records import BatchView
from tests.support.counting_stage import CountingStage, Table
from worker.domain.errors import StateMismatch
from worker.state.changelog import (
    Claim,
    KeyValue,
    Slice,
    decode,
    encode_claim,
    encode_delta,
    encode_slice,
)
from worker.state.restore import Restore, Tail
from worker.state.state_writer import StateWriter

BUNDLE = hashlib.sha256(b"bundle").digest()
RING, SLICES, EVERY, LIMIT = 64, 8, 3, 300
FORGETS_AT = 5  # a key that counts so far is deleted
PARTITIONS = 4


class Stored(NamedTuple):
    key: bytes
    value: bytes
    committed: bool


class Broker:
    """Hold the log of one state partition and compact it."""

    def __init__(self, draw: random.Random) -> None:
        self.log: list[Stored] = []
        self.draw = draw

    def append(self, records: list[KeyValue], committed: bool) -> None:
        self.log += [Stored(key, value, committed) for key, value in records]

    def compact(self) -> None:
        """Remove part of what a cleaner may remove: it leaves aborted batches out of its map."""
        newest = {record.key: at for at, record in enumerate(self.log) if record.committed}
        share = self.draw.choice((0.2, 0.9, 1.0))
        self.log = [
            record
            for at, record in enumerate(self.log)
            if (record.committed and newest[record.key] == at) or self.draw.random() > share
        ]

    def read_committed(self) -> list[bytes]:
        return [record.value for record in self.log if record.committed]


class Owner:
    """Write the state of one partition as an engine does, one transaction at a time."""

    def __init__(self, writer: StateWriter, table: Table) -> None:
        self.stage = CountingStage(slices=SLICES, forgets_at=FORGETS_AT)
        self.table = table
        self.writer = writer

    def transact(self, keys: list[bytes], offset: int) -> list[KeyValue]:
        """Step some records from `offset` and return what the transaction writes."""
        size, writer, stage, table = len(keys), self.writer, self.stage, self.table
        offsets = list(range(offset, offset + size))
        stage.step(table, BatchView.from_records("t", 0, keys, [b""] * size, offsets, offsets))
        time, entries = stage.stream_time(table), stage.changes(table)
        records = writer.delta(offset + size, time, BUNDLE, entries)
        snapshots = [writer.slice(s, stage.snapshot(table, s)) for s in writer.due()]
        return records + [record for parts in snapshots for record in parts]


class Forgetful(StateWriter):
    """Break invariant W: slices come in turn, however long the round takes."""

    def __init__(self, tail: Tail) -> None:
        super().__init__(tail, ring=RING, slices=SLICES, every=EVERY, limit=LIMIT)
        self._every = 20

    def _is_overdue(self, slice_: int) -> bool:
        return False


def keeping(tail: Tail, limit: int = LIMIT) -> StateWriter:
    return StateWriter(tail, ring=RING, slices=SLICES, every=EVERY, limit=limit)


def restore(
    log: list[bytes],
    committed: int | None,
    tag: tuple[Table, Tail] | None = None,
    stale: Literal["refuse", "ignore"] = "refuse",
) -> Owner:
    """Restore, from the start or on a kept table; StateMismatch where it does not add up.

    Without a committed offset it is right where the state says, as at least once.
    """
    stage = CountingStage(slices=SLICES)
    table, tail = tag or (stage.new_table(0, PARTITIONS), None)
    at_work = Restore(stage, table, PARTITIONS, tail, ring=RING, slices=SLICES, stale=stale)
    for value in log:
        at_work.feed(value)
    committed = at_work.tail.in_next or 0 if committed is None else committed
    if at_work.progress(committed) == "behind":
        raise StateMismatch("the log ends before the committed offset")
    assert stage.changes(table) == b""
    return Owner(keeping(at_work.tail), table)


class AtLeastOnce:
    """Let an owner die in the middle of what it writes, whole or not: nothing is ever aborted."""

    LIMIT = 160  # cuts most snapshots into chunks

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.log: list[KeyValue] = []
        self.input: list[bytes] = []
        self.torn = self.cut = 0
        self.owner = Owner(keeping(Tail(), self.LIMIT), Table())
        self._write(self.owner.writer.claim("slot", 1, PARTITIONS, 0))

    def _write(self, records: list[KeyValue], dies: float = 0.0) -> bool:
        """Append records, or only the first of them; tell whether the owner lives."""
        whole = self.draw.random() >= dies
        self.log += records if whole else records[: self.draw.randrange(len(records) + 1)]
        return whole

    def turn(self) -> None:
        keys = [b"%d" % self.draw.randrange(120) for _ in range(self.draw.randrange(1, 6))]
        at = self.owner.writer.tail.in_next or 0
        self.input[at:] = keys
        if not self._write(self.owner.transact(keys, at), dies=0.2):
            while not self.take_over():
                pass

    def compact(self) -> None:
        newest = {key: at for at, (key, _) in enumerate(self.log)}
        self.log = [record for at, record in enumerate(self.log) if newest[record[0]] == at]

    def take_over(self) -> bool:
        """Restore and claim; tell whether the claim is whole."""
        found = restore([value for _, value in self.log], None, stale="ignore")
        found.writer = keeping(found.writer.tail, self.LIMIT)
        at = found.writer.tail.in_next or 0
        self.check(found, at)
        claim = found.writer.claim("slot", 1, PARTITIONS, at)
        torn = found.writer.torn()
        self.torn += bool(torn)
        for slice_ in torn:
            claim += found.writer.slice(slice_, found.stage.snapshot(found.table, slice_))
        assert not found.writer.torn()
        self.owner = found
        whole = self._write(claim, dies=0.3)
        self.cut += bool(torn and not whole)
        if whole and self.draw.random() < 0.3:
            self.compact()  # of what is closed: all that a living owner has written anew
        return whole

    def check(self, found: Owner, at: int) -> None:
        truth: Counter[bytes] = Counter()
        for key in self.input[:at]:
            truth[key] += 1
            if truth[key] == FORGETS_AT:
                del truth[key]
        assert found.table.counts == truth


def test_a_snapshot_that_a_crash_cut_off_is_left_out_and_taken_again() -> None:
    """At least once nothing is aborted: the older snapshot stands until the newer one is whole."""
    torn = cut = 0
    for seed in range(20):
        run = AtLeastOnce(seed)
        for _ in range(200):
            run.turn()
        torn, cut = torn + run.torn, cut + run.cut
    assert torn > 50
    assert cut > 10


class Run:
    """Let owners write, die and restore over one partition; compare every restore."""

    def __init__(self, seed: int, writer: type[StateWriter] | None = None) -> None:
        self.draw = random.Random(seed)
        self.broker = Broker(self.draw)
        self.make = writer or keeping
        self.truth: Counter[bytes] = Counter()
        self.offset = 0
        self.results: Counter[str] = Counter()
        self.owner = Owner(self.make(Tail()), Table())
        self.claim()

    def claim(self) -> None:
        records = self.owner.writer.claim("slot", 1, PARTITIONS, self.offset)
        self.broker.append(records, True)

    def turn(self) -> None:
        keys = [b"%d" % self.draw.randrange(60) for _ in range(self.draw.randrange(1, 30))]
        records = self.owner.transact(keys, self.offset)
        if self.draw.random() < 0.03:  # dies; some of the records are there, aborted
            self.broker.append(records[: self.draw.randrange(len(records) + 1)], False)
            self.take_over()
            return
        self.broker.append(records, True)
        for key in keys:
            self.truth[key] += 1
            if self.truth[key] == FORGETS_AT:
                del self.truth[key]
        self.offset += len(keys)
        if self.draw.random() < 0.05:
            self.broker.compact()

    def take_over(self) -> None:
        if self.draw.random() < 0.5:
            self.broker.compact()
        try:
            found = restore(self.broker.read_committed(), self.offset)
        except StateMismatch:
            self.results["refused"] += 1
            raise
        assert found.table.counts == self.truth, "a wrong table was let through"
        self.results["exact"] += 1
        self.owner = Owner(self.make(found.writer.tail), found.table)
        self.claim()


def test_compaction_never_makes_a_restore_wrong_or_refused() -> None:
    results: Counter[str] = Counter()
    for seed in range(60):
        run = Run(seed)
        for _ in range(300):
            run.turn()
        run.take_over()
        results.update(run.results)
    assert results["exact"] > 500
    assert results["refused"] == 0


def test_owners_that_die_at_once_keep_invariant_w() -> None:
    """No owner lives to its turn of a slice: what is overdue is snapshotted all the same."""
    run = Run(1)
    for turn in range(4 * RING):
        run.turn()
        run.broker.compact()
        if turn % 2:
            run.take_over()
    assert run.results["exact"] > RING


def test_with_invariant_w_broken_what_is_wrong_is_refused() -> None:
    results: Counter[str] = Counter()
    for seed in range(60):
        run = Run(seed, Forgetful)
        with contextlib.suppress(StateMismatch):
            for _ in range(300):
                run.turn()
            run.take_over()
        results.update(run.results)
    assert results["refused"] > 30


def test_a_kept_table_goes_on_from_its_tag() -> None:
    """Whatever was compacted meanwhile, a warm restore is exact or refuses; mostly exact."""
    results: Counter[str] = Counter()
    for seed in range(60):
        run = Run(seed)
        for _ in range(run.draw.randrange(1, 200)):
            run.turn()
        read = len(run.broker.read_committed())
        kept = restore(run.broker.read_committed(), run.offset)
        tag = (kept.table, kept.writer.tail)
        assert run.broker.log
        before = [record for record in run.broker.log if record.committed][:read]
        for _ in range(run.draw.choice((0, 3, 40, 150))):
            run.turn()
        seen = set(before)
        later = [r.value for r in run.broker.log if r.committed and r not in seen]
        try:
            found = restore(later, run.offset, tag)
        except StateMismatch:
            results["refused"] += 1
            continue
        assert found.table.counts == run.truth
        results["exact"] += 1
    assert results["exact"] > 40


def history(turns: int = 100) -> tuple[list[KeyValue], int]:
    owner = Owner(keeping(Tail()), Table())
    log = owner.writer.claim("slot-0", 1, PARTITIONS, 0)
    for turn in range(turns):
        log += owner.transact([b"%d" % turn, b"x%d" % (turn // 4)], 2 * turn)
    return log, 2 * turns


def refused(log: list[bytes], committed: int, **shape: int) -> str:
    stage = CountingStage(slices=SLICES)
    shape = {"partitions": PARTITIONS, "ring": RING, "slices": SLICES} | shape
    at_work = Restore(stage, stage.new_table(0, PARTITIONS), **shape)  # type: ignore[arg-type]
    with pytest.raises(StateMismatch) as caught:  # noqa: PT012  # any step may notice
        for value in log:
            at_work.feed(value)
        at_work.progress(committed)
    return str(caught.value)


def test_the_offset_decides() -> None:
    log, committed = history()
    values = [value for _, value in log]
    assert "the committed offset is 198" in refused(values, committed - 2)
    stage = CountingStage(slices=SLICES)
    at_work = Restore(stage, stage.new_table(0, 4), 4, ring=RING, slices=SLICES)
    assert at_work.empty
    for value in values:
        assert at_work.progress(committed) == "behind"
        at_work.feed(value)
    assert at_work.progress(committed + 1) == "behind"
    assert at_work.progress(committed) == "done"
    assert not at_work.empty


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"partitions": 5}, "written for 4 partitions of the input topic, now there are 5"),
        ({"ring": 128}, "written for 64 ring positions, now there are 128"),
        ({"slices": 4}, "written for 8 slices, now there are 4"),
    ],
)
def test_another_shape_is_refused(shape: dict[str, int], message: str) -> None:
    log, committed = history()
    assert message in refused([value for _, value in log], committed, **shape)


def test_what_does_not_follow_is_refused() -> None:
    log, committed = history(20)
    values = [value for _, value in log]
    deltas = [at for at, (key, _) in enumerate(log) if key[:1] == b"D"]
    swapped = values.copy()
    swapped[deltas[3]], swapped[deltas[4]] = swapped[deltas[4]], swapped[deltas[3]]
    assert "stands behind delta" in refused(swapped, committed)
    newest = next(at for at, (key, _) in enumerate(log) if key[:1] == b"S" and at > deltas[4])
    later = next(at for at in deltas if at > newest)
    late = [*values[:newest], *values[newest + 1 : later + 1], values[newest], *values[later + 1 :]]
    assert "as of delta" in refused(late, committed)
    assert "CRC-32C" in refused([*values[:5], values[5][:-1] + b"\x00", *values[6:]], committed)
    without = [value for at, value in enumerate(values) if at != deltas[10]]
    assert "is missing" in refused(without, committed)
    forged = encode_delta(
        epoch=1, seq=21, in_from=committed, in_next=committed + 1, stream_time=0, bundle=BUNDLE,
        position=21, entries=b"", chain=b"another hash 16b",
    )[0]  # fmt: skip
    assert "does not follow" in refused([*values, forged[0][1]], committed + 1)
    tail = restore(values, committed).writer.tail
    gap = encode_delta(
        epoch=1, seq=21, in_from=committed + 1, in_next=committed + 2, stream_time=0,
        bundle=BUNDLE, position=21, entries=b"", chain=tail.chain,
    )[0]  # fmt: skip
    assert "begins at input offset 41" in refused([*values, gap[0][1]], committed + 2)
    early = encode_slice(slice_=1, epoch=1, as_of_seq=30, stream_time=0, entries=b"")
    assert "the newest delta is 20" in refused([*values, early[0][1]], committed)
    assert "no tombstone" in refused([*values, None], committed)  # type: ignore[list-item]


def test_a_snapshot_that_is_not_whole_is_refused() -> None:
    log, committed = history()
    parts = [(at, decode(value)) for at, (_, value) in enumerate(log)]
    slices = [(at, part) for at, part in parts if isinstance(part, Slice) and part.chunks > 1]
    newest = {part.slice: at for at, part in slices}
    assert newest
    for at in newest.values():
        without = [value for place, (_, value) in enumerate(log) if place != at]
        assert re.search(
            "chunk . of slice . as of delta .* is missing", refused(without, committed)
        )


def test_a_process_that_lost_the_partition_is_noticed() -> None:
    log, committed = history(20)
    values = [value for _, value in log]
    first, second = restore(values, committed), restore(values, committed)
    claims = [value for _, value in first.writer.claim("slot-1", 2, PARTITIONS, committed)]
    late = [value for _, value in Owner(second.writer, second.table).transact([b"x"], committed)]
    assert "had lost the partition" in refused([*values, *claims, *late], committed)
    blind = encode_claim(Claim("s", 1, 2, 19, committed, 0, PARTITIONS, RING, SLICES))
    assert "delta 20 stands before its claim" in refused([*values, blind[1]], committed)


def test_a_retention_gap_is_accepted_once_and_written_down() -> None:
    log, committed = history(20)
    owner = restore([value for _, value in log], committed)
    claim = owner.writer.claim("slot-1", 2, PARTITIONS, committed + 7, accepted_gap=7)
    log += claim
    log += owner.transact([b"x"], committed + 7)
    assert restore([value for _, value in log], committed + 8).table.counts[b"x"] == 1
    wrong = restore([value for _, value in history(20)[0]], committed)
    records = wrong.writer.claim("slot-1", 2, PARTITIONS, committed + 7, accepted_gap=6)
    assert "continues at 46" in refused([v for _, v in [*history(20)[0], *records]], committed + 7)


def test_a_ring_shorter_than_two_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        StateWriter(Tail(), ring=48, slices=8, every=3)
