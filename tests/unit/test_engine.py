"""The loop over the memory transport: what is written together, dropped, split, paced, stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.support.counting_stage import CountingStage
from tests.support.engine_bench import DLQ, GROUP, INPUT, P0, P1, STATE, Bench, KilledError, Killer
from worker.domain.dead_letter import DeadLetter, Disposition, Reason
from worker.domain.errors import Fatal, Fenced
from worker.engine.commands import Poll, Seek, Wait
from worker.engine.pace import Pace
from worker.transport.memory import MemoryBroker, MemorySource
from worker.transport.protocols import CommitInDoubt, Group, Partition


def test_one_turn_asks_for_one_transaction_in_the_order_of_the_protocol() -> None:
    bench = Bench()
    running = bench.engine()
    running.turn(2)
    running.names()
    bench.write(b"a")
    running.turn()
    assert running.names() == [
        *("Poll", "ReadClock", "Begin", "Send", "Flush", "SendOffsets", "Commit")
    ]


def test_outputs_state_and_offset_become_visible_together() -> None:
    bench = Bench()
    bench.write(b"a", b"a", b"b")
    seen = []

    def look(point: str) -> None:
        seen.append((point, len(bench.written()), len(bench.deltas()), bench.committed()))

    bench.engine(failpoint=look).turn(6)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"b=1"]
    assert bench.committed() == 3
    assert [(d.in_from, d.in_next) for d in bench.deltas()] == [(0, 3)]
    together = {(outputs, deltas, offset) for _, outputs, deltas, offset in seen}
    assert together <= {(0, 0, None), (0, 0, 0), (3, 1, 3)}


def test_a_partition_is_claimed_before_its_first_record() -> None:
    bench = Bench()
    running = bench.engine(CountingStage(fails_at=b"a"))
    running.turn(3)
    bench.write(b"a")
    with pytest.raises(ZeroDivisionError):
        running.turn(2)
    assert (bench.committed(P0), bench.committed(P1)) == (0, 0)
    assert (bench.epochs(0), bench.epochs(1)) == ([1], [1])


POINTS = (
    *("after_poll", "after_decide", "after_begin", "after_send[0]", "after_send[1]"),
    *("after_flush", "after_offsets", "before_commit", "after_commit", "after_claim"),
    "in_restore[0]",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_anywhere_repeats_nothing_and_loses_nothing(point: str) -> None:
    bench = Bench()
    bench.write(b"a", b"b", b"a")
    first = bench.engine(failpoint=Killer(point))
    with pytest.raises(KilledError):
        first.turn(8)
    bench.write(b"a", b"b")
    bench.engine().turn(8)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"a=3", b"b=1", b"b=2"]
    assert bench.committed() == 5


def test_a_record_that_was_not_acknowledged_ends_the_process_before_the_offsets() -> None:
    bench = Bench()
    running = bench.engine()
    running.turn(3)
    bench.write(b"a")
    bench.broker.faults.flush_fails = True
    running.names()
    with pytest.raises(Fatal, match="1 of 2 records were not acknowledged"):
        running.turn()
    assert running.names()[-1] == "Flush"
    assert bench.committed() == 0
    bench.broker.faults.flush_fails = False
    bench.engine().turn(6)
    assert bench.written() == [b"a=1"]


def test_a_commit_without_an_answer_ends_the_process_and_is_settled_by_the_next() -> None:
    bench = Bench()
    running = bench.engine()
    running.turn(3)
    bench.write(b"a")
    bench.broker.faults.commit_unanswered = True
    with pytest.raises(CommitInDoubt) as raised:
        running.turn()
    assert raised.value.exit_code == 70
    bench.broker.faults.commit_unanswered = False
    bench.write(b"a")
    bench.engine().turn(6)
    assert bench.written() == [b"a=1", b"a=2"]


def test_a_failure_with_an_open_transaction_crashes_and_one_without_does_not() -> None:
    bench = Bench()
    crashed: list[BaseException] = []

    def crash(error: BaseException) -> Any:
        crashed.append(error)
        raise KilledError

    running = bench.engine()
    running.driver._crash = crash
    running.turn(3)
    bench.write(b"a")
    bench.broker.faults.flush_fails = True
    with pytest.raises(KilledError):
        running.turn()
    assert [type(error) for error in crashed] == [Fatal]

    other = bench.engine(CountingStage(fails_at=b"a"))
    other.driver._crash = crash
    bench.broker.faults.flush_fails = False
    with pytest.raises(ZeroDivisionError):
        other.turn(6)
    assert len(crashed) == 1


def test_a_twin_of_the_slot_fences_the_older_process() -> None:
    bench = Bench()
    twins = []

    def start_a_twin(point: str) -> None:
        if point == "after_begin" and len(bench.epochs()) == 1:
            twins.append(bench.engine())

    older = bench.engine(failpoint=start_a_twin)
    older.turn(3)
    bench.write(b"a")
    with pytest.raises(Fenced):
        older.turn()
    assert bench.written() == []
    twins[0].turn(6)
    assert bench.written() == [b"a=1"]


@pytest.mark.parametrize(("seconds", "requests"), [(2.6, 1), (0.0, 2)])
def test_a_slow_or_repeated_commit_replaces_the_producer(seconds: float, requests: int) -> None:
    bench = Bench()
    running = bench.engine()
    running.turn(3)
    running.names()
    bench.broker.faults.slow_commit_s = seconds
    bench.broker.faults.end_requests = requests
    bench.write(b"a")
    running.turn()
    assert running.names()[-2:] == ["Commit", "ReplaceProducer"]
    bench.broker.faults.slow_commit_s = 0.0
    bench.broker.faults.end_requests = 1
    bench.write(b"a")
    running.turn()
    assert running.names()[-1] == "Commit"
    assert bench.written() == [b"a=1", b"a=2"]


def test_two_workers_share_partitions_and_state_follows() -> None:
    bench = Bench()
    bench.write(b"a", b"a")
    bench.write(b"x", b"x", partition=1)
    first = bench.engine(slot="a")
    first.turn(6)
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


class Unstable(MemorySource):
    """Show another membership than the brokers', as a client does that was put out."""

    shown: dict[str, Any] = {}  # noqa: RUF012

    def group(self) -> Group:
        return super().group()._replace(**self.shown)


