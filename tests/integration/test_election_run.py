"""Who pushed one link together in a real stream: the answer of a run against the oracle's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, wait_for
from tests.support.election import expected_signals, write_election_bundle, write_election_posts

pytestmark = [pytest.mark.broker, pytest.mark.shared]


def test_signals_of_a_run_equal_the_oracle(
    deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    posts = tmp_path / "posts.ndjson"
    write_election_posts(posts)
    deployment = deploy(write_election_bundle(tmp_path / "bundle"))
    deployment.load(posts)
    for slot in ("a", "b"):
        deployment.start(slot)
    wait_for(deployment.drained, "the stream goes through")
    assert [worker.stop() for worker in deployment.workers] == [0, 0]

    found: dict[str, set[tuple[str, str]]] = {}
    signals = [read.json for read in deployment.read("signals")]
    for signal in signals:
        key = signal["evidence"]["campaign"]["fingerprint"]["key"]
        found.setdefault(key, set()).add((signal["account"]["id"], signal["post"]["id"]))
    expected: dict[str, set[tuple[str, str]]] = {}
    for share in expected_signals():
        expected.setdefault(share.url, set()).add((share.account, share.post))
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected.values()))
    assert sum(map(len, found.values())) == 792
