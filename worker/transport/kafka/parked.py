"""Look at the group and the topics of a stage that does not run: for `weir state`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka import errors as client_errors

from worker.domain.errors import ConfigError, Fatal
from worker.settings import Settings, StageName
from worker.transport.kafka.client import connection, guard_client, unavailable
from worker.transport.kafka.transactions import StageProducer
from worker.transport.protocols import Group, Partition

CLOSE_S = 5.0
FLUSH_S = 12.0  # = delivery_timeout_ms: later no record can be acknowledged
# Nobody's membership: brokers take offsets of a group without members under it, and no others.
NOBODY = Group(stable=False, generation=-1, member="", instance="", rebalances=0)


class ParkedStage:
    """Read offsets of a stage's group and commit others; one thread, every call blocks."""

    def __init__(self, settings: Settings, stage: StageName) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker answered within kafka.unavailable_after_ms.
            ConfigError: as `KafkaSource`.
        """
        guard_client()
        self._settings = settings
        self._stage = stage
        self._group = settings.group(stage)
        self._ask_ms = settings.kafka.request_timeout_ms
        options = connection(settings.kafka)
        try:
            self._consumer = KafkaConsumer(
                **options,
                group_id=self._group,
                isolation_level="read_committed",
                enable_auto_commit=False,
                allow_auto_create_topics=False,
                auto_offset_reset="none",
            )
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(settings.kafka, error) from None
        self._producer: StageProducer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._consumer.close(autocommit=False)
        if self._producer is not None:
            self._producer.close(CLOSE_S)

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has; ConfigError where there is none."""
        found = self._consumer.partitions_for_topic(topic)
        if not found:
            raise ConfigError(f"there is no topic {topic}: weir topics create")
        return len(found)

    def committed(self, topic: str, count: int) -> list[int | None]:
        """Return the stable committed offset of each partition; None: never committed.

        Raises:
            Fatal: the brokers did not say in time: an open transaction may hold one.
        """
        tps = [TopicPartition(topic, number) for number in range(count)]
        try:
            return [self._consumer.committed(tp, timeout_ms=self._ask_ms) for tp in tps]
        except client_errors.KafkaError as error:
            raise Fatal(f"the offsets of {self._group} are not known: {error!r}") from error

    def beginnings(self, topic: str, count: int) -> list[int]:
        """Return the first offset that each partition still holds."""
        tps = [TopicPartition(topic, number) for number in range(count)]
        found = self._consumer.beginning_offsets(tps, self._ask_ms)
        return [int(found[tp]) for tp in tps]

    def ends(self, topic: str, count: int) -> list[int]:
        """Return the offset after the last committed record of each partition."""
        tps = [TopicPartition(topic, number) for number in range(count)]
        found = self._consumer.end_offsets(tps, self._ask_ms)
        return [int(found[tp]) for tp in tps]

    def members(self) -> list[str]:
        """Name the processes that the group has now; a static one stays for its session."""
        admin = KafkaAdminClient(**connection(self._settings.kafka))
        try:
            described: Any = admin.describe_groups([self._group])[self._group]
        finally:
            admin.close()
        return [str(member["client_id"]) for member in described["members"]]

    def write(
        self,
        topic: str,
        partition: int,
        records: Iterable[tuple[bytes, bytes]],
        offsets: Sequence[tuple[Partition, int]] = (),
    ) -> None:
        """Write records of one partition, and offsets of the group, in one transaction.

        Raises:
            Fatal: it was not committed, or not known to be; what was written so far stays.
        """
        if self._producer is None:
            self._producer = StageProducer(self._settings, self._stage)
        self._producer.begin()
        for key, value in records:
            self._producer.send(topic, key, value, partition=partition)
        self._producer.flush(FLUSH_S)
        if offsets:
            self._producer.send_offsets(dict(offsets), NOBODY)
        self._producer.commit()
