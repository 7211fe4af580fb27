"""Keep topics, groups and offsets in memory: the transport of tests and simulations.

It keeps the rules that the engine relies on and nothing else: offsets rise within a partition,
a rebalance is eager and loses all positions, commits of an older generation are refused, and a
record is written only by `flush`. Faults are switched on by the test that wants them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fastpath.records import BatchView
from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import Fatal, Fenced, RetentionOvertook
from worker.transport.protocols import (
    CommitInDoubt,
    CommitRefused,
    Committed,
    Headers,
    Item,
    OffsetsUnknown,
    Partition,
    Polled,
    Quarantined,
)

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one record of a log."""

    offset: int
    key: bytes | None
    value: bytes | None
    time: int = 0
    headers: Headers = ()
    unreadable: DeadLetter | None = None  # a poll hands it out as Quarantined


@dataclass(slots=True)
class _Log:
    records: list[Record] = field(default_factory=list)
    beginning: int = 0
    end: int = 0


@dataclass(slots=True)
class _Group:
    members: list[MemorySource] = field(default_factory=list)
    generation: int = 0
    committed: dict[Partition, Committed] = field(default_factory=dict)


@dataclass(slots=True)
class Faults:
    """Switch on what brokers do on a bad day; each stays on until switched off."""

    flush_fails: bool = False  # one record of the flush is not acknowledged
    commit_unanswered: bool = False  # the commit happens, the answer is lost
    offsets_unknown: bool = False  # offset look-ups do not answer


