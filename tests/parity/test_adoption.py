"""A table taken over from another bundle goes on as one that was restored under the new bundle."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fastpath.changelog import SLICES
from fastpath.records import BatchView
from tests.support.stage_inputs import KEY
from worker.policy.bundle import Bundle, load_bundle
from worker.runtime.stages import build_screen, build_stage
from worker.settings import Settings
from worker.stages.protocols import Output, StatefulStage, Table, copied

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "example"
POSTS = 4_000
# What the new bundle says differently, and the stages that then count alike.
CHANGES: dict[str, tuple[dict[str, str], set[str]]] = {
    "revision": ({"revision: 1": "revision: 2"}, {"screen", "correlate"}),
    "rules": (
        {"windows.posts_1m > 15": "windows.posts_1m > 2", "strikes: 3": "strikes: 5"},
        {"screen", "correlate"},
    ),
    "ladder": (
        {"{at: 1, do: warn}": "{at: 2, do: warn}", "{at: 2, do: lock": "{at: 3, do: lock"},
        {"screen", "correlate"},
    ),
    "limits": ({"remove_per_hour: 20000": "remove_per_hour: 1"}, {"screen", "correlate"}),
    "windows": (
        {"{per: account, count: posts, over: 60s}": "{per: account, count: posts, over: 2h}"},
        {"correlate"},
    ),
    "campaigns": ({"windows.links_1m >= 5": "windows.links_1m >= 2"}, {"screen"}),
}


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    with gzip.open(EXAMPLE / "posts.ndjson.gz", "rb") as file:
        return file.read().split(b"\n")[:POSTS]


@dataclass
class Stages:
    """Hold the stages of one bundle, and a table for each."""

    bundle: Bundle
    stages: dict[str, StatefulStage]
    tables: dict[str, Table]

    def run(self, lines: list[bytes], first: int, signals: int) -> Iterator[tuple[str, Output]]:
        """Judge lines in the order that `weir scan` has, one block at a time."""
        for start in range(0, len(lines), 500):
            block = b"\n".join(lines[start : start + 500]) + b"\n"
            view = BatchView.from_lines("posts.ndjson", block, first + start)
            found = self.step("screen", view)
            yield from (("screen", each) for each in found)
            counted = self.step("correlate", _view("sightings", found, first + start))
            yield from (("correlate", each) for each in counted)
            told = [each for each in (*found, *counted) if each.topic == "signals"]
            decided = self.step("enforce", _view("signals", told, signals))
            signals += len(told)
            yield from (("enforce", each) for each in decided)

    def step(self, name: str, view: BatchView) -> list[Output]:
        return self.stages[name].step(self.tables[name], view) if len(view) else []


def _view(topic: str, outputs: list[Output], first: int) -> BatchView:
    mine = [output for output in outputs if output.topic == topic]
    offsets = list(range(first, first + len(mine)))
    keys, values = [each.key for each in mine], [each.value for each in mine]
    return BatchView.from_records(topic, 0, keys, values, [0] * len(mine), offsets)


@cache
def settings() -> Settings:
    return Settings(enforce={"act_after": "none"}, correlate={"lateness": "90d"})  # type: ignore[arg-type]


def stages_of(bundle: Bundle) -> Stages:
    screen = build_screen(
        settings(), bundle, KEY, topic="posts.ndjson", from_file=True, sighting_partitions=1
    )
    names: tuple[Any, ...] = ("screen", "correlate", "enforce")
    made: dict[str, StatefulStage] = {
        name: build_stage(settings(), name, bundle, KEY, screen if name == "screen" else None).stage
        for name in names
    }
    return Stages(bundle, made, {name: stage.new_table(0, 1) for name, stage in made.items()})


def changed(folder: Path, changes: dict[str, str]) -> Bundle:
    shutil.copytree(EXAMPLE / "bundle", folder)
    text = (folder / "bundle.yaml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "bundle.yaml").write_text(text, encoding="utf-8")
    return load_bundle(folder)


def image(of: Stages, name: str) -> list[bytes]:
    stage, table = of.stages[name], of.tables[name]
    return [stage.snapshot(table, slice_) for slice_ in range(SLICES)]


@pytest.mark.parametrize("change", CHANGES)
def test_an_adopted_table_goes_on_as_a_restored_one(
    change: str, lines: list[bytes], tmp_path: Path
) -> None:
    changes, alike = CHANGES[change]
    half = POSTS // 2
    older = stages_of(load_bundle(EXAMPLE / "bundle"))
    assert len(list(older.run(lines[:half], 1, 0))) > 100
    newer = changed(tmp_path / "bundle", changes)
    restored, adopted = stages_of(newer), stages_of(newer)
    for name, stage in older.stages.items():
        stage.changes(older.tables[name])  # drained, as between two transactions
        copied(stage, older.tables[name], restored.stages[name], restored.tables[name])
    for name, stage in older.stages.items():
        adopted.tables[name] = adopted.stages[name].adopt(older.tables[name], stage)
        same = adopted.tables[name] is older.tables[name]
        assert same == (name in alike or name == "enforce"), name
    rest = list(restored.run(lines[half:], half + 1, 100_000))
    assert any(output.topic.startswith("actions.") for _, output in rest)
    assert list(adopted.run(lines[half:], half + 1, 100_000)) == rest
    for name in older.stages:
        assert adopted.stages[name].changes(adopted.tables[name])
        assert image(adopted, name) == image(restored, name)
