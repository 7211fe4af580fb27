"""The loop over the memory transport: what is written, committed, re-read, dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.support.counting_stage import CountingStage
from worker.domain.dead_letter import DeadLetter, Disposition, Reason
from worker.domain.errors import ConfigError, Fatal, Fenced, RetentionOvertook, StateMismatch
from worker.engine.loop import Engine
from worker.engine.watchdog import Phase
from worker.obs.health import Health
from worker.obs.instruments import Instruments
from worker.settings import Settings
from worker.transport.memory import MemoryBroker, MemorySink, MemorySource
from worker.transport.protocols import CommitInDoubt, CommitRefused, Committed, Partition, Polled

INPUT, OUTPUT, DLQ, GROUP = "weir.sightings", "weir.campaigns", "weir.dlq", "weir.correlate"
P0, P1 = Partition(INPUT, 0), Partition(INPUT, 1)


class SilentRecorder:
    def count(self) -> None:
        """Count nothing."""

    def skip(self) -> None:
        """Count nothing."""


class Bench:
    """Hold a broker and make engines on it."""

    def __init__(self, partitions: int = 2, **settings: Any) -> None:
        topics = {INPUT: partitions, OUTPUT: 2, DLQ: 1, "weir.signals": 2}
        self.broker = MemoryBroker(topics)
        self.settings = Settings(slot="a", **settings)
        self.told: list[tuple[str, dict[str, object]]] = []

    def engine(self, stage: CountingStage | None = None, slot: str = "a", **options: Any) -> Engine:
        instruments = Instruments("correlate")
        source = options.pop("source", None) or MemorySource(self.broker, GROUP, [INPUT], slot)
        return Engine(
            stage or CountingStage(),
            source,
            MemorySink(self.broker),
            self.settings,
            meter=instruments,
            vitals=Health(instruments),
            recorder=SilentRecorder(),
            tell=lambda event, **fields: self.told.append((event, fields)),
            phase=Phase("correlate"),
            bundle_digest="0" * 64,
            **options,
        )

    def write(self, *keys: bytes, partition: int = 0) -> None:
        for key in keys:
            self.broker.append(INPUT, key, b"v", partition=partition)

    def written(self) -> list[bytes]:
        return [cast(bytes, record.value) for record in self.broker.records(OUTPUT)]

    def committed(self, partition: Partition = P0) -> Committed | None:
        return self.broker.group(GROUP).committed.get(partition)


def turns(engine: Engine, count: int = 6) -> None:
    for _ in range(count):
        engine.turn()


def test_outputs_are_written_and_then_offsets_with_the_start_point() -> None:
    bench = Bench()
    bench.write(b"a", b"a", b"b")
    turns(bench.engine())
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"b=1"]
    assert bench.committed() == Committed(3, "weir1 start=0 partitions=2")


def test_the_start_point_is_written_before_the_first_record() -> None:
    bench = Bench()
    engine = bench.engine(CountingStage(fails_at=b"a"))
    engine.turn()  # joins
    engine.turn()
    bench.write(b"a")
    with pytest.raises(ZeroDivisionError):
        turns(engine)
    assert bench.committed() == Committed(0, "weir1 start=0 partitions=2")
    assert bench.committed(P1) == Committed(0, "weir1 start=0 partitions=2")


def test_a_restart_rebuilds_state_and_repeats_nothing_below_the_committed_offset() -> None:
    bench = Bench()
    bench.write(b"a", b"a", b"b")
    turns(bench.engine())
    bench.write(b"a", b"b")
    stage = CountingStage()
    turns(bench.engine(stage))
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"a=3", b"b=1", b"b=2"]
    assert (0, 0, 3) in stage.views, "the batch is cut at the committed offset"
    assert (0, 3, 2) in stage.views


def test_a_crash_between_flush_and_commit_repeats_outputs_and_loses_none() -> None:
    bench = Bench()
    bench.write(b"a")
    first = bench.engine()
    turns(first)
    bench.write(b"a", b"b")
    bench.broker.faults.flush_fails = True
    with pytest.raises(Fatal):
        turns(first)
    bench.broker.faults.flush_fails = False
    assert bench.committed() == Committed(1, "weir1 start=0 partitions=2")
    turns(bench.engine())
    assert set(bench.written()) == {b"a=1", b"a=2", b"b=1"}
    assert bench.committed() == Committed(3, "weir1 start=0 partitions=2")


def test_a_commit_without_an_answer_ends_the_process() -> None:
    bench = Bench()
    engine = bench.engine()
    turns(engine)
    bench.write(b"a")
    bench.broker.faults.commit_unanswered = True
    with pytest.raises(CommitInDoubt) as raised:
        turns(engine)
    assert raised.value.exit_code == 70


def test_a_twin_of_the_slot_is_fatal() -> None:
    bench = Bench()
    engine = bench.engine()
    turns(engine)
    bench.write(b"a")
    polled = engine._poll()
    bench.engine()  # the same instance joins
    with pytest.raises(Fenced):
        engine._commit(engine._step(polled))


def test_two_workers_share_partitions_and_state_follows() -> None:
    bench = Bench()
    bench.write(b"a", b"a")
    bench.write(b"x", b"x", partition=1)
    first = bench.engine(slot="a")
    turns(first)
    second = bench.engine(slot="b")
    for _ in range(8):
        first.turn()
        second.turn()
    bench.write(b"a")
    bench.write(b"x", partition=1)
    for _ in range(4):
        first.turn()
        second.turn()
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"a=3", b"x=1", b"x=2", b"x=3"]


def test_a_table_kept_over_a_rebalance_is_not_rebuilt() -> None:
    bench = Bench()
    bench.write(b"a", b"a")
    stage = CountingStage()
    engine = bench.engine(stage)
    turns(engine)
    bench.broker.group(GROUP).generation += 1  # everyone joins again
    bench.write(b"a")
    made, seen = stage.tables, len(stage.views)
    turns(engine)
    assert stage.tables == made
    assert stage.views[seen:] == [(0, 2, 1)]
    assert bench.written() == [b"a=1", b"a=2", b"a=3"]


def test_work_of_an_older_assignment_is_dropped_and_read_again() -> None:
    bench = Bench()
    source = MemorySource(bench.broker, GROUP, [INPUT], "a")

    class Rebalancing(CountingStage):
        def step(self, table: Any, view: Any) -> Any:
            outputs = super().step(table, view)
            if len(self.views) == 1:
                source._rebalances += 1  # assigned anew while the batch was stepped
            return outputs

    stage = Rebalancing()
    engine = bench.engine(cast(CountingStage, stage), source=source)
    engine.turn()
    engine.turn()
    bench.write(b"a", b"b")
    engine.turn()
    assert bench.written() == [], "nothing of the dropped batch is written"
    turns(engine)
    assert sorted(bench.written()) == [b"a=1", b"b=1"], "the table was rebuilt, not used twice"


def test_a_refused_commit_is_read_again_under_the_next_assignment() -> None:
    bench = Bench()

    class Refusing(MemorySource):
        refuse = 0

        def commit(self, offsets: Any, timeout_s: float) -> None:
            if self.refuse:
                self.refuse -= 1
                raise CommitRefused("the group moved on")
            super().commit(offsets, timeout_s)

    source = Refusing(bench.broker, GROUP, [INPUT], "a")
    engine = bench.engine(source=source)
    turns(engine)
    bench.write(b"a")
    source.refuse = 1
    turns(engine)
    assert bench.written() == [b"a=1", b"a=1"], "repeated with equal content, never counted twice"
    assert bench.committed() == Committed(1, "weir1 start=0 partitions=2")


def test_a_foreign_note_is_refused() -> None:
    bench = Bench()
    bench.broker.group(GROUP).committed[P0] = Committed(0, "")
    with pytest.raises(StateMismatch, match="not written by weir"):
        turns(bench.engine())


def test_a_changed_partition_count_is_refused() -> None:
    bench = Bench()
    bench.broker.group(GROUP).committed[P0] = Committed(0, "weir1 start=0 partitions=7")
    with pytest.raises(StateMismatch, match="had 7 partitions"):
        turns(bench.engine())


def test_retention_past_the_start_point_needs_the_exact_number() -> None:
    bench = Bench()
    bench.write(b"a", b"b", b"c")
    turns(bench.engine())
    bench.broker.trim(P0, 2)
    for accepted in (None, 1, 3):
        with pytest.raises(RetentionOvertook, match="by 2 records") as raised:
            turns(bench.engine(accept_gap=accepted))
        assert raised.value.exit_code == 73
    turns(bench.engine(accept_gap=2))
    assert bench.committed() == Committed(3, "weir1 start=2 partitions=2")


def test_a_record_that_cannot_be_read_is_saved_and_passed() -> None:
    bench = Bench()
    letter = DeadLetter(
        Reason.RECORD_CORRUPT, Disposition.POISON, INPUT, 0, 1, 5, b"k", b"raw \xff", (), "cut"
    )
    bench.write(b"a")
    bench.broker.append(INPUT, b"k", b"", partition=0, unreadable=letter)
    bench.write(b"a")
    turns(bench.engine())
    (saved,) = bench.broker.records(DLQ)
    headers = dict(saved.headers)
    assert (saved.key, saved.value) == (b"k", b"raw \xff")
    assert headers["weir.dlq.reason"] == b"record_corrupt"
    assert headers["weir.dlq.offset"] == b"1"
    assert headers["weir.dlq.worker"] == b"a"
    assert sorted(bench.written()) == [b"a=1", b"a=2"]
    assert bench.committed() == Committed(3, "weir1 start=0 partitions=2")


def test_offsets_without_records_are_crossed() -> None:
    bench = Bench()
    bench.write(b"a")
    bench.broker.skip_offset(P0)
    turns(bench.engine())
    assert bench.committed() == Committed(2, "weir1 start=0 partitions=2")
    engine = bench.engine()
    turns(engine)
    assert engine.restoring == 0


def test_slow_steps_take_fewer_records_a_turn() -> None:
    now = [0.0]

    class Slow(CountingStage):
        def step(self, table: Any, view: Any) -> Any:
            now[0] += len(view) * 0.002
            return super().step(table, view)

    bench = Bench(kafka={"max_poll_records": 4_096})
    bench.write(*[b"k"] * 8_000)
    stage = Slow()
    turns(bench.engine(cast(CountingStage, stage), clock=lambda: now[0]), 40)
    sizes = [count for _, _, count in stage.views]
    assert sizes[0] == 4_096
    assert max(sizes[1:]) == 250, "half of a slice at 2 ms a record"
    assert sum(sizes) == 8_000


def test_stop_ends_after_the_batch_at_hand() -> None:
    bench = Bench()

    class Stopping(CountingStage):
        engine: Engine

        def step(self, table: Any, view: Any) -> Any:
            self.engine.stop()
            return super().step(table, view)

    stage = Stopping()
    stage.engine = bench.engine(cast(CountingStage, stage))
    bench.write(b"a", b"b")
    stage.engine.run()
    assert sorted(bench.written()) == [b"a=1", b"b=1"]
    assert bench.committed() == Committed(2, "weir1 start=0 partitions=2")
    assert stage.engine.phase.name == "idle"


class PostsStage(CountingStage):
    name = "screen"
    inputs = ("posts",)


@pytest.fixture
def posts_bench() -> Iterator[Bench]:
    bench = Bench()
    bench.broker = MemoryBroker({"posts": 1, OUTPUT: 1})
    for time in (10, 20, 30):
        bench.broker.append("posts", b"a", b"v", time=time)
    return iter([bench])


def posts_engine(bench: Bench, start: Any) -> Engine:
    source = MemorySource(bench.broker, "weir.screen", ["posts"], "a")
    return bench.engine(PostsStage(), source=source, start=start)


def test_a_first_start_of_posts_must_say_where(posts_bench: Iterator[Bench]) -> None:
    bench = next(posts_bench)
    with pytest.raises(ConfigError, match="--start earliest") as raised:
        turns(posts_engine(bench, None))
    assert raised.value.exit_code == 78


@pytest.mark.parametrize(("start", "at"), [("earliest", 0), ("latest", 3), (20, 1), (31, 3)])
def test_a_first_start_begins_where_it_was_told(
    posts_bench: Iterator[Bench], start: Any, at: int
) -> None:
    bench = next(posts_bench)
    turns(posts_engine(bench, start))
    held = bench.broker.group("weir.screen").committed[Partition("posts", 0)]
    assert held == Committed(3, f"weir1 start={at} partitions=1")
    assert len(bench.written()) == 3 - at


def test_an_empty_poll_changes_nothing() -> None:
    bench = Bench()
    engine = bench.engine()
    turns(engine)
    assert engine._step(Polled()).outputs == []