@pytest.mark.parametrize(
    "shown",
    [{"stable": False}, {"generation": -1, "member": ""}, {"generation": 0}, {"member": ""}],
    ids=str,
)
def test_a_batch_is_given_back_unless_the_group_is_joined(shown: dict[str, Any]) -> None:
    bench = Bench()
    source = Unstable(bench.broker, GROUP, [INPUT], "a")
    running = bench.engine(source=source)
    running.turn(3)
    bench.write(b"a", b"b")
    source.shown = shown
    running.names()
    running.turn()
    assert running.asked[-2:] == [Seek({P0: 0}), Wait(0.2)], "given back, and not polled in a spin"
    assert bench.written() == []
    source.shown = {}
    running.turn(2)
    assert sorted(bench.written()) == [b"a=1", b"b=1"]


def test_work_of_an_older_assignment_is_dropped_and_read_again() -> None:
    bench = Bench()
    source = Unstable(bench.broker, GROUP, [INPUT], "a")
    stage = CountingStage()
    running = bench.engine(stage, source=source)
    running.turn(3)
    bench.write(b"a", b"b")
    source.shown = {"rebalances": 99}
    running.turn()
    assert stage.views == [], "nothing of the dropped batch is decided"
    running.turn(4)
    assert sorted(bench.written()) == [b"a=1", b"b=1"]


def test_a_record_that_cannot_be_read_is_saved_and_passed_in_the_same_transaction() -> None:
    bench = Bench()
    letter = DeadLetter(
        Reason.RECORD_CORRUPT, Disposition.POISON, INPUT, 0, 1, 5, b"k", b"raw \xff", (), "cut"
    )
    bench.write(b"a")
    bench.broker.append(INPUT, b"k", b"", partition=0, unreadable=letter)
    bench.write(b"a")
    bench.engine().turn(6)
    (saved,) = bench.broker.records(DLQ)
    headers = dict(saved.headers)
    assert (saved.key, saved.value) == (b"k", b"raw \xff")
    assert headers["weir.dlq.reason"] == b"record_corrupt"
    assert headers["weir.dlq.offset"] == b"1"
    assert headers["weir.dlq.worker"] == b"a"
    assert sorted(bench.written()) == [b"a=1", b"a=2"]
    assert bench.committed() == 3
    assert len(bench.deltas()) == 1


def test_markers_are_crossed_with_the_records_before_them() -> None:
    bench = Bench()
    bench.write(b"a")
    bench.broker.skip_offset(P0)
    bench.engine().turn(6)
    assert bench.committed() == 2


def test_markers_alone_are_committed_after_an_idle_second() -> None:
    bench = Bench()
    bench.write(b"a")
    running = bench.engine()
    running.turn(6)
    bench.broker.skip_offset(P0)
    running.turn(4)
    assert bench.committed() == 1
    bench.clock.now += 1.5
    running.turn()
    assert bench.committed() == 2
    assert [(d.in_from, d.in_next) for d in bench.deltas()] == [(0, 1), (1, 2)]
    bench.engine().turn(6)  # the state says where it goes on: no stop


