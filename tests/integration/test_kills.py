"""Kill real workers at every failpoint: `read_committed` readers see what a scan decides, once."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import EXAMPLE, sample
from tests.support.deployment import Deployment, wait_for
from tests.support.equalities import action_ids, post_rules_alone, scan_into

pytestmark = pytest.mark.broker

POSTS = 3_000
# Later points need work that is still there: few records a poll make many transactions.
FEW_RECORDS = 20
POINTS = {
    "exactly-once": (
        *("in_assign", "in_restore[0]", "after_claim", "after_poll:20", "after_decide:4"),
        *("after_begin:5", "after_send[0]:5", "after_send[3]:2", "after_flush:5"),
        *("after_offsets:5", "before_commit:5", "after_commit:5"),
    ),
    # Nothing is begun here, and offsets are committed with the claim and a quarter second later.
    "at-least-once": (
        *("in_assign", "in_restore[0]", "after_poll:20", "after_send[0]:5", "after_send[3]:2"),
        *("after_flush:5", "after_commit:2"),
    ),
}


@pytest.mark.parametrize("delivery", POINTS)
def test_kills_at_every_failpoint_lose_and_repeat_nothing(
    deploy: Callable[..., Deployment], tmp_path: Path, delivery: str
) -> None:
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    deployment = deploy(bundle, options={"delivery": delivery})
    posts = sample(tmp_path / "posts.ndjson", 0, POSTS)
    deployment.load(posts)
    for point in POINTS[delivery]:
        worker = deployment.start("a", failpoint=point, max_poll_records=FEW_RECORDS)
        assert worker.process.wait(90) == -signal.SIGKILL, point
    assert not deployment.caught_up("screen"), "the kills came while there was work"
    deployment.workers.clear()
    last = deployment.start("a", start=None)
    wait_for(deployment.drained, "the rest goes through")
    assert last.stop() == 0
    expected = scan_into(deployment, posts, tmp_path / "out")
    found = Counter(read.json["action_id"] for read in deployment.actions())
    assert set(found) == action_ids(expected / "actions.ndjson")
    if delivery == "exactly-once":
        assert set(found.values()) == {1}
        signals = Counter(read.value for read in deployment.read("signals"))
        assert max(signals.values()) == 1
