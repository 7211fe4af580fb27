"""Read state partitions: `read_committed`, without a group, large records fast."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as client_errors

from worker.domain.errors import StateMismatch
from worker.settings import MIB, Settings, StageName
from worker.transport.kafka.client import (
    RECEIVE_BUFFER_BYTES,
    connection,
    guard_client,
    unavailable,
)
from worker.transport.kafka.plain_records import MarkedRecords
from worker.transport.protocols import Partition, StatePiece, StateRecord

POLL_RECORDS = 32  # of at most 512 KiB each: what one poll may add to a piece
# Of one partition at a time: smaller ones cost more per record, larger ones are copied through
# memory that no cache holds and that is new each time.
FETCH_BYTES = 4 * MIB
# How long a broker holds a fetch for which there is nothing, and with it whatever is asked next on
# that connection: the ends, when the state is read on later. Nothing here waits for new records.
IDLE_FETCH_MS = 10
# Between two looks at where the client stands: a poll() waits for records, and passes what ends a
# transaction, the last of a state partition, without a word. Must stay below a piece's budget.
LOOK_S = 0.02


class KafkaStateReader:
    """Implement `worker.transport.protocols.StateReader` over one KafkaConsumer."""

    def __init__(self, settings: Settings, stage: StageName) -> None:
        """Connect; blocks until a broker answered.

        Raises:
            BrokerUnavailable: none did within kafka.unavailable_after_ms.
            ConfigError: as `KafkaSource`.
        """
        guard_client()
        options = connection(settings.kafka) | {
            "client_id": f"{settings.group(stage)}.{settings.slot}.state",
            "group_id": None,
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "auto_offset_reset": "none",
            "max_partition_fetch_bytes": FETCH_BYTES,
            "fetch_max_bytes": 2 * FETCH_BYTES,
            "fetch_max_wait_ms": IDLE_FETCH_MS,
            "check_crcs": True,
            "receive_buffer_bytes": RECEIVE_BUFFER_BYTES,
            "metrics_enabled": False,
        }
        try:
            self._consumer = KafkaConsumer(**options)
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(settings.kafka, error) from None
        self._consumer._fetcher.PartitionRecords = MarkedRecords
        self._ask_ms = settings.kafka.request_timeout_ms
        self._assigned: frozenset[Partition] = frozenset()

    def read(
        self, positions: Mapping[Partition, int | None], budget_s: float, budget_bytes: int
    ) -> StatePiece:
        """Read on; see `StateReader.read`. The last stable offsets come first: two round trips.

        The budget counts from their answer on: brokers that take longer for it than a piece lasts
        would otherwise never be asked for a record.
        """
        try:
            ends = self._place(positions)
        except client_errors.KafkaError:
            return StatePiece()
        except KeyError:  # the client leaves a partition out that it finds nowhere
            self._refuse_missing(positions)
            return StatePiece()
        deadline = time.monotonic() + budget_s
        found: dict[Partition, list[StateRecord]] = {partition: [] for partition in positions}
        size = 0
        while not all(self._at(p) >= end for p, end in ends.items()) and size < budget_bytes:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            polled = self._poll(0.0 if size else min(left, LOOK_S))
            if size and not polled:
                break  # the next fetch is on its way, and comes while these are applied
            for tp, records in polled.items():
                found[Partition(*tp)] += [StateRecord(r.offset, r.key, r.value) for r in records]
                size += sum(len(r.value or b"") for r in records)
        reached = {partition: self._at(partition) for partition in positions}
        return StatePiece(
            {partition: tuple(records) for partition, records in found.items()},
            reached,
            frozenset(p for p, end in ends.items() if reached[p] >= end),
        )

    def _place(self, positions: Mapping[Partition, int | None]) -> dict[Partition, int]:
        """Stand at the positions; return the last stable offsets."""
        wanted = frozenset(positions)
        tps = [TopicPartition(*partition) for partition in wanted]
        if wanted != self._assigned:
            self._consumer.assign(tps)
            self._assigned = wanted
        fresh = [TopicPartition(*p) for p, at in positions.items() if at is None]
        first = self._consumer.beginning_offsets(fresh, self._ask_ms) if fresh else {}
        for partition, at in positions.items():
            tp = TopicPartition(*partition)
            start = first[tp] if at is None else at
            if self._at(partition) != start:
                self._consumer.seek(tp, start)
        found = self._consumer.end_offsets(tps, self._ask_ms)
        return {Partition(*tp): end for tp, end in found.items()}

    def _refuse_missing(self, positions: Iterable[Partition]) -> None:
        """Tell a partition that is not there from brokers that do not know it yet."""
        for topic, number in positions:
            there = self._consumer.partitions_for_topic(topic)
            if there and number not in there:
                raise StateMismatch(
                    f"{topic} has no partition {number}, its input has: partitions were added, and "
                    "keys have moved away from their state. Move it with `weir state export` and "
                    "`weir state import`"
                )

    def _poll(self, left_s: float) -> Mapping[Any, list[Any]]:
        try:
            polled: Mapping[Any, list[Any]] = self._consumer.poll(
                timeout_ms=left_s * 1000, max_records=POLL_RECORDS
            )
        except client_errors.OffsetOutOfRangeError as error:
            raise StateMismatch(
                f"a state topic was truncated ({error}): it holds no longer what was committed"
            ) from None
        except (client_errors.KafkaTimeoutError, client_errors.RetriableError):
            return {}
        return polled

    def _at(self, partition: Partition) -> int:
        """Return the local position; -1 before the first seek."""
        state = self._consumer._subscription.assignment.get(TopicPartition(*partition))
        if state is None or state.position is None:
            return -1
        return int(state.position.offset)

    def close(self, timeout_s: float) -> None:
        """Let go of the client."""
        self._consumer.close(autocommit=False, timeout_ms=max(round(timeout_s * 1000), 1))
