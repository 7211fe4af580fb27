"""Write in transactions with a client that is wrong in four places (docs/kafka-client.md).

The rules that make it right are the engine's: nothing in flight when offsets follow, the group's
snapshot of the poll, no abort in this process, a new client after a doubtful commit. This wrapper
gives it what it needs to judge them and adds no rule of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from kafka import errors as client_errors

from worker.settings import Settings, StageName
from worker.transport.kafka.client import unavailable
from worker.transport.kafka.net import FastNetClient
from worker.transport.kafka.producer import KafkaSink, failure
from worker.transport.protocols import Ended, Group, Partition

CLOSE_S = 1.0  # for a client that is replaced: nothing of it is in flight


class StageProducer(KafkaSink):
    """Implement `worker.transport.protocols.Producer` for one slot of a stage.

    With `delivery: at-least-once` it is idempotent alone, and the engine asks for no transaction.
    """

    def __init__(self, settings: Settings, stage: StageName, **overrides: Any) -> None:
        """Connect, fence the slot's older process and abort what it left open; blocks.

        Raises:
            BrokerUnavailable: no broker answered within kafka.unavailable_after_ms.
            ConfigError: the transactional id or a topic is not granted.
            Fenced: a newer process of the slot came first.
        """
        self._group = settings.group(stage)
        self._transactional = settings.delivery == "exactly-once"
        options: dict[str, Any] = {}
        if self._transactional:
            options["transactional_id"] = f"{settings.group(stage)}.{settings.slot}"
            options["transaction_timeout_ms"] = settings.kafka.transaction_timeout_ms
        super().__init__(settings, stage, **(options | overrides))
        self._initialise()

    def _initialise(self) -> None:
        if not self._transactional:
            return
        try:
            self._producer.init_transactions()
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(self._settings.kafka, error) from None
        except client_errors.KafkaError as error:
            raise failure("the transactional id was not initialised", error) from error

    def begin(self) -> None:
        """Begin a transaction; asks no broker."""
        try:
            self._producer.begin_transaction()
        except client_errors.KafkaError as error:
            raise failure("no transaction was begun", error) from error

    def send_offsets(self, offsets: Mapping[Partition, int], group: Group) -> None:
        """Put input offsets into the transaction; waits without timeout, as the watchdog knows."""
        wanted = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        }
        member = ConsumerGroupMetadata(
            self._group, group.generation, group.member, group.instance or None
        )
        try:
            self._producer.send_offsets_to_transaction(wanted, member)
        except (client_errors.KafkaError, ValueError) as error:
            raise failure("offsets were not taken into the transaction", error) from error

    def commit(self) -> Ended:
        """Commit; waits without timeout, as the watchdog knows."""
        client: FastNetClient = self._producer._sender._client
        before, began = client.end_requests, time.monotonic()
        try:
            self._producer.commit_transaction()
        except client_errors.KafkaError as error:
            raise failure("the outcome of a commit is unknown", error) from error
        return Ended(time.monotonic() - began, client.end_requests - before)

    def replace(self) -> None:
        """Close the client and begin a new epoch with another one."""
        self._producer.close(timeout=CLOSE_S)
        self._producer = self._connect()
        self._initialise()
