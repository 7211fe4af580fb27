"""The engine keeps its promises under the simulator; what a seed does depends on nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.simulation import runs
from tests.simulation.mutants import MUTANTS, fails
from tests.simulation.mutations import MUTATIONS
from tests.simulation.real import EVERY, REAL, RealSubject, real_subject
from tests.simulation.record import Held, code, read, write
from tests.simulation.table import find
from tests.simulation.world import World

ROOT = Path(__file__).parent.parent.parent
SECONDS = float(os.environ.get("SIMULATION_SECONDS", "20"))
AT_LEAST = 50  # seeds that are run however slow a machine is


def test_no_seed_breaks_a_promise(capsys: pytest.CaptureFixture[str]) -> None:
    totals, until = runs.NOTHING, time.monotonic() + SECONDS
    while totals.seeds < AT_LEAST or time.monotonic() < until:
        part = runs.run_chunk((totals.seeds, totals.seeds + runs.CHUNK, None))
        totals = runs.added(totals, part)
    with capsys.disabled():
        sys.stdout.write(f"\n  {runs.summary(totals)}\n")
    assert totals.failures == []
    for happened in ("kill", "stop", "twin", "rebalance", "delayed EndTxn", "compacted"):
        assert totals.seen[happened] > 0


@pytest.mark.parametrize("stage", REAL)
def test_no_seed_breaks_a_promise_of_a_real_stage(stage: type[RealSubject]) -> None:
    for seed in range(12):
        assert World(seed, subject=stage).run() == []


@pytest.mark.parametrize("stage", REAL)
def test_the_oracle_of_a_real_stage_misses_what_is_lost(stage: type[RealSubject]) -> None:
    with MUTATIONS["no_future_check"].removed() as guards:
        assert any(World(seed, subject=stage, guards=guards).run() for seed in range(300))


def test_one_seed_in_some_runs_each_real_stage() -> None:
    assert {real_subject(seed) for seed in range(3 * EVERY)} == {None, *REAL}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_run_without_a_guard_is_found_out(name: str) -> None:
    assert find(name, limit=5_000).seed >= 0


@pytest.mark.parametrize("name", MUTANTS)
def test_the_named_tests_miss_a_guard(name: str) -> None:
    assert fails(name)


def test_the_page_of_guards_lists_every_mutation() -> None:
    page = (ROOT / "docs" / "mutations.md").read_text(encoding="utf-8")
    assert [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")] == [
        *MUTATIONS,
        *MUTANTS,
    ]
    assert "not caught" not in page


def test_a_mutation_leaves_nothing_behind() -> None:
    before = run_of(17)
    for mutation in MUTATIONS.values():
        with mutation.removed():
            pass
    assert run_of(17) == before


def run_of(seed: int) -> list[str]:
    world = World(seed)
    world.trace = []
    assert world.run() == []
    return world.trace


def test_a_seed_is_replayed_step_by_step_whatever_the_hash_seed() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seeds", "23", "--trace"],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
            cwd=ROOT,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert "faults stop" in told[0]


def test_a_record_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert read(path) == Held(code(), 0, {"seeds": 0, "next_seed": 0, "violating": [], "seen": {}})
    totals = runs.run_chunk((0, 3, None))
    write(path, read(path), totals)
    write(path, read(path), totals)
    held = read(path)
    assert (held.next_seed, held.entry["seeds"]) == (6, 6)
    assert held.entry["seen"]["commits"] == 2 * totals.seen["commits"]
