"""Load posts into a real Apache Kafka on loopback, and read back what an engine wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.local.broker import serving
from fastpath.batch_writer import partition_of

BATCH_BYTES = 128 * 1024
LINGER_MS = 20
BROKER_FILE = "broker.json"
READ_TIMEOUT_MS = 500


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Run a broker, and note in `folder` where it is and which process."""
    with serving(heap="2g") as servers:
        java = [p for p in psutil.Process().children(recursive=True) if p.name() == "java"]
        note = {"servers": servers, "pid": java[-1].pid}
        (folder / BROKER_FILE).write_text(json.dumps(note), encoding="utf-8")
        yield servers


def servers_of(folder: Path) -> str:
    """Return the address of the broker that runs for these inputs."""
    return str(json.loads((folder / BROKER_FILE).read_text(encoding="utf-8"))["servers"])


def broker_cpu(folder: Path) -> float:
    """Return the CPU seconds that the broker has used."""
    pid = json.loads((folder / BROKER_FILE).read_text(encoding="utf-8"))["pid"]
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def create_topic(servers: str, topic: str, partitions: int) -> None:
    """Create a topic; blocks until it is there."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        # Posts of a corpus have times of their own: retention would delete them at once.
        settings = {"retention.ms": "-1"}
        admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
    finally:
        admin.close()


def load(servers: str, topic: str, partitions: int, posts: Path) -> None:
    """Write the lines of a file as posts: key = account, time = created_at; blocks.

    Loading is not measured, so the faster client does it where it is installed.
    """
    create_topic(servers, topic, partitions)
    with sender(servers, topic, LINGER_MS) as send, posts.open("rb") as lines:
        places: dict[bytes, int] = {}
        for line in lines:
            value = line.rstrip(b"\n")
            post = orjson.loads(value)
            key = post["account"]["id"].encode()
            place = places.get(key)
            if place is None:
                place = places[key] = partition_of(key, partitions)
            send(value, key, place, post["created_at"])


Send = Callable[[bytes, bytes, int, int], object]


@contextmanager
def sender(servers: str, topic: str, linger_ms: int) -> Iterator[Send]:
    """Yield a function that writes a record, and on leaving wait until all are written."""
    try:
        from confluent_kafka import Producer
    except ModuleNotFoundError:
        producer = KafkaProducer(
            bootstrap_servers=servers,
            batch_size=BATCH_BYTES,
            linger_ms=linger_ms,
            metrics_enabled=False,
        )
        yield lambda value, key, place, time: producer.send(
            topic, value, key=key, partition=place, timestamp_ms=time
        )
        producer.flush()
        producer.close()
        return
    options = {"bootstrap.servers": servers, "batch.size": BATCH_BYTES, "linger.ms": linger_ms}
    fast = Producer(options | {"queue.buffering.max.messages": 0})

    def send(value: bytes, key: bytes, place: int, time: int) -> None:
        while True:
            try:
                return fast.produce(topic, value, key, place, timestamp=time)
            except BufferError:  # the queue is full: let it drain
                fast.poll(0.05)

    yield send
    fast.flush()


def read_all(servers: str, topic: str, parse: Callable[[bytes], Any] = json.loads) -> Iterator[Any]:
    """Yield every record value of a topic that holds now, parsed."""
    consumer = KafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed")
    try:
        places = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
        ends = {tp: end for tp, end in consumer.end_offsets(places).items() if end}
        consumer.assign(list(ends))
        consumer.seek_to_beginning()
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for records in consumer.poll(timeout_ms=READ_TIMEOUT_MS, max_records=10_000).values():
                yield from (parse(record.value) for record in records)
    finally:
        consumer.close(autocommit=False)
