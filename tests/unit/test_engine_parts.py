"""Watchdog, fuse: the guards around the loop."""

from __future__ import annotations

import pytest

from worker.domain.errors import FuseOpen
from worker.engine.fuse import IN_A_ROW, SHARE, WINDOW, Fuse
from worker.engine.watchdog import Phase, Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_watchdog_acts_on_the_phase_that_is_too_old() -> None:
    clock = Clock()
    loop, other = Phase("screen", clock), Phase("enforce", clock)
    stuck: list[tuple[str, str, float]] = []
    watchdog = Watchdog((loop, other), 45, lambda *seen: stuck.append(seen))
    loop.enter("write")
    clock.now += 45
    assert not watchdog.check()
    clock.now += 1
    assert watchdog.check()
    assert stuck == [("screen", "write", 46.0)]
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
