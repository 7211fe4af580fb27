"""`weir run` told to read its bundle anew: taken between two transactions, or refused."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import EXAMPLE, sample
from tests.support.deployment import Deployment, WorkerProcess, wait_for
from tests.support.equalities import post_rules_alone
from worker.policy.bundle import load_bundle
from worker.settings import STAGE_NAMES
from worker.state.changelog import Delta, decode

pytestmark = pytest.mark.broker

Deploy = Callable[..., Deployment]


def raise_revision(bundle: Path, revision: int) -> str:
    """Give a bundle another revision; return its digest."""
    file = bundle / "bundle.yaml"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines = [f"revision: {revision}" if each.startswith("revision:") else each for each in lines]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_bundle(bundle).digest


def activated(worker: WorkerProcess, digest: str) -> int:
    """Count the stages that decide by a bundle."""
    return sum(
        each["event"] == "policy_activated" and each["digest"] == digest for each in worker.events
    )


def bundles_by_offset(deployment: Deployment, stage: str) -> list[tuple[int, int, int, str]]:
    """Give partition, first offset, next offset and digest of every delta."""
    found = []
    for read in deployment.read(f"state.{stage}"):
        record: Any = decode(read.value) if read.value else None
        if isinstance(record, Delta) and record.chunk == 0:
            found.append((read.partition, record.in_from, record.in_next, record.bundle.hex()))
    return sorted(found)


def read_anew(worker: WorkerProcess, digest: str) -> None:
    worker.process.send_signal(signal.SIGHUP)
    wait_for(lambda: activated(worker, digest) == len(STAGE_NAMES), "all stages take the bundle")


def test_a_running_worker_goes_on_with_another_bundle(deploy: Deploy, tmp_path: Path) -> None:
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    first = raise_revision(bundle, 2)
    deployment = deploy(bundle)
    worker = deployment.start("a", max_poll_records=50)
    deployment.load(sample(tmp_path / "first.ndjson", 0, 1000))
    wait_for(deployment.drained, "the first posts go through")
    second = raise_revision(bundle, 3)
    read_anew(worker, second)
    deployment.load(sample(tmp_path / "second.ndjson", 1000, 2000))
    wait_for(lambda: len(deployment.read("signals")) > 0, "posts go through")
    worker.kill()  # perhaps in the middle: the next start reads the same files
    deployment.workers.clear()
    last = deployment.start("a", start=None)
    wait_for(deployment.drained, "the rest goes through")
    assert last.stop() == 0

    told = bundles_by_offset(deployment, "screen")
    assert {digest for *_, digest in told} == {first, second}
    by_offset: dict[tuple[int, int], str] = {}
    for partition, at, until, digest in told:
        for offset in range(at, until):
            assert (partition, offset) not in by_offset  # decided once, by one bundle
            by_offset[partition, offset] = digest
    signals = [each.json for each in deployment.read("signals") if each.json["kind"] == "signal"]
    assert {each["bundle"] for each in signals} == {first, second}
    for each in signals:
        origin = each["origin"]
        assert by_offset[origin["partition"], origin["offset"]] == each["bundle"]
    ids = [each.json["action_id"] for each in deployment.actions()]
    assert ids
    assert len(ids) == len(set(ids))


def test_a_bundle_that_is_wrong_changes_nothing(deploy: Deploy, tmp_path: Path) -> None:
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    first = raise_revision(bundle, 2)
    deployment = deploy(bundle)
    worker = deployment.start("a")
    wait_for(lambda: activated(worker, first) == len(STAGE_NAMES), "all stages work")
    good = (bundle / "bundle.yaml").read_text(encoding="utf-8")
    (bundle / "bundle.yaml").write_text(good.replace("matches.spam_domains.any", "matches.spam"))
    worker.process.send_signal(signal.SIGHUP)
    wait_for(lambda: worker.saw("policy_refused"), "the bundle is refused")
    assert worker.told("bundle.yaml:")
    deployment.load(sample(tmp_path / "posts.ndjson", 0, 1000))
    wait_for(deployment.drained, "the stream goes on")
    (bundle / "bundle.yaml").write_text(good, encoding="utf-8")
    worker.process.send_signal(signal.SIGHUP)
    wait_for(lambda: worker.saw("policy_unchanged"), "the old bundle is known")
    assert worker.stop() == 0
    signals = [each.json for each in deployment.read("signals") if each.json["kind"] == "signal"]
    assert {each["bundle"] for each in signals} == {first}
