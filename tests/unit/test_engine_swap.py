"""Another bundle in the middle: taken between two transactions, told by every delta."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.support.counting_stage import CountingStage
from tests.support.engine_bench import Bench, Running, SilentRecorder
from tests.unit.test_engine import POINTS, KilledError, Killer
from worker.engine.loop import Successor

RESTORING = ("in_restore[0]", "after_claim")  # reached before the first record alone
OLD, NEW, NEWER = bytes(32), b"\1" * 32, b"\2" * 32


class Counts:
    """Count how often something happened."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def offer(running: Running, stage: CountingStage, digest: bytes, taken: Counts) -> None:
    successor = Successor(cast(Any, stage), cast(Any, SilentRecorder()), digest.hex(), taken)
    running.engine.offer(successor)


def test_a_stage_of_another_bundle_goes_on_where_the_older_stood() -> None:
    bench = Bench()
    older, newer, taken = CountingStage(), CountingStage(), Counts()
    running = bench.engine(older)
    bench.write(b"a", b"a")
    running.turn(4)
    offer(running, newer, NEW, taken)
    assert (taken.count, running.engine.stage) == (0, older)
    bench.write(b"a", b"b")
    running.turn(2)
    assert (taken.count, running.engine.stage) == (1, newer)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"a=3", b"b=1"]
    deltas = [(each.in_from, each.in_next, each.bundle) for each in bench.deltas()]
    assert deltas == [(0, 2, OLD), (2, 4, NEW)]
    assert sum(records for _, _, records in older.views) == 2
    bench.write(b"a")
    bench.engine().turn(6)  # the slot starts again
    assert bench.written()[-1] == b"a=4"


@pytest.mark.parametrize("point", [point for point in POINTS if point not in RESTORING])
def test_a_kill_around_a_swap_repeats_nothing_and_loses_nothing(point: str) -> None:
    bench = Bench()
    bench.write(b"a", b"b")
    armed: list[Killer] = []

    def failpoint(name: str) -> None:
        for killer in armed:
            killer(name)

    first = bench.engine(failpoint=failpoint)
    first.turn(5)
    offer(first, CountingStage(), NEW, Counts())
    bench.write(b"a", b"b", b"a")
    armed.append(Killer(point))
    with pytest.raises(KilledError):
        first.turn(4)
    second = bench.engine()  # begins with the older bundle, as a slot whose files are older does
    second.turn(8)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"a=3", b"b=1", b"b=2"]
    assert bench.committed() == 5
    told = [(each.in_from, each.in_next) for each in bench.deltas()]
    assert [at for _, at in told[:-1]] == [at for at, _ in told[1:]]  # one bundle for each offset


def test_of_two_bundles_offered_in_a_row_the_later_one_decides() -> None:
    bench = Bench()
    running = bench.engine()
    running.turn(3)
    first, second = Counts(), Counts()
    offer(running, CountingStage(), NEW, first)
    offer(running, CountingStage(), NEWER, second)
    bench.write(b"a")
    running.turn(3)
    bench.write(b"a")
    running.turn(2)
    assert (first.count, second.count) == (1, 1)
    assert bench.written() == [b"a=1", b"a=2"]
    assert bench.deltas()[-1].bundle == NEWER


def test_no_bundle_is_taken_while_a_partition_is_restored() -> None:
    bench = Bench()
    bench.write(b"a", b"a")
    bench.engine().turn(5)
    bench.write(b"a")
    running = bench.engine(piece=1)  # restores what the first one wrote, a record at a time
    while not running.engine.restoring:
        running.turn()
    newer, taken = CountingStage(), Counts()
    offer(running, newer, NEW, taken)
    waited = 0
    while running.engine.restoring:
        assert taken.count == 0
        running.turn()
        waited += 1
    assert waited > 1
    running.turn(2)
    assert (taken.count, running.engine.stage) == (1, newer)
    assert bench.written()[-1] == b"a=3"
