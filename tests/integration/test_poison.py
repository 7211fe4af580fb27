"""Records that make the client raise on a real broker: saved, passed, and the stream goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from deploy.local.broker import LocalKafka
from tests.integration.conftest import EXAMPLE
from tests.support import requirements
from tests.support.batches import RawKey, broken
from tests.support.deployment import Deployment, wait_for
from worker.settings import WATCHDOG_MS

pytestmark = pytest.mark.broker

Deploy = Callable[..., Deployment]
POST = b'{"id":"%d","account":{"id":"u"},"created_at":"2026-01-01T00:00:00Z","text":"hello"}'
NOW = 1_767_225_600_000


def send(deployment: Deployment, value: bytes, key: bytes = b"u", **options: object) -> int:
    """Write one record as a batch of its own; return its offset."""
    producer = KafkaProducer(bootstrap_servers=deployment.servers, **options.pop("producer", {}))
    topic = deployment.settings().topic("posts")
    try:
        sent = producer.send(topic, value, key, partition=0, timestamp_ms=NOW, **options)
        return int(sent.get(30).offset)
    finally:
        producer.close()


def test_a_header_key_that_is_no_utf8_is_saved_and_passed(deploy: Deploy, fast_path: bool) -> None:
    deployment = deploy(partitions=1, fast_path=fast_path)
    send(deployment, POST % 1)
    poison = send(deployment, POST % 2, headers=[(RawKey("x"), b"2")])
    send(deployment, POST % 3)
    deployment.start("a")
    # Before the watchdog would have to act.
    wait_for(deployment.drained, "the stream goes on behind the record", WATCHDOG_MS / 1000)
    (letter,) = deployment.read("dlq")
    assert letter.header("weir.dlq.reason") == "header_invalid"
    assert letter.header("weir.dlq.offset") == str(poison)
    assert letter.key == b"u"
    assert POST % 2 in (letter.value or b"")
    (notice,) = [r.json for r in deployment.read("signals") if r.json["kind"] == "notice"]
    assert notice["reason"] == "header_invalid"
    assert notice["origin"]["offset"] == poison


def test_a_poison_record_is_saved_once_though_workers_die_at_it(deploy: Deploy) -> None:
    deployment = deploy(partitions=1)
    poison = send(deployment, POST % 1, headers=[(RawKey("x"), b"2")])
    send(deployment, POST % 2)
    for point in ("after_begin", "after_send[0]", "after_flush", "before_commit", "after_commit"):
        worker = deployment.start("a", stages=("screen",), failpoint=f"{point}:2", forked=True)
        assert worker.process.wait(90) == -signal.SIGKILL, point  # 1: its claim, 2: the record
    deployment.workers.clear()
    deployment.start("a", start=None)
    wait_for(deployment.drained, "the stream goes on behind the record")
    letters = [letter.header("weir.dlq.offset") for letter in deployment.read("dlq")]
    assert letters == [str(poison)]
    notices = [r.json for r in deployment.read("signals") if r.json["kind"] == "notice"]
    assert [notice["origin"]["offset"] for notice in notices] == [poison]


def test_a_gzip_bomb_is_refused_by_the_topic_and_passed_where_it_is_not(
    deploy: Deploy, fast_path: bool
) -> None:
    deployment = deploy(partitions=1, fast_path=fast_path)
    bomb = b"\0" * (40 << 20)
    packed = {"producer": {"compression_type": "gzip", "max_request_size": 1 << 27}}
    with pytest.raises(Exception, match="MessageSizeTooLarge"):
        send(deployment, bomb, **packed)
    admin = KafkaAdminClient(bootstrap_servers=deployment.servers)
    _set_topic(admin, deployment.settings().topic("posts"), {"compression.type": "producer"})
    send(deployment, bomb, **packed)
    _set_topic(admin, deployment.settings().topic("posts"), {"compression.type": "uncompressed"})
    admin.close()
    send(deployment, POST % 1)
    worker = deployment.start("a")
    wait_for(deployment.drained, "the stream goes on behind the bomb")
    (letter,) = deployment.read("dlq")
    assert letter.header("weir.dlq.reason") == "inflated_too_large"
    assert len(letter.value or b"") < 1 << 20
    assert worker.stop() == 0


def _set_topic(admin: KafkaAdminClient, topic: str, values: dict[str, str]) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType

    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, values)])


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """Give a broker whose log files a test may damage."""
    requirements.require("java")
    requirements.require("mvn")
    kafka = LocalKafka(heap="512m")
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


def test_a_batch_damaged_on_disk_is_saved_and_passed(
    own_kafka: LocalKafka, tmp_path: Path, fast_path: bool
) -> None:
    deployment = Deployment(
        own_kafka.bootstrap_servers, tmp_path / "d", EXAMPLE / "bundle", 1, fast_path
    )
    deployment.create()
    try:
        send(deployment, POST % 1)
        send(deployment, POST % 2)
        send(deployment, POST % 3)
        topic = deployment.settings().topic("posts")
        assert own_kafka.folder is not None
        (segment,) = (own_kafka.folder / "data" / f"{topic}-0").glob("*.log")
        raw = segment.read_bytes()
        at = raw.index(POST % 2) + 5
        with segment.open("r+b") as file:
            file.seek(at)
            file.write(broken(raw[at : at + 1]))
        deployment.start("a")
        wait_for(deployment.drained, "the stream goes on behind the batch")
        (letter,) = deployment.read("dlq")
        assert letter.header("weir.dlq.reason") == "record_corrupt"
        assert letter.header("weir.dlq.offset") == "1"
    finally:
        deployment.close()
