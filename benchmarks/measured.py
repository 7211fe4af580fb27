"""Define what an engine of a benchmark is and what one pass of it hands back."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self


@dataclass(slots=True)
class Measured:
    """Hold one pass: what it cost, and what came out of it."""

    posts: int
    seconds: float
    cpu_seconds: float  # all threads of the system under test, its children included
    counts: dict[str, int]  # compared with `expect` of the definition
    outputs: Iterable[str]  # one line each; the sets of all engines must be equal
    bytes: int = 0  # of input; 0 where it is not meaningful
    p99_ms: float | None = None
    figures: dict[str, float] = field(default_factory=dict)  # of this job alone, such as recall


class Engine(Protocol):
    """Do a job; lives in a process of its own, made by `engine(name, definition, folder)`."""

    def measure(self) -> Measured:
        """Do the whole job once; called again for every repeat."""

    def close(self) -> None:
        """Let go of what was opened."""


class Stopwatch:
    """Take wall and CPU time of this process, all its threads and ended children (getrusage)."""

    seconds = 0.0
    cpu_seconds = 0.0

    def __enter__(self) -> Self:
        self._cpu = cpu_now()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu_seconds = cpu_now() - self._cpu


def cpu_now() -> float:
    """Return user and system seconds of this process and its ended children."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def repeated(run: Callable[[], object], at_least_s: float = 0.3) -> tuple[int, Stopwatch]:
    """Call `run` until the time is up, after one call that is not timed; return how often."""
    run()
    calls = 0
    with Stopwatch() as watch:
        until = time.perf_counter() + at_least_s
        while calls == 0 or time.perf_counter() < until:
            run()
            calls += 1
    return calls, watch


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