class MemoryBroker:
    """Hold topics and consumer groups; shared by the sources and sinks of one test."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.faults = Faults()
        self._topics = dict(topics)
        self._logs = {
            Partition(topic, number): _Log()
            for topic, count in topics.items()
            for number in range(count)
        }
        self._groups: dict[str, _Group] = {}

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
    ) -> int:
        """Append a record as a producer would; return its offset."""
        log = self.log(Partition(topic, self.place(topic, key, partition)))
        offset = log.end
        log.records.append(Record(offset, key, value, time, headers, unreadable))
        log.end += 1
        return offset

    def skip_offset(self, partition: Partition) -> None:
        """Take an offset without a record, as a transaction marker or compaction does."""
        self.log(partition).end += 1

    def trim(self, partition: Partition, offset: int) -> None:
        """Delete the records before `offset`, as retention does."""
        log = self.log(partition)
        log.beginning = offset
        log.records = [record for record in log.records if record.offset >= offset]

    def records(self, topic: str) -> list[Record]:
        """Return what a topic holds, partition by partition."""
        return [
            record
            for number in range(self.partition_count(topic))
            for record in self.log(Partition(topic, number)).records
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

    def log(self, partition: Partition) -> _Log:
        """Return the log of one partition."""
        return self._logs[partition]

    def group(self, name: str) -> _Group:
        """Return a consumer group, made when first asked for."""
        return self._groups.setdefault(name, _Group())


class MemorySource:
    """Read a group's share of some topics; several sources of one group share the partitions.

    Partition p goes to member p mod n in the order of `instance`. A second source with the same
    instance fences the first.
    """

    def __init__(
        self, broker: MemoryBroker, group: str, topics: Iterable[str], instance: str = "0"
    ) -> None:
        self.instance = instance
        self._broker = broker
        self._group = broker.group(group)
        self._topics = tuple(topics)
        self._rebalances = 0
        self._generation = -1
        self._fenced = False
        self._assigned: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        for member in self._group.members:
            if member.instance == instance:
                member._fenced = True
        self._group.members = [m for m in self._group.members if m.instance != instance]
        self._group.members.append(self)
        self._group.generation += 1

    @property
    def rebalances(self) -> int:
        """Return how often the assignment changed."""
        return self._rebalances

    @property
    def stable(self) -> bool:
        """Tell whether the assignment is that of the group's generation."""
        return not self._fenced and self._generation == self._group.generation

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions of the current assignment."""
        return self._assigned

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Return what is there; joins the group first if it moved on, and never waits."""
        del timeout_s
        if self._fenced:
            return Polled()
        if not self.stable:
            self._join()
            return Polled()
        items: list[Item] = []
        moved: dict[Partition, int] = {}
        headers: dict[tuple[Partition, int], Headers] = {}
        for partition in sorted(self._positions.keys() - self._paused):
            if max_records <= 0:
                break
            taken = self._take(partition, max_records)
            max_records -= len(taken)
            for record in taken:
                if record.headers:
                    headers[partition, record.offset] = record.headers
            items += _items(partition, taken)
            if self._positions[partition] != (position := self._after(partition, taken)):
                moved[partition] = self._positions[partition] = position
        return Polled(tuple(items), moved, headers)

    def committed(
        self, partitions: Iterable[Partition], timeout_s: float
    ) -> dict[Partition, Committed | None]:
        """Return the group's committed offsets."""
        self._check_offsets(timeout_s)
        return {partition: self._group.committed.get(partition) for partition in partitions}

    def commit(self, offsets: Mapping[Partition, Committed], timeout_s: float) -> None:
        """Commit under this member's generation."""
        if self._fenced:
            raise Fenced(f"another process took over instance {self.instance}")
        if not self.stable:
            raise CommitRefused(
                f"generation {self._generation} is over, the group is at {self._group.generation}"
            )
        self._group.committed.update(offsets)
        if self._broker.faults.commit_unanswered:
            raise CommitInDoubt(f"no answer to a commit within {timeout_s} s")

    def beginnings(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the first offsets still kept."""
        self._check_offsets(timeout_s)
        return {partition: self._broker.log(partition).beginning for partition in partitions}

    def ends(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the offsets after the last records."""
        self._check_offsets(timeout_s)
        return {partition: self._broker.log(partition).end for partition in partitions}

    def at_time(
        self, partitions: Iterable[Partition], time_ms: int, timeout_s: float
    ) -> dict[Partition, int]:
        """Return the first offsets at or after an origin time, else the ends."""
        self._check_offsets(timeout_s)
        found = {}
        for partition in partitions:
            log = self._broker.log(partition)
            later = (record.offset for record in log.records if record.time >= time_ms)
            found[partition] = next(later, log.end)
        return found

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        return self._broker.partition_count(topic)

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on at `offset`."""
        if partition in self._assigned:
            self._positions[partition] = offset

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop reading."""
        self._paused |= self._assigned & set(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Read again."""
        self._paused -= set(partitions)

    def lag(self, partition: Partition) -> int | None:
        """Return the records not yet polled; None before the first seek."""
        position = self._positions.get(partition)
        return None if position is None else self._broker.log(partition).end - position

    def close(self, timeout_s: float) -> None:
        """Leave quietly: a static member stays in its group until it is evicted."""
        del timeout_s

    def evict(self) -> None:
        """Drop out of the group, as happens when a session times out; a poll joins it again."""
        self._group.members = [member for member in self._group.members if member is not self]
        self._group.generation += 1

    def _join(self) -> None:
        if self not in self._group.members:
            self._group.members.append(self)
            self._group.generation += 1
        members = sorted(self._group.members, key=lambda member: member.instance)
        place = members.index(self)
        self._generation = self._group.generation
        self._assigned = frozenset(
            Partition(topic, number)
            for topic in self._topics
            for number in range(self._broker.partition_count(topic))
            if number % len(members) == place
        )
        self._positions.clear()
        self._paused = set(self._assigned)
        self._rebalances += 1

    def _take(self, partition: Partition, at_most: int) -> list[Record]:
        log, position = self._broker.log(partition), self._positions[partition]
        if not log.beginning <= position <= log.end:
            raise RetentionOvertook(
                f"{partition.topic}-{partition.number}: position {position} lies outside "
                f"[{log.beginning}, {log.end}]"
            )
        return [record for record in log.records if record.offset >= position][:at_most]

    def _after(self, partition: Partition, taken: list[Record]) -> int:
        log = self._broker.log(partition)
        after = taken[-1].offset + 1 if taken else self._positions[partition]
        # Offsets without a record at the end of the log are crossed as well.
        rest = any(record.offset >= after for record in log.records)
        return after if rest else log.end

    def _check_offsets(self, timeout_s: float) -> None:
        if self._broker.faults.offsets_unknown:
            raise OffsetsUnknown(f"no offsets within {timeout_s} s")


def _items(partition: Partition, records: list[Record]) -> list[Item]:
    items: list[Item] = []
    run: list[Record] = []
    for record in records:
        if record.unreadable is None:
            run.append(record)
            continue
        items += _views(partition, run)
        run = []
        letters = (record.unreadable,)
        items.append(Quarantined(partition, record.offset, record.offset + 1, letters))
    return items + _views(partition, run)


def _views(partition: Partition, records: list[Record]) -> list[Item]:
    if not records:
        return []
    return [
        BatchView.from_records(
            partition.topic,
            partition.number,
            [record.key for record in records],
            [record.value for record in records],
            [record.time for record in records],
            [record.offset for record in records],
        )
    ]


class MemorySink:
    """Write to a memory broker; records appear in their logs when they are flushed."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._held: list[tuple[str, int, bytes | None, bytes | None, Headers]] = []

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Hold a record until the flush; Fatal where topic or partition do not exist."""
        placed = self._broker.place(topic, key, partition)
        self._held.append((topic, placed, key, value, headers))

    def flush(self, timeout_s: float) -> int:
        """Append what is held, in order; under `flush_fails` all but the last record."""
        held, self._held = self._held, []
        fails = self._broker.faults.flush_fails and held
        for topic, placed, key, value, headers in held[:-1] if fails else held:
            self._broker.append(topic, key, value, partition=placed, headers=headers)
        if fails:
            raise Fatal(f"1 of {len(held)} records was not acknowledged within {timeout_s} s")
        return len(held)

    def close(self, timeout_s: float) -> None:
        """Give up what was not flushed."""
        del timeout_s
        self._held.clear()


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
