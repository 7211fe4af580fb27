"""Give the contract tests one handle on every transport."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import MemberToRemove, NewTopic

from fastpath.records import BatchView
from tests.support.deployment import wait_for
from worker.settings import KafkaSettings, Settings
from worker.transport.files import PostFile, ResultFolder
from worker.transport.kafka.consumer import KafkaSource
from worker.transport.kafka.producer import KafkaSink
from worker.transport.kafka.state import KafkaStateReader
from worker.transport.kafka.transactions import StageProducer
from worker.transport.memory import (
    MemoryBroker,
    MemoryProducer,
    MemorySource,
    MemoryStateReader,
)
from worker.transport.protocols import Partition, Polled, Producer, Sink, Source, StateReader

DEADLINE_S = 30.0


class Deadline:
    """Fail a wait that takes longer than anything here may."""

    def __init__(self) -> None:
        self._end = time.monotonic() + DEADLINE_S

    def check(self, what: str) -> None:
        assert time.monotonic() < self._end, f"{what} took longer than {DEADLINE_S} s"


class Reader(Protocol):
    """Name what every transport that is read from has."""

    def poll(self, timeout_s: float, max_records: int) -> Polled: ...

    def close(self, timeout_s: float) -> None: ...


class Pipe(Protocol):
    """Write to one partition and read it back."""

    topic: str

    def sink(self) -> Sink: ...

    def reader(self) -> Reader: ...

    def publish(self) -> None:
        """Make readable what the sink flushed, where that takes a step of its own."""


class FilesPipe:
    """Write a file of a result folder and read it."""

    topic = "posts"

    def __init__(self, folder: Path) -> None:
        self._folder = ResultFolder(folder, (self.topic,))

    def sink(self) -> Sink:
        return self._folder

    def publish(self) -> None:
        self._folder.publish(b"{}\n")

    def reader(self) -> Reader:
        return PostFile(str(self._folder.path(self.topic)), chunk_bytes=64)

    def close(self) -> None:
        self._folder.close()


class Cluster(Protocol):
    """Hold topics and groups, of memory or of Kafka."""

    topic: str  # made with `partitions`

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        time: int = 0,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> None: ...

    def source(self, instance: str = "0") -> Source: ...

    def sink(self) -> Sink: ...

    def producer(self, slot: str = "0") -> Producer:
        """Give the transactional producer of a slot; an older one of it is fenced."""

    def state_reader(self) -> StateReader: ...

    def evict(self, source: Source) -> None:
        """Take a member out of its group, as happens when its session times out."""

    def await_answer(self, source: Source) -> None:
        """Wait until a client that fetches ahead holds what the next poll gives."""


class ClusterPipe:
    """Use the one partition of a cluster as a pipe."""

    def __init__(self, cluster: Cluster) -> None:
        self.topic = cluster.topic
        self._cluster = cluster

    def sink(self) -> Sink:
        return self._cluster.sink()

    def publish(self) -> None:
        pass

    def reader(self) -> Reader:
        source = self._cluster.source()
        begin(source)
        return source


class MemoryCluster:
    """Keep one topic in memory."""

    def __init__(self, partitions: int) -> None:
        self.topic = "posts"
        self._broker = MemoryBroker({self.topic: partitions})

    def append(self, key: bytes | None, value: bytes | None, **more: Any) -> None:
        self._broker.append(self.topic, key, value, **more)

    def source(self, instance: str = "0") -> Source:
        return MemorySource(self._broker, "readers", (self.topic,), instance)

    def sink(self) -> Sink:
        return MemoryProducer(self._broker)

    def producer(self, slot: str = "0") -> Producer:
        return MemoryProducer(self._broker, slot, "readers")

    def state_reader(self) -> StateReader:
        return MemoryStateReader(self._broker)

    def evict(self, source: Source) -> None:
        assert isinstance(source, MemorySource)
        source.evict()

    def await_answer(self, source: Source) -> None:
        """Return: nothing is fetched ahead."""


class KafkaCluster:
    """Make one topic on a real broker; everything is closed by `close`."""

    def __init__(self, servers: str, partitions: int, *, fast_path: bool) -> None:
        self.fast_path = fast_path
        self.topic = f"posts-{uuid4().hex[:12]}"
        self._servers = servers
        self._namespace = f"weir-{uuid4().hex[:12]}"
        self._opened: list[Callable[[], None]] = []
        admin = KafkaAdminClient(bootstrap_servers=servers)
        # Retention goes by the time of the records, and some here are from 1970.
        forever = {"retention.ms": "-1"}
        admin.create_topics([NewTopic(self.topic, partitions, 1, topic_configs=forever)])
        admin.close()
        self._producer = KafkaProducer(bootstrap_servers=servers)
        self._opened.append(self._producer.close)
        # A reader that joins before the broker shows the topic is paused by a second rebalance.
        assert len(self._producer.partitions_for(self.topic)) == partitions

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        time: int = 0,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> None:
        self._producer.send(
            self.topic,
            value,
            key=key,
            partition=partition,
            timestamp_ms=time,
            headers=list(headers),
        ).get(DEADLINE_S)

    def source(self, instance: str = "0") -> Source:
        source = KafkaSource(self._settings(instance), "screen", (self.topic,))
        self._opened.append(lambda: source.close(5))
        return source

    def sink(self) -> Sink:
        sink = KafkaSink(self._settings("sink"), "screen")
        self._opened.append(lambda: sink.close(5))
        return sink

    def producer(self, slot: str = "0") -> Producer:
        producer = StageProducer(self._settings(slot), "screen")
        self._opened.append(lambda: producer.close(1))
        return producer

    def state_reader(self) -> StateReader:
        reader = KafkaStateReader(self._settings("state"), "screen")
        self._opened.append(lambda: reader.close(5))
        return reader

    def evict(self, source: Source) -> None:
        """Take a member out of its group by the broker's own hand."""
        assert isinstance(source, KafkaSource)
        admin = KafkaAdminClient(bootstrap_servers=self._servers)
        member = MemberToRemove(group_instance_id=source._settings.slot)
        admin.remove_group_members(f"{self._namespace}.screen", [member])
        admin.close()

    def await_answer(self, source: Source) -> None:
        """Look into the client: it says nothing of what it has fetched."""
        assert isinstance(source, KafkaSource)
        wait_for(lambda: bool(source._fetcher._completed_fetches), "an answer is there")

    def close(self) -> None:
        for close in reversed(self._opened):
            close()

    def _settings(self, instance: str) -> Settings:
        kafka = KafkaSettings(
            bootstrap_servers=(self._servers,),
            namespace=self._namespace,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=300,  # a rebalance is noticed at a heartbeat
            max_block_ms=2_000,
            fast_path=self.fast_path,
        )
        return Settings(slot=instance, kafka=kafka)


