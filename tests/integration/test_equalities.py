"""`scan` and `run` decide the same: rule 4 of docs/time-and-identity.md, on a real broker.

The same checks with 200,000 posts and two processes per stage: `make bench`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import EXAMPLE
from tests.support.deployment import Deployment, wait_for
from tests.support.equalities import (
    action_ids,
    campaign_set,
    decide_again,
    ndjson,
    post_rules_alone,
    scan_into,
    signal_set,
)

pytestmark = pytest.mark.broker

POSTS = 4_000


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("posts") / "posts.ndjson"
    with gzip.open(EXAMPLE / "posts.ndjson.gz", "rb") as sample, path.open("wb") as out:
        for _, line in zip(range(POSTS), sample, strict=False):
            out.write(line)
    return path


def run_through(deployment: Deployment, posts: Path, workers: int, records: int) -> None:
    deployment.load(posts)
    for number in range(workers):
        deployment.start(f"slot-{number}", max_poll_records=records)
    wait_for(deployment.drained, "the stream goes through")
    assert [worker.stop() for worker in deployment.workers] == [0] * workers


@pytest.mark.parametrize(
    ("partitions", "workers", "records", "fast_path"),
    [(1, 1, 10_000, True), (4, 2, 10_000, True), (4, 1, 137, True), (4, 2, 1_000, False)],
)
def test_rules_on_posts_give_the_actions_of_a_scan(
    deploy: Callable[..., Deployment],
    posts: Path,
    tmp_path: Path,
    partitions: int,
    workers: int,
    records: int,
    fast_path: bool,
) -> None:
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    deployment = deploy(bundle, partitions=partitions, fast_path=fast_path)
    run_through(deployment, posts, workers, records)
    expected = scan_into(deployment, posts, tmp_path / "out")
    ids = [read.json["action_id"] for read in deployment.actions()]
    assert len(ids) == len(set(ids)), "a worker that joins late repeats nothing"
    assert set(ids) == action_ids(expected / "actions.ndjson")
    assert len(ids) > 100, "the input must have something to decide"
    letters = {
        (r.header("weir.dlq.partition"), r.header("weir.dlq.offset")): r.value
        for r in deployment.read("dlq")
    }
    assert len(letters) == len(ndjson(expected / "dlq.ndjson"))


@pytest.mark.parametrize(("partitions", "workers"), [(1, 1), (4, 2)])
def test_campaigns_are_the_same_sets(
    deploy: Callable[..., Deployment],
    posts: Path,
    tmp_path: Path,
    partitions: int,
    workers: int,
) -> None:
    deployment = deploy(partitions=partitions)
    run_through(deployment, posts, workers, 10_000)
    expected = scan_into(deployment, posts, tmp_path / "out")
    signals = signal_set(read.json for read in deployment.read("signals"))
    assert signals == signal_set(expected / "signals.ndjson")
    assert any(campaign for _, campaign, _, _ in signals), "the input must have a campaign"
    campaigns = campaign_set(read.json for read in deployment.read("campaigns"))
    assert campaigns == campaign_set(expected / "campaigns.ndjson")


def test_recorded_signals_give_the_actions_of_the_run(
    deploy: Callable[..., Deployment], posts: Path
) -> None:
    deployment = deploy()
    run_through(deployment, posts, 2, 10_000)
    written = {read.json["action_id"]: read.value for read in deployment.actions()}
    again = decide_again(deployment)
    assert again == written
    assert len(again) > 100