def test_a_large_poll_makes_transactions_of_a_quarter_second_each() -> None:
    bench = Bench(kafka={"max_poll_records": 10_000})

    class Slow(CountingStage):
        def step(self, table: Any, view: Any) -> Any:
            bench.clock.now += len(view) * 0.001
            return super().step(table, view)

    bench.write(*[b"k"] * 2_000)
    stage = Slow()
    bench.engine(stage).turn(8)
    assert sum(size for _, _, size in stage.views) == 2_000
    assert len(bench.written()) == 2_000
    work = [delta.in_next - delta.in_from for delta in bench.deltas()]
    assert work[0] == 1_024, "the first piece is a guess at the stage's speed"
    assert max(work[1:]) <= 256 + 64
    assert len(bench.deltas()) == len(work) > 3


def test_a_write_that_was_held_up_does_not_hold_up_the_next_turn() -> None:
    pace = Pace(interval_s=0.05)
    for seconds in (0.004, 0.015):
        pace.wrote(seconds)
    pace.polled(1.0, records=True, full=False)
    assert pace.wait_s(1.0) == pytest.approx(0.012)
    pace.wrote(0.015)
    assert pace.wait_s(1.0) == pytest.approx(0.045), "a broker that is slow twice is slow"


@pytest.mark.parametrize(
    ("write_s", "waits"), [(0.004, [0.008]), (0.02, [0.03]), (0.06, [])], ids=str
)
def test_turns_begin_three_writes_apart_and_at_most_an_interval(
    write_s: float, waits: list[float]
) -> None:
    bench = Bench(interval_ms=50)

    def write(point: str) -> None:
        bench.clock.now += write_s if point == "after_flush" else 0.0

    running = bench.engine(failpoint=write)
    running.turn(3)
    bench.clock.now += 1
    bench.write(b"a")
    running.turn(2)
    asked = [command.seconds for command in running.asked if isinstance(command, Wait)]
    assert asked == pytest.approx(waits)


def test_a_full_poll_is_followed_at_once() -> None:
    bench = Bench(kafka={"max_poll_records": 2}, interval_ms=50)
    running = bench.engine()
    running.turn(3)
    bench.clock.now += 1
    bench.write(b"a", b"a", b"a", b"a")
    running.turn(2)
    assert not [command for command in running.asked if isinstance(command, Wait)]


def test_a_quiet_loop_polls_without_restoring_or_writing() -> None:
    bench = Bench()
    running = bench.engine()
    running.turn(4)
    running.asked.clear()
    running.turn()
    assert [type(command) for command in running.asked] == [Poll]


def test_stop_ends_after_the_transaction_at_hand() -> None:
    bench = Bench(kafka={"max_poll_records": 10_000})

    class Stopping(CountingStage):
        def step(self, table: Any, view: Any) -> Any:
            running.driver.stop()
            bench.clock.now += 1
            return super().step(table, view)

    bench.write(*[b"k"] * 3_000)
    running = bench.engine(Stopping())
    running.run()
    assert running.names()[-3:] == ["SendOffsets", "Commit", "Close"]
    assert bench.committed() == 1_024
    assert running.driver.phase.name == "idle"
    bench.engine().turn(6)
    assert sorted(bench.written()) == sorted(b"k=%d" % n for n in range(1, 3_001))


def test_an_input_without_state_begins_at_its_earliest_record_and_needs_no_delta() -> None:
    bench = Bench()
    bench.broker = MemoryBroker({INPUT: 1, "weir.reviews": 1, "weir.campaigns": 1, STATE: 1})

    class Forwarding(CountingStage):
        def step(self, table: Any, view: Any) -> Any:
            return super().step(table if table is not None else self.new_table(0, 1), view)

    bench.broker.append("weir.reviews", b"r", b"v", partition=0)
    source = MemorySource(bench.broker, GROUP, [INPUT, "weir.reviews"], "a")
    bench.engine(Forwarding(), source=source).turn(6)
    assert bench.written() == [b"r=1"]
    assert bench.committed(Partition("weir.reviews", 0)) == 1
    assert bench.deltas() == []


@pytest.fixture
def posts() -> Iterator[Bench]:
    """Give a bench whose input is called posts, with records at 10, 20 and 30 ms."""
    bench = Bench()
    state = {"weir.state.screen": 1, "weir.campaigns": 1}
    bench.broker = MemoryBroker({"posts": 1, **state})
    for time in (10, 20, 30):
        bench.broker.append("posts", b"a", b"v", time=time)
    return iter([bench])


class PostsStage(CountingStage):
    name = "screen"
    inputs = ("posts",)


def posts_engine(bench: Bench, start: Any) -> Any:
    source = MemorySource(bench.broker, GROUP, ["posts"], "a")
    return bench.engine(cast(CountingStage, PostsStage()), source=source, start=start)


@pytest.mark.parametrize(("start", "at"), [("earliest", 0), ("latest", 3), (20, 1), (31, 3)])
def test_a_first_start_begins_where_it_was_told(
    posts: Iterator[Bench], start: Any, at: int
) -> None:
    bench = next(posts)
    posts_engine(bench, start).turn(6)
    assert len(bench.written()) == 3 - at
    assert bench.broker.group(GROUP).committed[Partition("posts", 0)] == 3
