"""Batch views against the client's own records, on what a real broker sends.

`pytest tests/integration/test_captured_batches.py --refresh-golden` writes what was captured to
tests/golden/batches.json, which the contract tests read.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from fastpath.batches import RecordBatches, record_headers
from tests.conftest import GOLDEN
from tests.support.batches import COMPRESSORS
from tests.support.deployment import wait_for
from worker.transport.kafka.plain_records import KeptRecords

pytestmark = pytest.mark.broker

CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


class Topic:
    """Own one partition, written to in a scripted way."""

    def __init__(self, servers: str, **configs: str) -> None:
        self.servers = servers
        self.tp = TopicPartition(f"batches-{uuid4().hex[:12]}", 0)
        admin = KafkaAdminClient(bootstrap_servers=servers)
        admin.create_topics([NewTopic(self.tp.topic, 1, 1, topic_configs=configs)])
        admin.close()

    def write(
        self, values: list[bytes], *, abort: bool = False, time: int = 1_000, **options: Any
    ) -> None:
        """Write values in one batch, in a transaction where `options` name one."""
        producer = KafkaProducer(bootstrap_servers=self.servers, linger_ms=50, **options)
        if "transactional_id" in options:
            producer.init_transactions()
            producer.begin_transaction()
        for number, value in enumerate(values):
            headers = [("h", b"%d" % number)]
            producer.send(self.tp.topic, value, b"k%d" % (number % 3), headers, 0, time)
        producer.flush()
        if abort:
            producer.abort_transaction()
        elif "transactional_id" in options:
            producer.commit_transaction()
        producer.close()

    def fetch(self, offset: int = 0) -> list[tuple[KeptRecords, list[Any]]]:
        """Read to the end with the client's own class; give each fetch and its records."""
        fetches: list[tuple[KeptRecords, list[Any]]] = []

        class Captured(KeptRecords):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                fetches.append((self, []))

            def take(self, n: int | None = None) -> list[Any]:
                records = super().take(n)
                fetches[-1][1].extend(records)
                return records

        consumer = KafkaConsumer(
            bootstrap_servers=self.servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        try:
            consumer._fetcher.PartitionRecords = Captured
            consumer.assign([self.tp])
            consumer.seek(self.tp, offset)
            (end,) = consumer.end_offsets([self.tp]).values()

            def ended() -> bool:
                consumer.poll(200)
                return bool(consumer.position(self.tp) >= end)

            wait_for(ended, "the topic is read")
        finally:
            consumer.close(autocommit=False)
        return [(part, records) for part, records in fetches if part.buffer]


def check(topic: Topic, offset: int = 0) -> list[KeptRecords]:
    """Read every fetch with the index as well; both must show the same."""
    fetches = topic.fetch(offset)
    assert fetches
    for part, expected in fetches:
        reader = RecordBatches(
            *topic.tp, part.buffer, fetch_offset=part.fetch_offset, aborted=part.aborted
        )
        shown = []
        while not reader.ended:
            view = reader.read()
            for i in range(0 if view is None else len(view)):
                assert view is not None
                headers = [(key.decode(), value) for key, value in record_headers(view, i)]
                shown.append((view.offset(i), view.time(i), view.key(i), view.value(i), headers))
        assert reader.error is None
        assert shown == [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in expected]
        assert reader.next_offset == part.next_fetch_offset
    return [part for part, _ in fetches]


@pytest.fixture(scope="module")
def found() -> dict[str, KeptRecords]:
    return {}


VALUES = [b"value %d" % number for number in range(40)]


@pytest.mark.parametrize("time", ["CreateTime", "LogAppendTime"])
def test_plain_batches(kafka_servers: str, found: dict[str, KeptRecords], time: str) -> None:
    topic = Topic(kafka_servers, **{"message.timestamp.type": time})
    for start in range(0, 40, 10):
        topic.write(VALUES[start : start + 10])
    found[time] = check(topic)[0]
    found[f"{time}, from inside a batch"] = check(topic, 13)[0]


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_compressed_by_the_broker(
    kafka_servers: str, found: dict[str, KeptRecords], codec: int
) -> None:
    """Java's own encoders, snappy in its frame."""
    topic = Topic(kafka_servers, **{"compression.type": CODECS[codec]})
    topic.write(VALUES)
    found[CODECS[codec]] = check(topic)[0]


def test_transactions(kafka_servers: str, found: dict[str, KeptRecords]) -> None:
    topic = Topic(kafka_servers)
    for name, abort in (("a", False), ("b", True), ("a", True), ("b", False)):
        topic.write(VALUES[:5], abort=abort, transactional_id=f"{topic.tp.topic}-{name}")
        topic.write(VALUES[:2])
    # The markers of the last transaction are written after its commit has returned.
    wait_for(lambda: sum(len(records) for _, records in topic.fetch()) == 18, "all is committed")
    part = max(check(topic), key=lambda part: len(part.aborted))
    assert len(part.aborted) == 2
    found["transactions"] = part


def test_compaction(kafka_servers: str, found: dict[str, KeptRecords]) -> None:
    topic = Topic(
        kafka_servers,
        **{
            "cleanup.policy": "compact",
            "segment.ms": "1000",
            "min.cleanable.dirty.ratio": "0.001",
            "max.compaction.lag.ms": "1",
        },
    )
    topic.write(VALUES)
    topic.write(VALUES[:2], time=1_000_000)  # rolls the segment: the first may be compacted
    wait_for(lambda: _with_holes(topic), "the log is compacted")
    found["compacted"] = check(topic)[0]


def _with_holes(topic: Topic) -> bool:
    return sum(len(records) for _, records in topic.fetch()) < len(VALUES)


def test_the_golden_file_holds_what_was_captured(
    found: dict[str, KeptRecords], request: pytest.FixtureRequest
) -> None:
    """Offsets and times differ between runs, so the names alone are compared."""
    path = GOLDEN / "batches.json"
    if request.config.getoption("--refresh-golden"):
        held = {
            name: {
                "fetch_offset": part.fetch_offset,
                "aborted": part.aborted,
                "buffer": base64.b64encode(part.buffer).decode(),
            }
            for name, part in sorted(found.items())
        }
        path.write_text(json.dumps(held, indent=1) + "\n")
    assert set(json.loads(path.read_text())) == set(found)
