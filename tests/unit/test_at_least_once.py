"""The loop at least once: outputs, then state, then offsets, and what a crash repeats."""

from __future__ import annotations

import pytest

from tests.support.engine_bench import P0, P1, Bench, KilledError, Killer, Running
from worker.engine.writer import OFFSETS_S
from worker.transport.protocols import Polled


def test_outputs_are_written_before_state_before_offsets() -> None:
    bench = Bench(delivery="at-least-once")
    running = bench.engine()
    running.turn(3)
    running.names()
    bench.clock.now += OFFSETS_S
    bench.write(b"a")
    running.turn()
    writes = ["Send", "Flush", "Send", "Flush", "CommitOffsets"]
    assert running.names() == ["Poll", "ReadClock", *writes]
    assert bench.written() == [b"a=1"]
    assert bench.committed() == 1


def test_offsets_follow_behind_all_partitions_at_once() -> None:
    bench = Bench(delivery="at-least-once")
    running = bench.engine()
    running.turn(3)
    for partition in (0, 1):
        bench.write(b"a", partition=partition)
        running.turn()
    assert [bench.committed(P0), bench.committed(P1)] == [0, 0]
    assert bench.written() == [b"a=1", b"a=1"], "outputs wait for no offset"
    running.names()
    bench.clock.now += OFFSETS_S
    running.turn()
    assert running.names() == ["Poll", "CommitOffsets"], "also where nothing more comes"
    assert [bench.committed(P0), bench.committed(P1)] == [1, 1]
    running.turn(3)
    assert "CommitOffsets" not in running.names()


def with_an_offset_behind() -> tuple[Bench, Running]:
    """Give a worker that has written what it decided, and not committed the offset yet."""
    bench = Bench(delivery="at-least-once")
    running = bench.engine()
    running.turn(3)
    bench.write(b"a")
    running.turn()
    assert bench.committed() == 0
    return bench, running


def test_a_stop_commits_what_is_behind() -> None:
    bench, running = with_an_offset_behind()
    running.driver.stop()
    running.run()
    assert running.names()[-2:] == ["CommitOffsets", "Close"]
    assert bench.committed() == 1, "the other delivery could start here"


def test_a_partition_that_leaves_takes_its_offset_along() -> None:
    bench, running = with_an_offset_behind()
    other = bench.engine(slot="b")
    for _ in range(6):
        other.turn()
        running.turn()
    assert not [event for event, _ in bench.told if event == "commit_refused"]
    assert bench.written() == [b"a=1"], "the state says where it goes on"
    assert bench.committed() == 1, "the claim commits it"


def test_a_crash_repeats_outputs_alone() -> None:
    bench = Bench(delivery="at-least-once")
    running = bench.engine(failpoint=Killer("after_flush", 2))
    bench.write(b"a")
    with pytest.raises(KilledError):
        running.turn(6)  # the outputs are written, their delta is not
    bench.write(b"a")
    running = bench.engine()
    running.turn(6)
    bench.clock.now += OFFSETS_S
    running.turn()
    assert bench.written() == [b"a=1", b"a=1", b"a=2"], "repeated, with equal content"
    assert bench.committed() == 2


def test_a_start_goes_on_where_the_state_says_when_the_offset_was_lost() -> None:
    bench = Bench(delivery="at-least-once")
    running = bench.engine(failpoint=Killer("after_flush", 3))
    bench.write(b"a")
    with pytest.raises(KilledError):
        running.turn(6)  # outputs and delta are written, the offset is not
    assert bench.committed() == 0
    bench.write(b"a")
    running = bench.engine()
    running.turn(6)
    bench.clock.now += OFFSETS_S
    running.turn()
    assert bench.written() == [b"a=1", b"a=2"]
    assert bench.committed() == 2


def test_a_refused_commit_is_read_again_under_the_next_assignment() -> None:
    bench = Bench(delivery="at-least-once")
    running = bench.engine()
    running.turn(3)
    bench.write(b"a")
    poll = running.source.poll

    def moved_on(timeout_s: float, max_records: int) -> Polled:
        polled = poll(timeout_s, max_records)
        if polled.items:
            running.source._group.generation += 1
            running.source._generation += 1
            shown = running.source.group()
            running.source._generation -= 1
            running.source.group = lambda: shown._replace(generation=shown.generation - 1)
        return polled

    running.source.poll = moved_on  # type: ignore[method-assign]
    bench.clock.now += OFFSETS_S
    running.turn()
    assert [event for event, _ in bench.told if event == "commit_refused"]
    running.source.poll = poll  # type: ignore[method-assign]
    del running.source.group  # type: ignore[method-assign]
    running.turn(6)
    assert bench.written() == [b"a=1"], "the state was written: nothing is decided twice"
    assert bench.committed() == 1
