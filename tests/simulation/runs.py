"""Run seeds, on one core or several, and add up what was seen."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tests.simulation.mutations import MUTATIONS
from tests.simulation.world import World

CHUNK = 50  # seeds that a process takes at a time


class Totals(NamedTuple):
    """Hold what some runs came to."""

    seeds: int
    seen: Counter[str]
    failures: list[tuple[int, list[str]]]
    cpu_s: float


def run_seed(seed: int, mutation: str | None = None) -> World:
    """Run one seed; its world holds what was violated."""
    if mutation is None:
        world = World(seed)
        world.run()
        return world
    with MUTATIONS[mutation].removed() as guards:
        world = World(seed, guards=guards)
        world.run()
        return world


def run_chunk(job: tuple[int, int, str | None]) -> Totals:
    """Run the seeds from the first to before the second."""
    first, last, mutation = job
    seen: Counter[str] = Counter()
    failures, began = [], time.process_time()
    for seed in range(first, last):
        world = run_seed(seed, mutation)
        seen.update(world.seen)
        if world.problems:
            failures.append((seed, world.problems))
    return Totals(last - first, seen, failures, time.process_time() - began)


def run_chunks(
    first: int, last: int, mutation: str | None, jobs: int, seconds: float
) -> Iterator[Totals]:
    """Run chunks in order of their seeds until all are done or the time is over."""
    until = time.monotonic() + seconds
    chunks = (
        (at, min(at + CHUNK, last), mutation)
        for at in range(first, last, CHUNK)
        if time.monotonic() < until
    )
    if jobs == 1:
        yield from map(run_chunk, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for at in range(first, last, CHUNK * jobs):  # a round at a time, so that time can end it
            if time.monotonic() >= until:
                return
            round_ = range(at, min(at + CHUNK * jobs, last), CHUNK)
            yield from pool.map(run_chunk, [(n, min(n + CHUNK, last), mutation) for n in round_])


def added(totals: Totals, more: Totals) -> Totals:
    return Totals(
        totals.seeds + more.seeds,
        totals.seen + more.seen,
        totals.failures + more.failures,
        totals.cpu_s + more.cpu_s,
    )


NOTHING = Totals(0, Counter(), [], 0.0)


def summary(totals: Totals) -> str:
    """Say in one line what was run and seen."""
    shown = ("kill", "stop", "twin", "rebalance", "delayed EndTxn", "commits", "aborts")
    seen = ", ".join(f"{totals.seen[name]:,} {name}" for name in shown)
    rate = totals.seeds / totals.cpu_s if totals.cpu_s else 0.0
    return (
        f"{totals.seeds:,} seeds, {len(totals.failures)} violating; {seen}; "
        f"{rate:.0f} seeds per CPU second"
    )
