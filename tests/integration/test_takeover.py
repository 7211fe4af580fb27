"""Take over what a killed worker held: every part of it stands in the log, nothing is repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import EXAMPLE, sample
from tests.support.deployment import Deployment, WorkerProcess, wait_for
from tests.support.equalities import action_ids, post_rules_alone, scan_into

pytestmark = pytest.mark.broker

Deploy = Callable[..., Deployment]
PARTITIONS = 4


def parts(worker: WorkerProcess, event: str, stage: str) -> list[dict[str, Any]]:
    """Give one kind of event of one stage, in order."""
    return [each for each in worker.events if each["event"] == event and each["stage"] == stage]


@pytest.mark.parametrize("successor", ["a", "b"], ids=["same-slot", "other-slot"])
def test_a_killed_worker_is_followed_and_every_part_is_told(
    deploy: Deploy, tmp_path: Path, successor: str
) -> None:
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    deployment = deploy(bundle, partitions=PARTITIONS)
    posts = sample(tmp_path / "posts.ndjson", 0, 2_000)
    deployment.load(sample(tmp_path / "first.ndjson", 0, 1_000))
    first = deployment.start("a")
    wait_for(deployment.drained, "the first half goes through")
    first.kill()
    deployment.workers.clear()
    deployment.load(sample(tmp_path / "second.ndjson", 1_000, 2_000))
    second = deployment.start(successor, start=None)
    wait_for(deployment.drained, "the second half goes through")
    assert second.stop() == 0

    assigned = parts(second, "partitions_assigned", "screen")[-1]
    assert assigned["partitions"] == 3 * PARTITIONS, "posts, reviews and receipts"
    assert assigned["seconds"] >= 0
    restored = parts(second, "partition_restored", "screen")
    posts_restored = [each for each in restored if each["topic"].endswith("-posts")]
    assert {each["partition"] for each in posts_restored} == set(range(PARTITIONS))
    for each in posts_restored:
        assert each["mode"] == "cold"
        assert 0 <= each["waited"] <= each["seconds"] <= each["pause"]
        assert each["offset"] > 0
    expected = scan_into(deployment, posts, tmp_path / "out")
    found = Counter(read.json["action_id"] for read in deployment.actions())
    assert set(found) == action_ids(expected / "actions.ndjson")
    assert set(found.values()) == {1}


def test_a_planned_rebalance_keeps_tables_warm(deploy: Deploy) -> None:
    deployment = deploy(partitions=PARTITIONS)

    def restored(worker: WorkerProcess) -> list[dict[str, Any]]:
        return parts(worker, "partition_restored", "correlate")

    first = deployment.start("a", stages=("correlate",), start=None)
    wait_for(lambda: len(restored(first)) == PARTITIONS, "the first one has all")
    second = deployment.start("b", stages=("correlate",), start=None)
    wait_for(lambda: bool(restored(second)), "the second one takes its share")
    wait_for(lambda: len(restored(first)) > PARTITIONS, "the first one goes on with the rest")
    revoked = parts(first, "partitions_revoked", "correlate")
    assert revoked[0]["partitions"] == PARTITIONS
    assert {each["mode"] for each in restored(first)[PARTITIONS:]} == {"warm"}
    assert {each["mode"] for each in restored(second)} == {"cold"}
