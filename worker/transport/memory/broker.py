"""Hold logs, consumer groups and transactions by the rules of Kafka's old transaction protocol.

Offsets rise within a partition; a transaction's end takes an offset of its own in each partition
it wrote to; `read_committed` readers see nothing at or above the first record of an open
transaction and nothing of an aborted one; offsets of an open transaction are unstable; an offset
commit is checked against member, generation and instance, and not at all where a client shows
none of the three (KIP-447, org.apache.kafka.coordinator.group).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import Fatal, Fenced
from worker.transport.protocols import Group, Headers, OffsetsUnknown, Partition

if TYPE_CHECKING:
    from worker.transport.memory.source import MemorySource

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """Hold one record of a log."""

    offset: int
    key: bytes | None
    value: bytes | None
    time: int = 0
    headers: Headers = ()
    unreadable: DeadLetter | None = None  # a poll hands it out as Quarantined
    transaction: Transaction | None = None


@dataclass(slots=True)
class Log:
    """Hold one partition."""

    records: list[StoredRecord] = field(default_factory=list)
    beginning: int = 0
    end: int = 0

    @property
    def stable_end(self) -> int:
        """Return the last stable offset: below it every transaction has ended."""
        opened = (r.offset for r in self.records if r.transaction and r.transaction.open)
        return next(opened, self.end)

    @property
    def committed(self) -> list[StoredRecord]:
        """Return what a `read_committed` reader sees."""
        end = self.stable_end
        return [
            record
            for record in self.records
            if record.offset < end
            and (record.transaction is None or not record.transaction.aborted)
        ]


@dataclass(slots=True)
class Membership:
    """Hold one consumer group."""

    members: list[MemorySource] = field(default_factory=list)
    generation: int = 0
    committed: dict[Partition, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Transaction:
    """Hold one transaction; `offsets` are by group and become committed with it."""

    open: bool = True
    aborted: bool = False
    partitions: set[Partition] = field(default_factory=set)
    offsets: dict[str, dict[Partition, int]] = field(default_factory=dict)


class Epoch(NamedTuple):
    """Name one incarnation of a transactional id; a newer one fences it."""

    transactional_id: str
    number: int


@dataclass(slots=True)
class Faults:
    """Switch on what brokers do on a bad day; each stays on until switched off."""

    flush_fails: bool = False  # the last record of a flush is not acknowledged
    commit_unanswered: bool = False  # the commit happens, the answer is lost
    offsets_unknown: bool = False  # offset look-ups do not answer
    slow_commit_s: float = 0.0  # what a commit says it took
    end_requests: int = 1  # EndTxn requests that a commit took


class MemoryBroker:
    """Hold topics, consumer groups and transactions; shared by the clients of one test."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.faults = Faults()
        self._topics = dict(topics)
        self._logs = {
            Partition(topic, number): Log()
            for topic, count in topics.items()
            for number in range(count)
        }
        self._groups: dict[str, Membership] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        time: int = 0,
        headers: Headers = (),
        unreadable: DeadLetter | None = None,
        transaction: Transaction | None = None,
    ) -> int:
        """Append a record as a producer would; return its offset."""
        place = Partition(topic, self.place(topic, key, partition))
        log = self.log(place)
        offset = log.end
        stored = StoredRecord(offset, key, value, time, headers, unreadable, transaction)
        log.records.append(stored)
        log.end += 1
        if transaction is not None:
            transaction.partitions.add(place)
        return offset

    def skip_offset(self, partition: Partition) -> None:
        """Take an offset without a record, as a transaction marker or compaction does."""
        self.log(partition).end += 1

    def trim(self, partition: Partition, offset: int) -> None:
        """Delete the records before `offset`, as retention does."""
        log = self.log(partition)
        log.beginning = offset
        log.records = [record for record in log.records if record.offset >= offset]

    def records(self, topic: str) -> list[StoredRecord]:
        """Return what a topic holds for `read_committed`, partition by partition."""
        return [
            record
            for number in range(self.partition_count(topic))
            for record in self.log(Partition(topic, number)).committed
        ]

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has; Fatal where there is no such topic."""
        if topic not in self._topics:
            raise Fatal(f"there is no topic {topic}; topics are never made by themselves")
        return self._topics[topic]

    def place(self, topic: str, key: bytes | None, partition: int | None) -> int:
        """Choose the partition of a record: the one given, the key's, or the first."""
        count = self.partition_count(topic)
        if partition is None:
            return 0 if key is None else (murmur2(key) & 0x7FFFFFFF) % count
        if not 0 <= partition < count:
            raise Fatal(f"{topic} has {count} partitions, there is no {partition}")
        return partition

    def log(self, partition: Partition) -> Log:
        """Return the log of one partition."""
        return self._logs[partition]

    def group(self, name: str) -> Membership:
        """Return a consumer group, made when first asked for."""
        return self._groups.setdefault(name, Membership())

    # Transactions.

    def initialise(self, transactional_id: str) -> Epoch:
        """Begin an epoch: fence the one before and abort what it left open."""
        self.abort(transactional_id)
        number = self._epochs.get(transactional_id, -1) + 1
        self._epochs[transactional_id] = number
        return Epoch(transactional_id, number)

    def begin(self, epoch: Epoch) -> Transaction:
        """Open a transaction."""
        self.check_epoch(epoch)
        self._open[epoch.transactional_id] = transaction = Transaction()
        return transaction

    def check_epoch(self, epoch: Epoch) -> None:
        """Refuse an older incarnation of a transactional id."""
        if self._epochs[epoch.transactional_id] != epoch.number:
            raise Fenced(f"another process took over {epoch.transactional_id}")

    def send_offsets(
        self, epoch: Epoch, group: str, offsets: Mapping[Partition, int], snapshot: Group
    ) -> None:
        """Put offsets into the open transaction, checked as the brokers check them."""
        self.check_epoch(epoch)
        self.check_member(group, snapshot)
        self._open[epoch.transactional_id].offsets.setdefault(group, {}).update(offsets)

    def check_member(self, group: str, snapshot: Group) -> None:
        """Refuse a commit of a member or generation that is over."""
        held = self.group(group)
        if snapshot.generation < 0 and not snapshot.member and not snapshot.instance:
            return  # nobody to check
        known = {member.instance: member.member for member in held.members}
        if known.get(snapshot.instance, snapshot.member) != snapshot.member:
            raise Fenced(f"another process took over instance {snapshot.instance}")
        if snapshot.instance not in known:
            raise Fatal(f"instance {snapshot.instance} is not a member of {group}")
        if snapshot.generation != held.generation:
            raise Fatal(
                f"generation {snapshot.generation} is over, the group is at {held.generation}"
            )

    def commit(self, epoch: Epoch) -> None:
        """End the open transaction: its records become visible, its offsets count."""
        self.check_epoch(epoch)
        transaction = self._open.pop(epoch.transactional_id)
        self._end(transaction)
        for group, offsets in transaction.offsets.items():
            self.group(group).committed.update(offsets)

    def abort(self, transactional_id: str) -> None:
        """End the open transaction, if there is one, for nothing; as a timeout does."""
        transaction = self._open.pop(transactional_id, None)
        if transaction is not None:
            transaction.aborted = True
            self._end(transaction)

    def unstable(self, group: str) -> set[Partition]:
        """Return the partitions whose offset an open transaction holds."""
        return {
            partition
            for transaction in self._open.values()
            for partition in transaction.offsets.get(group, ())
        }

    def check_offsets(self, timeout_s: float) -> None:
        """Answer a look-up, unless that is switched off."""
        if self.faults.offsets_unknown:
            raise OffsetsUnknown(f"no offsets within {timeout_s} s")

    def stable_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the last stable offsets."""
        return {partition: self.log(partition).stable_end for partition in partitions}

    def _end(self, transaction: Transaction) -> None:
        transaction.open = False
        for partition in transaction.partitions:
            self.skip_offset(partition)


def murmur2(key: bytes) -> int:
    """Hash a key as Kafka's default partitioner does; 32 bits, unsigned.

    Source: Austin Appleby's MurmurHash2 with the seed of org.apache.kafka.common.utils.Utils.
    """
    size = len(key)
    state = (0x9747B28C ^ size) & _MASK
    whole = size & ~3
    for at in range(0, whole, 4):
        mixed = int.from_bytes(key[at : at + 4], "little") * 0x5BD1E995 & _MASK
        mixed = (mixed ^ mixed >> 24) * 0x5BD1E995 & _MASK
        state = (state * 0x5BD1E995 & _MASK) ^ mixed
    if whole < size:
        state ^= int.from_bytes(key[whole:], "little")
        state = state * 0x5BD1E995 & _MASK
    state = (state ^ state >> 13) * 0x5BD1E995 & _MASK
    return state ^ state >> 15
