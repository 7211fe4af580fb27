"""Move the state of real stages, and go on over it: the decisions are those of one long scan."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import EXAMPLE, sample
from tests.support.command import Ran, weir_process
from tests.support.deployment import Deployment, wait_for
from tests.support.equalities import action_ids, post_rules_alone, scan_into

pytestmark = pytest.mark.broker

STATEFUL = ("screen", "correlate", "enforce")
HALF, POSTS = 2_500, 5_000


def config_of(deployment: Deployment) -> Path:
    path = deployment.folder / "state.yaml"  # JSON is YAML
    path.write_text(json.dumps({**deployment.document(), "slot": "a"}))
    return path


def state(deployment: Deployment, command: str, *arguments: object) -> Ran:
    given = [str(argument) for argument in arguments]
    return weir_process("state", command, *given, "--config", str(config_of(deployment)))


def run_through(deployment: Deployment, posts: Path) -> None:
    deployment.workers.clear()
    deployment.load(posts)
    worker = deployment.start("a")
    wait_for(deployment.drained, "the posts go through")
    assert worker.stop() == 0


def exported(deployment: Deployment, stage: str) -> Path:
    """Export a stage once the session of its stopped worker has ended."""
    path = deployment.folder / f"{stage}.state.gz"
    wait_for(
        lambda: state(deployment, "export", path, "--stage", stage).code == 0,
        f"{stage} is exported",
        step_s=0.5,
    )
    return path


@pytest.mark.parametrize("partitions", [4, 3])
def test_a_run_goes_on_over_imported_state(
    deploy: Callable[..., Deployment], tmp_path: Path, partitions: int
) -> None:
    """To another deployment of as many partitions, and of fewer: keys move, counts stay."""
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    old, new = deploy(bundle), deploy(bundle, partitions=partitions)
    run_through(old, sample(tmp_path / "first.ndjson", 0, HALF))
    for stage in STATEFUL:
        path = exported(old, stage)
        arguments = (path, "--stage", stage, "--at", "earliest")
        planned = state(new, "import", *arguments)
        assert (planned.code, "nothing written" in planned.out) == (0, True)
        done = state(new, "import", *arguments, "--execute")
        assert done.code == 0, done.err
        assert state(new, "verify", "--stage", stage).code == 0
        again = state(new, "import", *arguments, "--execute")
        assert (again.code, "not empty" in again.err) == (1, True)
    run_through(new, sample(tmp_path / "second.ndjson", HALF, POSTS))
    actions = [read.json for each in (old, new) for read in each.actions()]
    found = Counter(a["action_id"] for a in actions if a["post"] is not None)
    expected = scan_into(old, sample(tmp_path / "all.ndjson", 0, POSTS), tmp_path / "out")
    assert set(found) == action_ids(expected / "actions.ndjson")
    assert max(found.values()) == 1


def test_an_account_is_left_out_and_nobody_else(
    deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    old, new = deploy(), deploy()
    run_through(old, sample(tmp_path / "posts.ndjson", 0, HALF))
    path = exported(old, "enforce")
    account = Counter(read.json["account_id"] for read in old.actions()).most_common(1)[0][0]
    arguments = (path, "--stage", "enforce", "--at", "earliest", "--output", "json")

    def entries(*more: str) -> int:
        ran = state(new, "import", *arguments, *more)
        return sum(each["entries"] for each in json.loads(ran.out)["partitions"])

    whole, erased = entries(), entries("--without-account", account, "--execute")
    assert 0 < whole - erased < whole
    again = exported(new, "enforce")
    held = sum(each["entries"] for each in json.loads(
        state(new, "verify", "--stage", "enforce", "--output", "json").out
    ))  # fmt: skip
    assert held == erased
    assert again.exists()


def test_state_that_does_not_add_up_is_told_and_not_exported(
    deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    deployment = deploy(partitions=1)
    run_through(deployment, sample(tmp_path / "posts.ndjson", 0, 300))
    assert state(deployment, "verify", "--stage", "screen").code == 0
    dump = state(deployment, "dump", "--stage", "screen", "--output", "json")
    kinds = Counter(each["record"] for each in json.loads(dump.out))
    assert kinds["claim"] == 1
    assert kinds["delta"] > 0
    with deployment._consumer(deployment.settings().group("screen")) as consumer:
        wait_for(lambda: _reset(consumer, deployment), "the session has ended", step_s=0.5)
    wrong = state(deployment, "verify", "--stage", "screen")
    assert (wrong.code, "the committed offset is 7" in wrong.out) == (1, True)
    path = tmp_path / "none.gz"
    assert state(deployment, "export", path, "--stage", "screen").code == 1
    assert not path.exists()


def _reset(consumer: object, deployment: Deployment) -> bool:
    """Set the group's offset back, as an operator could; refused while it has members."""
    from kafka import OffsetAndMetadata, TopicPartition
    from kafka.errors import KafkaError

    tp = TopicPartition(deployment.settings().topic("posts"), 0)
    try:
        consumer.commit({tp: OffsetAndMetadata(7, "", -1)})  # type: ignore[attr-defined]
    except KafkaError:
        return False
    return True
