"""Write records with an idempotent producer and believe nothing but their futures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka import errors as client_errors
from kafka.partitioner.default import murmur2

from worker.domain.errors import ConfigError, Fatal, Fenced
from worker.settings import Settings
from worker.transport.kafka.client import guard_client, producer_options, unavailable
from worker.transport.protocols import Flushed, Headers, Partition

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
        self._settings = settings
        self._options = producer_options(settings, name) | overrides
        if self._options.get("key_serializer") or self._options.get("value_serializer"):
            raise ValueError("records are bytes: serializers hide errors from us")
        self._partitions: dict[str, int] = {}
        self._pending: list[tuple[str, Any]] = []
        self._producer = self._connect()

    def _connect(self) -> KafkaProducer:
        try:
            return KafkaProducer(**self._options)
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(self._settings.kafka, error) from None

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
            raise failure(f"a record for {topic}-{partition} was not taken", error) from error
        self._pending.append((topic, future))

    def flush(self, timeout_s: float) -> int:
        """Wait for every record; raise where one was not acknowledged; see `Sink.flush`."""
        flushed = self.settle(timeout_s)
        if flushed.failed:
            raise Fatal(f"{flushed.failed} records were not acknowledged: {flushed.reason}")
        return flushed.acknowledged

    def settle(self, timeout_s: float) -> Flushed:
        """Wait for every record and look at each future.

        The client's own flush waits its timeout per batch and returns when batches failed, so
        it only starts the sending; the futures decide.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return Flushed(0)
        deadline = time.monotonic() + timeout_s
        try:
            self._producer.flush(timeout_s)
        except client_errors.KafkaError as error:
            return Flushed(0, len(pending), repr(error))
        return _judge(pending, deadline)

    def close(self, timeout_s: float) -> None:
        """Let go of the client; what was not flushed is given up."""
        self._producer.close(timeout=timeout_s)


def _judge(pending: Sequence[tuple[str, Any]], deadline: float) -> Flushed:
    failed, reason = 0, ""
    last: dict[Partition, int] = {}
    for topic, future in pending:
        try:
            found = future.get(max(deadline - time.monotonic(), 0))
        except client_errors.KafkaError as error:
            failed += 1
            reason = reason or f"{topic}: {error!r}"
            continue
        last[Partition(found.topic, found.partition)] = found.offset
    return Flushed(len(pending) - failed, failed, reason, last)


def failure(what: str, error: Exception) -> Fatal | ConfigError:
    """Turn a client's error into ours; being fenced is told apart, for the person who reads it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _FENCED):
            return Fenced(
                f"{what}: another process took over ({type(cause).__name__}): slots must be unique "
                "in their group (setting slot, default the host name)"
            )
        if isinstance(cause, _FORBIDDEN):
            return ConfigError(f"{what}: {cause}; grant it (docs/deployment.md)")
        cause = cause.__cause__ or (cause.args[-1] if _nested(cause) else None)
    return Fatal(f"{what}: {error!r}")


_FENCED = (
    client_errors.ProducerFencedError,
    client_errors.InvalidProducerEpochError,
    client_errors.FencedInstanceIdError,
)
_FORBIDDEN = (
    client_errors.TransactionalIdAuthorizationFailedError,
    client_errors.TopicAuthorizationFailedError,
    client_errors.GroupAuthorizationFailedError,
)


def _nested(error: BaseException) -> bool:
    """Tell whether the client wrapped the first error into the arguments of a second one."""
    return bool(error.args) and isinstance(error.args[-1], BaseException)
