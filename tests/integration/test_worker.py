"""`weir run` as a process on a real broker: starts, restarts, drains, shares, refuses."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from tests.integration.conftest import EXAMPLE, sample
from tests.support.deployment import Deployment, Read, wait_for
from tests.support.equalities import action_ids, post_rules_alone, scan_into
from worker import runtime
from worker.domain.errors import StateMismatch
from worker.domain.times import parse_time
from worker.transport.kafka.state import KafkaStateReader
from worker.transport.protocols import Partition

pytestmark = pytest.mark.broker

Deploy = Callable[..., Deployment]


def ids(reads: list[Read]) -> list[str]:
    return [read.json["action_id"] for read in reads]


def test_topics_are_created_once_and_then_hold(deploy: Deploy) -> None:
    deployment = deploy()  # created
    settings = deployment.settings()
    assert runtime.create_topics(settings) == []
    findings = runtime.check_topics(settings)
    assert {str(f) for f in findings if f.level == "refused"} == set()
    assert len([f for f in findings if f.level == "ok"]) > 50


def test_a_wrong_topic_setting_refuses_the_start(deploy: Deploy) -> None:
    deployment = deploy()  # made for the sender's time
    deployment.options["input"] = {"topic": f"{deployment.name}-posts", "time": "append"}
    worker = deployment.start()
    assert worker.process.wait(60) == 78
    assert worker.told("message.timestamp.type is CreateTime, needed: LogAppendTime")


def test_a_first_start_must_say_where_to_begin(deploy: Deploy) -> None:
    worker = deploy().start(start=None)
    assert worker.process.wait(60) == 78
    assert worker.told("--start earliest")


def test_a_stop_for_a_person_stays_up_and_not_ready(deploy: Deploy) -> None:
    worker = deploy().start(start=None, arguments=())
    wait_for(lambda: worker.saw("stopped_for_a_person"), "the stop is told")
    port = next(each["port"] for each in worker.events if each["event"] == "worker_started")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
    assert raised.value.code == 503
    assert b"--start" in raised.value.read()
    raised.value.close()
    assert worker.process.poll() is None
    assert worker.stop() == 78


def test_act_after_is_required_for_enforce(deploy: Deploy) -> None:
    worker = deploy(options={"enforce": {}}).start(stages=("enforce",), start=None)
    assert worker.process.wait(60) == 78
    assert worker.told("act_after")


def test_a_restart_restores_state_and_repeats_nothing(
    deploy: Deploy, tmp_path: Path, fast_path: bool
) -> None:
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    deployment = deploy(bundle, fast_path=fast_path)
    deployment.load(sample(tmp_path / "first.ndjson", 0, 1500))
    first = deployment.start("a")
    wait_for(deployment.drained, "the first half goes through")
    assert first.stop() == 0
    before = ids(deployment.actions())
    deployment.load(sample(tmp_path / "second.ndjson", 1500, 3000))
    second = deployment.start("a", start=None)  # a later start needs no --start
    wait_for(deployment.drained, "the second half goes through")
    assert second.stop() == 0
    after = ids(deployment.actions())
    assert len(after) == len(set(after))
    assert set(before) < set(after)
    expected = scan_into(deployment, sample(tmp_path / "all.ndjson", 0, 3000), tmp_path / "out")
    assert set(after) == action_ids(expected / "actions.ndjson")
    assert second.saw("partition_restored")


@pytest.mark.parametrize("ending", ["killed", "drained"])
def test_a_worker_ended_in_midstream_loses_and_repeats_nothing(
    deploy: Deploy, tmp_path: Path, ending: str
) -> None:
    bundle = post_rules_alone(EXAMPLE / "bundle", tmp_path / "bundle")
    deployment = deploy(bundle)
    deployment.load(sample(tmp_path / "posts.ndjson", 0, 2000))
    first = deployment.start("a", max_poll_records=50)
    wait_for(lambda: len(deployment.read("signals")) > 20, "some way in")
    if ending == "killed":
        first.kill()
    else:
        assert first.stop(deployment.settings().shutdown.total_ms / 1000) == 0
    deployment.workers.clear()
    second = deployment.start("a", start=None)  # the same slot: no session to wait out
    wait_for(deployment.drained, "the rest goes through")
    assert second.stop() == 0
    found = ids(deployment.actions())
    assert len(found) == len(set(found))
    expected = scan_into(deployment, tmp_path / "posts.ndjson", tmp_path / "out")
    assert set(found) == action_ids(expected / "actions.ndjson")


def test_a_twin_of_a_slot_ends_the_older_process(deploy: Deploy, tmp_path: Path) -> None:
    deployment = deploy()
    older = deployment.start("a", stages=("screen",))
    wait_for(lambda: older.saw("partitions_assigned"), "the older process works")
    twin = deployment.start("a", stages=("screen",))
    wait_for(lambda: twin.saw("partitions_assigned"), "the twin took over")
    deployment.workers.remove(older)
    try:
        deployment.load(sample(tmp_path / "posts.ndjson", 0, 200))
        wait_for(lambda: deployment.caught_up("screen"), "the twin goes on")
        assert older.process.wait(60) == 70
        assert older.told("slots must be unique")
    finally:
        older.kill()
    assert twin.stop() == 0


def test_a_second_worker_takes_its_share(deploy: Deploy, tmp_path: Path) -> None:
    deployment = deploy()
    deployment.load(sample(tmp_path / "first.ndjson", 0, 800))
    first = deployment.start("a")
    wait_for(deployment.drained, "the first worker runs alone")
    second = deployment.start("b")
    wait_for(
        lambda: any(
            each["event"] == "partitions_assigned" and each["partitions"] > 0
            for each in second.events
        ),
        "the second worker has partitions",
    )
    deployment.load(sample(tmp_path / "second.ndjson", 800, 1600))
    wait_for(deployment.drained, "both go on")
    assert [worker.stop() for worker in (first, second)] == [0, 0]
    found = ids(deployment.actions())
    assert len(found) == len(set(found))


def test_a_line_that_is_no_post_goes_to_the_dead_letters_as_it_was(
    deploy: Deploy, tmp_path: Path, fast_path: bool
) -> None:
    deployment = deploy(fast_path=fast_path)
    posts = tmp_path / "posts.ndjson"
    good = sample(tmp_path / "good.ndjson", 0, 3).read_bytes()
    posts.write_bytes(good + b'{"id": \n' + b"[1, 2]\n")
    report = deployment.load(posts)
    assert (report.posts, report.unreadable, report.too_large) == (5, 2, 0)
    deployment.start("a")
    wait_for(deployment.drained, "the posts go through")
    letters = {letter.value: letter for letter in deployment.read("dlq")}
    assert set(letters) == {b'{"id": ', b"[1, 2]"}
    letter = letters[b'{"id": ']
    assert letter.header("weir.dlq.reason") == "json_invalid"
    assert letter.header("weir.dlq.worker") == "a"
    assert letter.header("weir.dlq.group") == f"{deployment.name}.screen"
    notices = [r.json for r in deployment.read("signals") if r.json["kind"] == "notice"]
    assert len(notices) == 2


def test_loaded_posts_have_the_key_the_partition_and_the_time_of_ingest(
    deploy: Deploy, tmp_path: Path
) -> None:
    deployment = deploy()
    path = sample(tmp_path / "posts.ndjson", 0, 200)
    deployment.load(path)
    written = {line: json.loads(line) for line in path.read_bytes().splitlines()}
    reads = deployment.read("posts")
    assert {read.value for read in reads} == set(written)
    by_account: dict[bytes | None, set[int]] = {}
    for read in reads:
        post = written[read.value or b""]
        assert read.key == post["account"]["id"].encode()
        assert read.time == parse_time(post["created_at"])
        by_account.setdefault(read.key, set()).add(read.partition)
    assert all(len(partitions) == 1 for partitions in by_account.values())
    assert len({partition for held in by_account.values() for partition in held}) > 1


def test_added_partitions_are_refused(deploy: Deploy, tmp_path: Path) -> None:
    deployment = deploy(partitions=1)
    deployment.load(sample(tmp_path / "posts.ndjson", 0, 50))
    first = deployment.start("a")
    wait_for(deployment.drained, "the posts go through")
    assert first.stop() == 0
    admin = KafkaAdminClient(bootstrap_servers=deployment.servers)
    admin.create_partitions({deployment.settings().topic("posts"): 2})
    admin.close()
    deployment.workers.clear()
    second = deployment.start("a")
    assert second.process.wait(60) == 73
    # The slot comes back with its old assignment, or the group has dealt the new partition out.
    assert second.told("was written for 1 partitions of the input topic, now there are 2") or (
        second.told("state.screen has no partition 1, its input has")
    )


def test_a_state_partition_that_is_missing_is_no_broker_that_does_not_answer(
    deploy: Deploy,
) -> None:
    deployment = deploy(partitions=1)
    topic = deployment.settings().topic("state.screen")
    reader = KafkaStateReader(deployment.settings(), "screen")
    held, missing = Partition(topic, 0), Partition(topic, 1)
    try:
        wait_for(lambda: bool(reader.read({held: None}, 10.0, 1 << 20).drained), "one is read")
        with pytest.raises(StateMismatch, match=r"has no partition 1"):
            reader.read({held: None, missing: None}, 10.0, 1 << 20)
    finally:
        reader.close(1.0)
