"""Write records with an idempotent producer and believe nothing but their futures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka import errors as client_errors

from fastpath.batch_writer import partition_of
from worker.domain.errors import ConfigError, Fatal, Fenced
from worker.settings import Settings
from worker.transport.kafka.client import guard_client, producer_options, unavailable
from worker.transport.kafka.packed_batches import PackedBatches, Sent
from worker.transport.protocols import Flushed, Headers, Partition

# What a full send may raise: no metadata or buffer within max_block_ms, a record above
# max_request_size, an unknown partition, a closed client.
_SEND_ERRORS = (client_errors.KafkaError, ValueError, TypeError, AssertionError)


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
        self._producer = self._connect()

    def _connect(self) -> KafkaProducer:
        try:
            producer = KafkaProducer(**self._options)
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(self._settings.kafka, error) from None
        sizes = self._options["batch_size"], self._options["max_request_size"]
        self._batches = PackedBatches(producer, *sizes)
        # A client sends only to topics that it was asked about, so a new one is asked anew.
        self._partitions: dict[str, int] = {}
        return producer

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
        partitions = self.partition_count(topic)
        if partition is None:
            partition = 0 if key is None else partition_of(key, partitions)
        if not 0 <= partition < partitions:
            raise Fatal(f"{topic} has {partitions} partitions, none is {partition}")
        if value is None and key is None:
            key = b""  # a record that has neither is no record
        try:
            self._batches.add(topic, partition, key, value, headers, time_ms)
        except _SEND_ERRORS as error:
            raise failure(f"a record for {topic}-{partition} was not taken", error) from error

    def flush(self, timeout_s: float) -> int:
        """Wait for every record; raise where one was not acknowledged; see `Sink.flush`."""
        flushed = self.settle(timeout_s)
        if flushed.failed:
            raise Fatal(f"{flushed.failed} records were not acknowledged: {flushed.reason}")
        return flushed.acknowledged

    def settle(self, timeout_s: float) -> Flushed:
        """Wait for every batch and look at each future; raises Fenced where that is why one failed.

        The client's own flush waits its timeout per batch and returns when batches failed, so
        it only starts the sending; the futures decide.
        """
        try:
            sent = self._batches.take()
        except _SEND_ERRORS as error:
            raise failure("a batch was not taken", error) from error
        if not sent:
            return Flushed(0)
        deadline = time.monotonic() + timeout_s
        try:
            self._producer.flush(timeout_s)
        except client_errors.KafkaError as error:
            return Flushed(0, sum(each.records for each in sent), repr(error))
        return _judge(sent, deadline)

    def close(self, timeout_s: float) -> None:
        """Let go of the client; what was not flushed is given up."""
        self._producer.close(timeout=timeout_s)


def _judge(sent: Sequence[Sent], deadline: float) -> Flushed:
    acknowledged, failed, reason = 0, 0, ""
    last: dict[Partition, int] = {}
    for each in sent:
        try:
            found = each.future.get(max(deadline - time.monotonic(), 0))
        except client_errors.KafkaError as error:
            lost = failure(f"{each.records} records for {each.topic} were not acknowledged", error)
            if isinstance(lost, Fenced):
                raise lost from error
            failed += each.records
            reason = reason or f"{each.topic}: {error!r}"
            continue
        acknowledged += each.records
        last[Partition(found.topic, found.partition)] = found.offset
    return Flushed(acknowledged, failed, reason, last)


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
