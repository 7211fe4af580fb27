"""Read every output topic, read_committed, while faults happen: what a consumer would have seen."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

from kafka import KafkaConsumer, TopicPartition

from tests.support.deployment import Read


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
