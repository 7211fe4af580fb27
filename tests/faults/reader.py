"""Read every output topic, read_committed, while faults happen: what a consumer would have seen."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

from kafka import KafkaConsumer, TopicPartition

from tests.support.deployment import Deployment, Read
from worker.settings import STAGE_NAMES
from worker.transport.kafka.topics import WRITES


class Reader(threading.Thread):
    """Collect every record in order of offset until told where the partitions end."""

    def __init__(self, servers: str, topics: Iterable[str]) -> None:
        super().__init__(name="reader", daemon=True)
        self.records: dict[TopicPartition, list[Read]] = defaultdict(list)
        self.broken: list[str] = []
        self._ends: Mapping[TopicPartition, int] | None = None
        self._told = threading.Event()
        self._given_up = threading.Event()
        self._consumer = KafkaConsumer(
            bootstrap_servers=servers,
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            allow_auto_create_topics=False,
        )
        tps = [
            TopicPartition(topic, number)
            for topic in topics
            for number in self._consumer.partitions_for_topic(topic)
        ]
        self._consumer.assign(tps)
        self._consumer.seek_to_beginning(*tps)

    def run(self) -> None:
        while not self._given_up.is_set() and not self._finished():
            for tp, records in self._consumer.poll(timeout_ms=200, max_records=5_000).items():
                held = self.records[tp]
                for r in records:
                    if held and r.offset <= held[-1].offset:
                        self.broken.append(f"{tp}: offset {r.offset} after {held[-1].offset}")
                    headers = tuple(r.headers)
                    held.append(Read(tp.partition, r.offset, r.timestamp, r.key, r.value, headers))
        self._consumer.close(autocommit=False)

    def _finished(self) -> bool:
        return self._told.is_set() and all(
            self._consumer.position(tp) >= end for tp, end in (self._ends or {}).items() if end
        )

    def finish(self, ends: Mapping[TopicPartition, int], deadline_s: float) -> None:
        """Read on to these ends and stop."""
        self._ends = ends
        self._told.set()
        self.join(deadline_s)
        if self.is_alive():
            self._given_up.set()
            self.broken.append(f"the reader did not reach the ends within {deadline_s:.0f} s")
            self.join(10)

    def of(self, topic: str) -> list[Read]:
        """Give a topic's records by partition and offset."""
        parts = sorted(tp for tp in self.records if tp.topic == topic)
        return [read for tp in parts for read in self.records[tp]]


class Watch:
    """Hold the readers of a run: of outputs, of state, and of state topics that were deleted."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        topic = deployment.settings().topic
        names = {topic(role) for stage in STAGE_NAMES for role in WRITES[stage]}
        self._states = frozenset(topic(f"state.{stage}") for stage in STAGE_NAMES)
        self.topics = frozenset(names)
        self.outputs = self._begin(self.topics - self._states)
        self.state = self._begin(self._states)
        self.moved: list[Reader] = []

    @property
    def all(self) -> list[Reader]:
        """Give every reader there was."""
        return [self.outputs, *self.moved, self.state]

    def _begin(self, topics: frozenset[str]) -> Reader:
        reader = Reader(self._deployment.servers, sorted(topics))
        reader.start()
        return reader

    def part(self, deadline_s: float) -> None:
        """Read the state topics to their ends; `resume` once they were made anew."""
        self._finish(self.state, self._states, deadline_s)
        self.moved.append(self.state)

    def resume(self) -> None:
        """Read state topics that were made anew."""
        self.state = self._begin(self._states)

    def finish(self, deadline_s: float) -> None:
        """Read everything to its end and stop."""
        self._finish(self.outputs, self.topics - self._states, deadline_s)
        self._finish(self.state, self._states, deadline_s)

    def _finish(self, reader: Reader, topics: frozenset[str], deadline_s: float) -> None:
        ends = {tp: end for name in topics for tp, end in self._deployment.ends(name).items()}
        reader.finish(ends, deadline_s)