def begin(source: Source) -> None:
    """Poll until partitions are assigned, then read each from its beginning."""
    deadline = Deadline()
    while not (source.group().trusted and source.group().assigned):
        deadline.check("joining the group")
        source.poll(0.2, 1)
    rewind(source)


def assigned(source: Source) -> frozenset[Partition]:
    """Name what a source was assigned; empty while it joins."""
    group = source.group()
    return group.assigned if group.trusted else frozenset()


def rewind(source: Source) -> None:
    """Seek what is assigned to its beginning and resume it."""
    for partition, first in source.beginnings(assigned(source), 10).items():
        source.seek(partition, first)
    source.resume(assigned(source))


def read(reader: Reader, count: int, max_records: int = 1_000) -> list[BatchView]:
    """Poll until `count` records came."""
    deadline = Deadline()
    views: list[BatchView] = []
    while sum(len(view) for view in views) < count:
        deadline.check(f"reading {count} records")
        for item in reader.poll(0.1, max_records).items:
            assert isinstance(item, BatchView)
            views.append(item)
    return views


def values(views: list[BatchView]) -> list[bytes | None]:
    """List values in the order in which they were read."""
    return [view.value(i) for view in views for i in range(len(view))]


def offsets(views: list[BatchView]) -> list[int]:
    """List offsets in the order in which they were read."""
    return [view.offset(i) for view in views for i in range(len(view))]


def partitions(topic: str, *numbers: int) -> list[Partition]:
    """Name partitions of one topic."""
    return [Partition(topic, number) for number in numbers]
