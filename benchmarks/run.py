"""Run a benchmark: its engines in turn, their outputs compared before any figure is shown."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

from benchmarks.definition import Definition, Goal
from benchmarks.engine_process import DEFINITION, MISSING_PEER, outputs_file
from benchmarks.jobs import PeerMissingError, job_of
from benchmarks.machine import machine, versions

SHOWN_DIFFERENCES = 3
STEADY = ("posts_per_s", "cpu_us_per_post", "bytes_per_s", "p99_ms")  # every engine has these keys
Progress = Callable[[str], None]


class EngineFailedError(Exception):
    """Report an engine whose process ended, with the end of what it printed."""


@dataclass(slots=True)
class Outcome:
    """Hold a finished benchmark in the form of its record."""

    definition: Definition
    inputs: dict[str, str]
    passes: dict[str, list[dict[str, Any]]]  # by engine, one per repeat
    wrong: list[str] = field(default_factory=list)  # what was not as due; then no figure counts
    isa: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """Give what --json prints and a record holds; no figures where outputs are wrong."""
        head: dict[str, Any] = {
            "name": self.definition.name,
            "quick": self.definition.is_quick,
            "definition_digest": self.definition.digest,
            "inputs": self.inputs,
            "machine": machine() | {"isa": self.isa},
            "versions": versions(self.passes),
            "unit": self.definition.unit,
            "outputs_equal": not self.wrong,
        }
        if self.wrong:
            return head | {"wrong": self.wrong, "engines": {}, "goals": []}
        first = next(iter(self.passes.values()))[0]
        engines = {name: figures(passes) for name, passes in self.passes.items()}
        goals = [
            goal for each in self.definition.goals if (goal := reached(self.name, each, engines))
        ]
        return head | {"counts": first["counts"], "engines": engines, "goals": goals}

    @property
    def name(self) -> str:
        """Return the name of the benchmark."""
        return self.definition.name


def figures(passes: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Turn an engine's passes into lists with one value per repeat."""
    made: dict[str, list[float]] = {name: [] for name in STEADY}
    for each in passes:
        if each["seconds"]:
            made["posts_per_s"].append(round(each["posts"] / each["seconds"], 1))
            made["cpu_us_per_post"].append(round(each["cpu_seconds"] / each["posts"] * 1e6, 4))
            if each["bytes"]:
                made["bytes_per_s"].append(round(each["bytes"] / each["seconds"], 1))
        if each["p99_ms"] is not None:
            made["p99_ms"].append(round(each["p99_ms"], 4))
        for name, value in each["figures"].items():
            made.setdefault(name, []).append(round(value, 6))
    return made


def reached(
    name: str, goal: Goal, engines: Mapping[str, Mapping[str, Sequence[float]]]
) -> dict[str, Any] | None:
    """Compare a goal with the medians; None where an engine of it did not run."""
    label = f"{name}.{goal.figure}"
    sides = [goal.engine] if goal.against is None else [goal.engine, goal.against]
    if any(not engines.get(side, {}).get(goal.figure) for side in sides):
        return None
    values = [statistics.median(engines[side][goal.figure]) for side in sides]
    got = values[0] if goal.against is None else values[0] / values[1]
    if goal.against is not None:
        label += f" / {goal.against}"
    if goal.engine != "weir":
        label = f"{goal.engine}: {label}"
    return {"goal": label, "want": goal.want, "got": round(got, 4), "met": goal.met_by(got)}


class EngineProcess:
    """Own one engine's process; `measure` blocks for one pass."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.isa = ""  # the kernels that its core chose; known after the first pass
        self._log = folder / f"{name}.log"
        command = [sys.executable, "-m", "benchmarks.engine_process", name, str(folder)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=Path(__file__).resolve().parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None  # noqa: S101  # asked for by PIPE
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def measure(self) -> dict[str, Any]:
        """Ask for one pass."""
        assert self._process.stdin is not None  # noqa: S101  # asked for by PIPE
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101  # asked for by PIPE
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            self.isa = answer["isa"]
            return answer
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        if self._process.wait() == MISSING_PEER:
            raise PeerMissingError(tail)
        raise EngineFailedError(f"{self.name} ended with {self._process.returncode}:\n{tail}")


def run(
    definition: Definition,
    engines: Sequence[str],
    repeats: int,
    tell: Progress,
    folder: Path | None = None,
) -> Outcome:
    """Measure engines A B B A, and check what came out of each pass.

    Raises:
        DefinitionError: the job or an engine is unknown.
        PeerMissingError: a peer is not installed.
        EngineFailedError: an engine's process ended.
    """
    job = job_of(definition)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-")))
        (folder / DEFINITION).write_text(definition.model_dump_json(), encoding="utf-8")
        tell("preparing the inputs")
        inputs = stack.enter_context(job.prepared(definition, folder))
        outcome = Outcome(definition, inputs, {engine: [] for engine in engines})
        held: dict[str, EngineProcess] = {}
        for number, engine in enumerate(order(engines, repeats)):
            tell(f"{engine} ({number + 1} of {repeats * len(engines)})")
            if job.FRESH:
                with EngineProcess(engine, folder) as process:
                    outcome.passes[engine].append(process.measure())
                    outcome.isa = process.isa
                continue
            if engine not in held:
                held[engine] = stack.enter_context(EngineProcess(engine, folder))
            outcome.passes[engine].append(held[engine].measure())
            outcome.isa = held[engine].isa
        outcome.wrong = wrong(outcome, folder)
        return outcome


def order(engines: Sequence[str], repeats: int) -> Iterator[str]:
    """Yield engines A B, B A, A B ..., so that none always runs on a warmer machine."""
    for number in range(repeats):
        yield from engines if number % 2 == 0 else reversed(engines)


def wrong(outcome: Outcome, folder: Path) -> list[str]:
    """Say which counts are not as expected and whose outputs differ; empty where all is right."""
    found: list[str] = []
    for engine, passes in outcome.passes.items():
        for each in passes[:1] + [
            later for later in passes[1:] if later["counts"] != passes[0]["counts"]
        ]:
            if each["counts"] != outcome.definition.expect:
                found.append(
                    f"{engine}: counted {each['counts']}, expected {outcome.definition.expect}"
                )
    digests = {
        engine: {each["outputs_digest"] for each in passes}
        for engine, passes in outcome.passes.items()
    }
    found += [
        f"{name}: outputs differ between repeats" for name, each in digests.items() if len(each) > 1
    ]
    first, *others = digests
    for other in others:
        if digests[other] != digests[first]:
            found.append(f"{first} and {other}: outputs differ{_difference(folder, first, other)}")
    return found


def _difference(folder: Path, first: str, second: str) -> str:
    lines = [
        set(
            outputs_file(folder, engine)
            .read_text(encoding="utf-8", errors="surrogatepass")
            .split("\n")
        )
        for engine in (first, second)
    ]
    return _alone(first, lines[0] - lines[1]) + _alone(second, lines[1] - lines[0])


def _alone(engine: str, lines: set[str]) -> str:
    if not lines:
        return ""
    examples = list(islice(sorted(lines), SHOWN_DIFFERENCES))
    return f"; {len(lines)} of {engine} alone, such as {examples}"
