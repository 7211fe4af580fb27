"""Read a group's share of some topics from a memory broker.

A rebalance is eager and loses all positions; commits of an older generation are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastpath.records import BatchView
from worker.domain.errors import Fatal, Fenced, RetentionOvertook
from worker.transport.memory.broker import MemoryBroker, StoredRecord
from worker.transport.protocols import (
    CommitInDoubt,
    CommitRefused,
    Group,
    Headers,
    Item,
    OffsetsUnknown,
    Partition,
    Polled,
    Quarantined,
)


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
        self._name = group
        self._group = broker.group(group)
        self.member = f"{instance}#{self._group.generation}"  # unique to this process
        self._topics = tuple(topics)
        self._rebalances = 0
        self._generation = -1
        self._fenced = False
        self._silent = False  # it was polled since
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
    def stable(self) -> bool:
        """Tell whether the assignment is that of the group's generation."""
        return not self._fenced and self._generation == self._group.generation

    def group(self) -> Group:
        """Snapshot the membership; a twin of the instance does not show in it."""
        return Group(
            self._fenced or self.stable,
            self._generation,
            self.member,
            self.instance,
            self._rebalances,
            self._assigned,
        )

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Return what is there; joins the group first if it moved on, and never waits."""
        del timeout_s
        if self._fenced and self._silent:
            raise Fenced(f"another process took over instance {self.instance}")
        if self._fenced:
            self._silent = True  # a heartbeat hears of it, some time later
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
        return Polled(tuple(items), moved, headers, full=max_records <= 0)

    def committed(
        self, partitions: Iterable[Partition], timeout_s: float
    ) -> dict[Partition, int | None]:
        """Return the group's committed offsets, once no open transaction holds one."""
        self._broker.check_offsets(timeout_s)
        wanted = list(partitions)
        if self._broker.unstable(self._name).intersection(wanted):
            raise OffsetsUnknown("an open transaction holds an offset")
        return {partition: self._group.committed.get(partition) for partition in wanted}

    def commit(self, offsets: Mapping[Partition, int], group: Group, timeout_s: float) -> None:
        """Commit under a snapshot."""
        try:
            self._broker.check_member(self._name, group)
        except Fenced:
            raise
        except Fatal as error:
            raise CommitRefused(str(error)) from None
        self._group.committed.update(offsets)
        if self._broker.faults.commit_unanswered:
            raise CommitInDoubt(f"no answer to a commit within {timeout_s} s")

    def beginnings(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the first offsets still kept."""
        self._broker.check_offsets(timeout_s)
        return {partition: self._broker.log(partition).beginning for partition in partitions}

    def ends(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the offsets after the last records."""
        self._broker.check_offsets(timeout_s)
        return self._broker.stable_ends(partitions)

    def at_time(
        self, partitions: Iterable[Partition], time_ms: int, timeout_s: float
    ) -> dict[Partition, int]:
        """Return the first offsets at or after an origin time, else the ends."""
        self._broker.check_offsets(timeout_s)
        found = {}
        for partition in partitions:
            log = self._broker.log(partition)
            later = (record.offset for record in log.committed if record.time >= time_ms)
            found[partition] = next(later, log.stable_end)
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

    def _take(self, partition: Partition, at_most: int) -> list[StoredRecord]:
        log, position = self._broker.log(partition), self._positions[partition]
        if position < log.beginning:
            raise Fatal(
                f"{partition.topic}-{partition.number}: position {position} lies before the "
                f"beginning {log.beginning}; a restart tells why"
            )
        if position > log.end:
            raise RetentionOvertook(
                f"{partition.topic}-{partition.number}: position {position} lies outside "
                f"[{log.beginning}, {log.end}]"
            )
        return [record for record in log.committed if record.offset >= position][:at_most]

    def _after(self, partition: Partition, taken: list[StoredRecord]) -> int:
        log = self._broker.log(partition)
        after = taken[-1].offset + 1 if taken else self._positions[partition]
        # Offsets without a record at the end of the log are crossed as well.
        rest = any(record.offset >= after for record in log.committed)
        return after if rest else max(after, log.stable_end)


def _items(partition: Partition, records: list[StoredRecord]) -> list[Item]:
    items: list[Item] = []
    run: list[StoredRecord] = []
    for record in records:
        if record.unreadable is None:
            run.append(record)
            continue
        items += _views(partition, run)
        run = []
        letters = (record.unreadable,)
        items.append(Quarantined(partition, record.offset, record.offset + 1, letters))
    return items + _views(partition, run)


def _views(partition: Partition, records: list[StoredRecord]) -> list[Item]:
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
