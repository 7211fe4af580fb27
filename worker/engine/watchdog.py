"""End the process when one phase of a loop takes too long: a wait without timeout has no other end.

The Kafka client has calls that wait for ever (docs/kafka-client.md); nothing inside the loop can
notice that. A thread of its own looks at each loop's phase once a second.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from worker.domain.errors import Stuck

PhaseName: TypeAlias = Literal["poll", "restore", "decide", "write", "commit", "close", "idle"]
Clock: TypeAlias = Callable[[], float]  # monotonic seconds
CHECK_EVERY_S = 1.0


class Phase:
    """Hold what one loop is doing and since when; written by the loop, read by the watchdog.

    `idle` is not watched: nothing has begun, or the stage has stopped for a person.
    """

    def __init__(self, stage: str, clock: Clock = time.monotonic) -> None:
        self.stage = stage
        self._clock = clock
        self._now: tuple[PhaseName, float] = ("idle", clock())

    def enter(self, name: PhaseName) -> None:
        """Begin a phase; the age starts again."""
        self._now = (name, self._clock())

    @property
    def name(self) -> PhaseName:
        """Return the phase at hand."""
        return self._now[0]

    @property
    def age_s(self) -> float:
        """Return how long the phase at hand has lasted; 0 while idle."""
        name, since = self._now
        return 0.0 if name == "idle" else self._clock() - since


def end_process(stage: str, phase: str, age_s: float) -> None:
    """Dump every thread's stack to standard error and end the process with 71."""
    print(f"weir: stage {stage} stuck in {phase} for {age_s:.0f} s", file=sys.stderr)  # noqa: T201
    faulthandler.dump_traceback(all_threads=True)
    sys.stderr.flush()
    os._exit(Stuck.exit_code)


class Watchdog:
    """Watch the phases of all loops of this process."""

    def __init__(
        self,
        phases: tuple[Phase, ...],
        limit_s: float,
        on_stuck: Callable[[str, str, float], None] = end_process,
    ) -> None:
        self._phases = phases
        self._limit_s = limit_s
        self._on_stuck = on_stuck
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weir-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch; does not block."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; blocks until the thread has ended."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> bool:
        """Look at every phase once; tell whether one is over the limit."""
        stuck = False
        for phase in self._phases:
            age = phase.age_s
            if age > self._limit_s:
                stuck = True
                self._on_stuck(phase.stage, phase.name, age)
        return stuck

    def _run(self) -> None:
        while not self._ended.wait(CHECK_EVERY_S):
            self.check()
