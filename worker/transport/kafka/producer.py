"""Write records with an idempotent producer and believe nothing but their futures."""

from __future__ import annotations

import time
from typing import Any

from kafka import KafkaProducer
from kafka import errors as client_errors
from kafka.partitioner.default import murmur2

from worker.domain.errors import Fatal
from worker.settings import Settings
from worker.transport.kafka.client import guard_client, producer_options, unavailable
from worker.transport.protocols import Headers

# What a full send may raise: no metadata or buffer within max_block_ms, a record above
# max_request_size, an unknown partition, a closed client.
_SEND_ERRORS = (client_errors.KafkaError, ValueError, TypeError, AssertionError)


def partition_of(key: bytes, partitions: int) -> int:
    """Place a key as Java's default partitioner does (murmur2, KIP-480 leaves keys alone)."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


class KafkaSink:
    """Implement `worker.transport.protocols.Sink` over one KafkaProducer."""

    def __init__(self, settings: Settings, name: str, **overrides: Any) -> None:
        """Connect; blocks until a broker answered.

        Raises:
            BrokerUnavailable: none did within kafka.unavailable_after_ms.
            ConfigError: as `KafkaSource`.
        """
        guard_client()
        options = producer_options(settings, name) | overrides
        if options.get("key_serializer") or options.get("value_serializer"):
            raise ValueError("records are bytes: serializers hide errors from us")
        try:
            self._producer = KafkaProducer(**options)
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(settings.kafka, error) from None
        self._partitions: dict[str, int] = {}
        self._pending: list[tuple[str, Any]] = []

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has; blocks on the first call for a topic.

        Raises:
            Fatal: the topic is not there, or no broker said so in time.
        """
        known = self._partitions.get(topic)
        if known is None:
            try:
                found = self._producer.partitions_for(topic)
            except client_errors.KafkaError as error:
                raise Fatal(f"no partitions of {topic} are known: {error!r}") from error
            known = self._partitions[topic] = len(found)
        return known

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
        time_ms: int | None = None,
    ) -> None:
        """Hand one record over; no key goes to partition 0."""
        if partition is None:
            partition = 0 if key is None else partition_of(key, self.partition_count(topic))
        if value is None and key is None:
            key = b""  # the client sends no record that has neither
        try:
            future = self._producer.send(
                topic,
                value=value,
                key=key,
                headers=list(headers),
                partition=partition,
                timestamp_ms=time_ms,
            )
        except _SEND_ERRORS as error:
            raise Fatal(f"a record for {topic}-{partition} was not taken: {error!r}") from error
        self._pending.append((topic, future))

    def flush(self, timeout_s: float) -> int:
        """Wait for every record and look at each future; see `Sink.flush`.

        The client's own flush waits its timeout per batch and returns when batches failed, so
        it only starts the sending; the futures decide.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return 0
        deadline = time.monotonic() + timeout_s
        try:
            self._producer.flush(timeout_s)
        except client_errors.KafkaError as error:
            raise Fatal(f"{len(pending)} records were not acknowledged: {error!r}") from error
        for topic, future in pending:
            try:
                future.get(max(deadline - time.monotonic(), 0))
            except client_errors.KafkaError as error:
                raise Fatal(f"a record for {topic} was not acknowledged: {error!r}") from error
        return len(pending)

    def close(self, timeout_s: float) -> None:
        """Let go of the client; what was not flushed is given up."""
        self._producer.close(timeout=timeout_s)
