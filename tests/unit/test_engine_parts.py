"""Deadline, watchdog, fuse: the guards around the loop."""

from __future__ import annotations

import pytest

from worker.domain.errors import FuseOpen
from worker.engine.deadline import Deadline
from worker.engine.fuse import IN_A_ROW, SHARE, WINDOW, Fuse
from worker.engine.watchdog import Phase, Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_slow_flush_cannot_starve_the_commit() -> None:
    clock = Clock()
    stop = Deadline.after(34, clock)
    assert stop.share(at_most_s=12, reserve_s=20) == 12
    clock.now += 30  # the batch at hand overran everything
    assert stop.share(at_most_s=12, reserve_s=20) == 0
    assert stop.share(at_most_s=15, reserve_s=5, at_least_s=15) == 15
    assert stop.remaining_s == 4
    clock.now += 10
    assert stop.remaining_s == 0


def test_the_watchdog_acts_on_the_phase_that_is_too_old() -> None:
    clock = Clock()
    loop, other = Phase("screen", clock), Phase("enforce", clock)
    stuck: list[tuple[str, str, float]] = []
    watchdog = Watchdog((loop, other), 45, lambda *seen: stuck.append(seen))
    loop.enter("produce")
    clock.now += 45
    assert not watchdog.check()
    clock.now += 1
    assert watchdog.check()
    assert stuck == [("screen", "produce", 46.0)]
    loop.enter("commit")
    assert not watchdog.check(), "a new phase starts its age again"


def test_an_idle_loop_is_not_stuck() -> None:
    clock = Clock()
    loop = Phase("screen", clock)
    loop.enter("idle")
    clock.now += 10_000
    assert not Watchdog((loop,), 45, lambda *_: pytest.fail("idle")).check()


def test_the_fuse_opens_on_a_run_of_our_own_failures() -> None:
    fuse = Fuse("posts", 0)
    for _ in range(IN_A_ROW - 1):
        fuse.died()
    fuse.passed(1)
    for _ in range(IN_A_ROW - 1):
        fuse.died()
    with pytest.raises(FuseOpen, match="10 records in a row") as raised:
        fuse.died()
    assert raised.value.exit_code == 72


def test_the_fuse_opens_on_a_share_of_our_own_failures() -> None:
    fuse = Fuse("posts", 0)
    allowed = int(SHARE * WINDOW)
    for _ in range(allowed):
        fuse.died()
        fuse.passed(10)
    with pytest.raises(FuseOpen, match="5%"):
        fuse.died()


def test_old_failures_are_forgotten() -> None:
    fuse = Fuse("posts", 0)
    for _ in range(4):
        for _ in range(int(SHARE * WINDOW)):
            fuse.died()
            fuse.passed(1)
        fuse.passed(WINDOW)
