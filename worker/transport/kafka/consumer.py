"""Read a group's partitions through kafka-python, as views of whole fetched buffers.

The client keeps its own I/O thread: heartbeats, fetches and the rebalance listener run there.
The listener only counts, pauses and sets placeholder positions; everything else happens on the
thread that owns the engine. Records come as batch views (`batch_records`), or, where the client
has another shape or `kafka.fast_path` is off, through its own objects (`plain_records`). A record
that makes either raise is fetched once more and then rescued (`quarantine`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as client_errors
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.base import MemberState

from fastpath.records import BatchView
from worker.domain.errors import ConfigError, Fatal, Fenced, RetentionOvertook, WeirError
from worker.settings import Settings, StageName
from worker.transport.kafka import quarantine
from worker.transport.kafka.batch_records import BatchRecords, RecordHeaders
from worker.transport.kafka.client import consumer_options, guard_client, unavailable
from worker.transport.kafka.fast_path import fast_path_off
from worker.transport.kafka.plain_records import KeptRecords, view_of
from worker.transport.protocols import (
    CommitInDoubt,
    CommitRefused,
    Group,
    Headers,
    OffsetsUnknown,
    Partition,
    Polled,
)

T = TypeVar("T")

# A fetch is answered with the first record that comes, and its answer lies in the client until the
# next poll: what came since is on the broker, one request away. A poll that brings fewer records
# than FEW waits for them so long, seconds; that is twenty round trips of a machine room, and must
# stay well below kafka.transaction_interval_ms, since a stream without more waits in vain.
FEW = 1_000
LATER_S = 0.01

# Of one poll without batch views, where each record is an object; the client's 500 starve the loop.
PLAIN_RECORDS = 10_000

# The broker validates member, generation and instance of a commit; these say "not you, not now".
_REFUSED = (client_errors.CommitFailedError, client_errors.RebalanceInProgressError)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """Count and pause; runs on the client's I/O thread, where nothing may block."""

    def __init__(self, failpoint: Callable[[str], None]) -> None:
        self.rebalances = 0  # raised first,
        self.settled = 0  # and this one last: they differ while the listener is at work
        self.consumer: KafkaConsumer | None = None
        self._failpoint = failpoint

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Keep the new partitions still until the engine knows where they go on."""
        self.rebalances += 1
        self._failpoint("in_assign")
        if self.consumer is not None:
            self.consumer.pause(*assigned)
            for partition in assigned:
                # A placeholder: without a position each poll() would first ask for committed
                # offsets, for its whole timeout, and then raise.
                self.consumer.seek(partition, 0)
        self.settled = self.rebalances

    def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        """Mark what was polled before as stale, and hold the client to its join.

        A leader that rejoins because metadata changed forgets why while it assigns; a poll() that
        ends before the assignment is back would leave it half joined, without heartbeats, for
        ever (docs/kafka-client.md).
        """
        self.rebalances += 1
        self._failpoint("in_revoke")
        if self.consumer is not None:
            self.consumer._coordinator.request_rejoin()
        self.settled = self.rebalances

    def on_partitions_lost(self, _lost: Iterable[TopicPartition]) -> None:
        """Mark what was polled before as stale."""
        self.rebalances += 1
        self.settled = self.rebalances


class Fencing:
    """Tell from the client's heartbeats that a twin of the slot fenced this member.

    The client logs it, sends no heartbeat from then on and stays a stable member for itself. One
    that has nothing to write would stay for ever, and were the twin gone, nobody would work for
    the slot. Heartbeats are off while the client joins again, too, and come on a moment after the
    member is stable: so it must not be joining, and one look is too few.
    """

    def __init__(self) -> None:
        self._silent = -1  # generation that the last look found without heartbeats

    def heard(self, consumer: KafkaConsumer) -> bool:
        """Look, after a poll; never blocks."""
        coordinator, member = consumer._coordinator, consumer.group_metadata()
        still = member.state is MemberState.STABLE and not coordinator.rejoining
        silent = member.generation_id if still and not coordinator._heartbeat_enabled else -1
        again = silent != -1 and silent == self._silent
        self._silent = silent
        return again


class KafkaSource:
    """Implement `worker.transport.protocols.Source` over one KafkaConsumer."""

    def __init__(
        self,
        settings: Settings,
        stage: StageName,
        topics: Iterable[str],
        failpoint: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """Connect and subscribe; blocks until a broker answered.

        Raises:
            BrokerUnavailable: none did within kafka.unavailable_after_ms.
            ConfigError: the client is another version than the tested ones, or a file of TLS or
                SASL cannot be used.
        """
        guard_client()
        self._settings = settings
        self._listener = _Listener(failpoint)
        try:
            self._consumer = KafkaConsumer(**consumer_options(settings, stage))
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(settings.kafka, error) from None
        self._fetcher = self._consumer._fetcher
        self.fast_path_off = fast_path_off(settings.kafka)
        self._views = self.fast_path_off["consumer"] is None
        self._fetcher.PartitionRecords = BatchRecords if self._views else KeptRecords
        self._listener.consumer = self._consumer
        wanted = sorted(topics)
        for topic in wanted:
            # Joining without metadata ends in an empty assignment and a second rebalance.
            self._consumer.partitions_for_topic(topic)
        self._suspects: dict[Partition, int] = {}  # offset at which the client raised once
        self._fencing = Fencing()
        self._consumer.subscribe(topics=wanted, listener=self._listener)
        # It would note the partitions it knows of only when metadata comes next: behind a join
        # that was quicker, that is a change of them to the client, and a second rebalance.
        coordinator = self._consumer._coordinator
        coordinator._metadata_snapshot = coordinator._build_metadata_snapshot(
            self._consumer._subscription, self._consumer._cluster
        )

    def group(self) -> Group:
        """Snapshot the membership; unstable while the listener is at work on the I/O thread."""
        begun = self._listener.rebalances
        member = self._consumer.group_metadata()
        assigned = frozenset(Partition(*tp) for tp in self._consumer.assignment())
        settled = begun == self._listener.rebalances == self._listener.settled
        return Group(
            settled and member.state is MemberState.STABLE,
            member.generation_id,
            member.member_id or "",
            member.group_instance_id or "",
            begun,
            assigned,
        )

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Wait for records; see `Source.poll`."""
        fetched_before = bool(self._fetcher._completed_fetches)
        polled = self._poll(timeout_s, max_records)
        found = sum(len(item) for item in polled.items if isinstance(item, BatchView))
        if fetched_before and 0 < found < min(FEW, max_records):
            return self._joined(polled, self._poll(LATER_S, max_records - found))
        return polled

    def _joined(self, polled: Polled, later: Polled) -> Polled:
        items = (*polled.items, *later.items)
        return Polled(
            items,
            {**polled.positions, **later.positions},
            RecordHeaders(item for item in items if isinstance(item, BatchView))
            if self._views
            else {**polled.headers, **later.headers},
            full=polled.full or later.full,
        )

    def _poll(self, timeout_s: float, max_records: int) -> Polled:
        before = self._listener.rebalances
        if not self._views:
            max_records = min(max_records, PLAIN_RECORDS)
        try:
            polled = self._consumer.poll(
                timeout_ms=max(round(timeout_s * 1000), 0), max_records=max_records
            )
        except client_errors.OffsetOutOfRangeError as error:
            if self._listener.rebalances != before:
                return Polled()  # a placeholder of an assignment not planned yet
            raise self._outside(error) from None
        except client_errors.TopicAuthorizationFailedError as error:
            raise ConfigError(f"not allowed to read {error}: grant READ and DESCRIBE") from None
        except client_errors.FencedInstanceIdError as error:
            raise Fenced(self._fenced()) from error
        except (client_errors.KafkaTimeoutError, client_errors.RetriableError):
            return Polled()
        except Exception as error:  # noqa: BLE001  # a record made the client raise
            return self._after_failure(error)
        if self._fencing.heard(self._consumer):
            raise Fenced(self._fenced())
        return self._gather(polled, max_records)

    def _outside(self, error: client_errors.OffsetOutOfRangeError) -> WeirError:
        """Judge positions outside their logs: those before the beginning a restart settles.

        A process that was stopped for long stands there too, when others read on in its place
        and retention followed them; its restart compares the committed offset and knows.
        """
        (tp, at), *_ = error.args[0].items()
        where = f"{tp.topic}-{tp.partition}: offset {at} lies outside the log"
        partition = Partition(*tp)
        try:
            first = self.beginnings([partition], self._settings.kafka.request_timeout_ms / 1000)
        except OffsetsUnknown:
            return Fatal(f"{where}; a restart tells why")
        if at < first[partition]:
            return Fatal(f"{where}, which begins at {first[partition]}; a restart tells why")
        return RetentionOvertook(f"{where}: the topic was truncated or made anew")

    def _gather(self, polled: Mapping[Any, list[Any]], max_records: int) -> Polled:
        views: list[BatchView] = []
        headers: dict[tuple[Partition, int], Headers] = {}
        for (topic, number), found in polled.items():
            partition = Partition(topic, number)
            self._suspects.pop(partition, None)
            if self._views:
                views += found
                continue
            views.append(view_of(partition, found))
            for record in found:
                if record.headers:
                    headers[partition, record.offset] = tuple(record.headers)
        return Polled(
            tuple(views),
            self._positions(),
            RecordHeaders(views) if self._views else headers,
            full=sum(map(len, views)) >= max_records,
        )

    def _positions(self) -> dict[Partition, int]:
        """Read the local positions of all assigned partitions; asks no broker."""
        found = {}
        for tp, state in list(self._consumer._subscription.assignment.items()):
            if state.position is not None and not state.paused:
                found[Partition(*tp)] = state.position.offset
        return found

    def _after_failure(self, error: Exception) -> Polled:
        """Fetch a failing batch once more; when it fails again save it and read on behind it."""
        part = self._fetcher._next_partition_records
        if not part:
            raise Fatal(f"the client failed without a record to blame: {error!r}") from error
        tp = part.topic_partition
        partition = Partition(*tp)
        state = self._consumer._subscription.assignment.get(tp)
        part.drain()  # a seek to the same offset would meet the broken object again
        self._fetcher._next_partition_records = None
        if state is None or state.position is None:
            return Polled()
        at = state.position.offset
        if self._suspects.get(partition) != at:
            self._suspects[partition] = at  # a transfer error goes away
            self.seek(partition, at)
            return Polled()
        del self._suspects[partition]
        rescued = quarantine.rescue(partition, part.buffer, at, state.highwater, part.aborted)
        if rescued is None:
            raise Fatal(
                f"{partition.topic}-{partition.number} at offset {at}: the client fails "
                f"({type(error).__name__}) and no record batch stands there"
            ) from error
        self.seek(partition, rescued.next)
        views = [item for item in rescued.items if isinstance(item, BatchView)]
        return Polled(rescued.items, {partition: rescued.next}, RecordHeaders(views))

    def committed(
        self, partitions: Iterable[Partition], timeout_s: float
    ) -> dict[Partition, int | None]:
        """Read stable committed offsets, in one request; see `Source.committed`."""
        wanted = list(partitions)
        tps = [TopicPartition(*partition) for partition in wanted]
        # The public method takes one partition; this is what it calls.
        ask = self._consumer._coordinator.fetch_committed_offsets
        found = self._ask(lambda: ask(tps, timeout_ms=timeout_s * 1000))
        held = {Partition(*tp): int(offset.offset) for tp, offset in found.items()}
        return {partition: held.get(partition) for partition in wanted}

    def commit(self, offsets: Mapping[Partition, int], group: Group, timeout_s: float) -> None:
        """Commit under a snapshot that still holds; see `Source.commit`."""
        if self.group() != group:
            raise CommitRefused("the group has moved on since the poll")
        wanted = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        }
        try:
            self._consumer.commit(wanted, timeout_ms=timeout_s * 1000)
        except _REFUSED as error:
            raise CommitRefused(str(error)) from None
        except client_errors.FencedInstanceIdError as error:
            raise Fenced(self._fenced()) from error
        except client_errors.TopicAuthorizationFailedError as error:
            raise ConfigError(f"not allowed to commit for {error}: grant READ") from None
        except client_errors.KafkaError as error:
            raise CommitInDoubt(
                f"no answer to an offset commit within {timeout_s:.1f} s ({error!r})"
            ) from error

    def _fenced(self) -> str:
        return (
            f"another process runs as slot {self._settings.slot}: slots must be unique in their "
            "group (setting slot, default the host name)"
        )

    def beginnings(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the first offset still kept."""
        tps = [TopicPartition(*partition) for partition in partitions]
        found = self._ask(lambda: self._consumer.beginning_offsets(tps, timeout_s * 1000))
        return {Partition(*tp): offset for tp, offset in found.items()}

    def ends(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the offset after the last record."""
        tps = [TopicPartition(*partition) for partition in partitions]
        found = self._ask(lambda: self._consumer.end_offsets(tps, timeout_s * 1000))
        return {Partition(*tp): offset for tp, offset in found.items()}

    def at_time(
        self, partitions: Iterable[Partition], time_ms: int, timeout_s: float
    ) -> dict[Partition, int]:
        """Return the first offset at or after an origin time, else the end."""
        wanted = list(partitions)
        times = {TopicPartition(*partition): time_ms for partition in wanted}
        found = self._ask(lambda: self._consumer.offsets_for_times(times, timeout_s * 1000))
        known = {Partition(*tp): held.offset for tp, held in found.items() if held is not None}
        later = [partition for partition in wanted if partition not in known]
        return known | (self.ends(later, timeout_s) if later else {})

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except client_errors.KafkaError as error:
            raise OffsetsUnknown(f"{type(error).__name__}: {error}") from None

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        return len(self._consumer.partitions_for_topic(topic))

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on at `offset`."""
        with contextlib.suppress(ValueError):  # no longer assigned
            self._consumer.seek(TopicPartition(*partition), offset)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop fetching."""
        for partition in partitions:
            with contextlib.suppress(ValueError, KeyError):  # no longer assigned
                self._consumer.pause(TopicPartition(*partition))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch again."""
        for partition in partitions:
            with contextlib.suppress(ValueError, KeyError):  # no longer assigned
                self._consumer.resume(TopicPartition(*partition))

    def lag(self, partition: Partition) -> int | None:
        """Return high watermark minus position, as of the last fetch."""
        state = self._consumer._subscription.assignment.get(TopicPartition(*partition))
        if state is None or state.highwater is None or state.position is None:
            return None
        return max(int(state.highwater) - int(state.position.offset), 0)

    def close(self, timeout_s: float) -> None:
        """Let go of the client; a static member stays in its group until its session ends."""
        self._consumer.close(autocommit=False, timeout_ms=max(round(timeout_s * 1000), 1))
