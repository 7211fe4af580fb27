"""Model Kafka's brokers by the rules of the old transaction protocol (KIP-98, KIP-447).

Logs: offsets rise by one; a transaction's end takes an offset of its own in every partition that
it wrote to; compaction and retention leave holes. Coordinator: epochs fence, an EndTxn is judged
by the epoch alone (so a delayed one may end a later transaction, KAFKA-17754), markers follow
the decision one partition at a time, a transaction past its timeout is aborted. Group: members
are static (KIP-345), generations, sessions; an offset commit is checked against member, instance
and generation, and not at all where a client shows none of the three.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import Fatal, Fenced
from worker.transport.protocols import Group as Snapshot
from worker.transport.protocols import Headers, Partition

TRANSACTION_TIMEOUT_S = 15.0
SESSION_S = 10.0
REBALANCE_TIMEOUT_S = 60.0
OPEN, COMMITTING, ABORTING, COMMITTED, ABORTED = range(5)


class Stored(NamedTuple):
    """Hold one record of a log; a hole or a marker is None in its place."""

    key: bytes | None
    value: bytes | None
    time: int = 0
    headers: Headers = ()
    unreadable: DeadLetter | None = None
    transaction: Transaction | None = None


class Timers:
    """Keep what happens later, in order of time and then of asking."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self._asked += 1
        heappush(self._due, (self.now + seconds, self._asked, call))

    @property
    def next(self) -> float:
        return self._due[0][0] if self._due else float("inf")

    def run_due(self) -> None:
        due = self._due
        while due and due[0][0] <= self.now:
            heappop(due)[2]()


class Log:
    """Hold one partition."""

    __slots__ = ("begin", "ever", "open", "partition", "records")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.records: list[Stored | None] = []
        self.ever: list[Stored | None] = []  # the same without compaction, for the checks
        self.begin = 0
        self.open: dict[Transaction, int] = {}  # first offset of each transaction without marker

    def append(self, record: Stored | None) -> int:
        self.records.append(record)
        self.ever.append(record)
        return len(self.records) - 1

    @property
    def end(self) -> int:
        return len(self.records)

    @property
    def stable_end(self) -> int:
        return min(self.open.values()) if self.open else len(self.records)

    def read(self, start: int, most: int, *, committed: bool = True) -> list[tuple[int, Stored]]:
        """Return records from `start` on, read_committed or read_uncommitted."""
        found: list[tuple[int, Stored]] = []
        for offset in range(max(start, self.begin), self.stable_end if committed else self.end):
            record = self.records[offset]
            if record is None or (committed and is_aborted(record)):
                continue
            found.append((offset, record))
            if len(found) == most:
                break
        return found

    def compact(self, draw: random.Random) -> int:
        """Remove what one round of the cleaner removes; return how much.

        Gone are committed records whose key a later committed record repeats below the point up
        to which this round looks (never past the last stable offset), records of aborted
        transactions, and markers, which are holes here from the start. A round goes through the
        segments from the oldest on, and may end with its broker: then those behind stay as they
        are. So what is gone has no older record of its key left.
        """
        point, removed = draw.randint(0, self.stable_end), 0
        reached = draw.choice((draw.randint(0, point), point))
        later: set[bytes | None] = set()
        for offset in range(point - 1, -1, -1):
            record = self.records[offset]
            if record is None:
                continue
            gone = is_aborted(record)
            if not gone:
                gone = record.key in later
                later.add(record.key)
            if gone and offset < reached:
                self.records[offset] = None
                removed += 1
        return removed


class Transaction:
    """Hold one transaction of a transactional id."""

    __slots__ = ("logs", "offsets", "owner", "state", "unmarked")

    def __init__(self, owner: Producer) -> None:
        self.owner = owner
        self.state = OPEN
        self.logs: dict[Log, None] = {}
        self.offsets: dict[Partition, int] = {}
        self.unmarked = 0


def is_aborted(record: Stored) -> bool:
    return record.transaction is not None and record.transaction.state in (ABORTING, ABORTED)


class Producer:
    """Hold what the coordinator knows of a transactional id."""

    __slots__ = ("epoch", "name", "transaction")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = 0
        self.transaction: Transaction | None = None


class Coordinator:
    """Own transactional ids, their epochs and their open transactions."""

    def __init__(self, timers: Timers, draw: random.Random) -> None:
        self._timers = timers
        self._draw = draw
        self._producers: dict[str, Producer] = {}
        self.committed: dict[Partition, int] = {}  # the group's offsets
        self.reached: dict[Partition, int] = {}  # the same, but for who moved them by hand
        self.aborts = 0
        self.commits = 0
        self.slow_markers = 0.0  # chance that a marker takes seconds

    def producer(self, name: str) -> Producer:
        if name not in self._producers:
            self._producers[name] = Producer(name)
        return self._producers[name]

    @property
    def settled(self) -> bool:
        return all(each.transaction is None for each in self._producers.values())

    def initialise(self, name: str) -> int | None:
        """Begin an epoch; None while what the one before left open is being ended."""
        producer = self.producer(name)
        if producer.transaction is not None:
            if producer.transaction.state == OPEN:
                producer.epoch += 1
                self._prepare(producer.transaction, ABORTING)
            return None
        producer.epoch += 1
        return producer.epoch

    def busy(self, producer: Producer, epoch: int) -> bool:
        """Tell whether the transaction before is still being ended (CONCURRENT_TRANSACTIONS)."""
        self.check(producer, epoch)
        return producer.transaction is not None and producer.transaction.state != OPEN

    def check(self, producer: Producer, epoch: int) -> None:
        if producer.epoch != epoch:
            raise Fenced(f"epoch {epoch} of {producer.name} is over, now {producer.epoch}")

    def join(self, producer: Producer, epoch: int) -> Transaction:
        """Return the open transaction, begun with its first partition."""
        self.check(producer, epoch)
        transaction = producer.transaction
        if transaction is None:
            transaction = producer.transaction = Transaction(producer)
            opened = transaction
            self._timers.after(
                TRANSACTION_TIMEOUT_S + self._draw.random(), lambda: self._time_out(opened)
            )
        return transaction

    def end(self, producer: Producer, epoch: int) -> bool:
        """Carry out EndTxn(commit); False while an end is at work."""
        self.check(producer, epoch)
        transaction = producer.transaction
        if transaction is None:
            return True  # a repeated request
        if transaction.state == OPEN:
            self._prepare(transaction, COMMITTING)
            return True
        return False

    def abort(self, producer: Producer) -> None:
        """End the open transaction for nothing, as a client's abort does."""
        if producer.transaction is not None and producer.transaction.state == OPEN:
            self._prepare(producer.transaction, ABORTING)

    def unstable(self) -> set[Partition]:
        """Return the partitions whose offset a transaction without its marker holds."""
        held: set[Partition] = set()
        for producer in self._producers.values():
            if producer.transaction is not None:
                held.update(producer.transaction.offsets)
        return held

    def take(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets."""
        self.committed.update(offsets)
        self.reached.update(offsets)

    def _time_out(self, transaction: Transaction) -> None:
        if transaction.state == OPEN:
            transaction.owner.epoch += 1
            self._prepare(transaction, ABORTING)

    def _prepare(self, transaction: Transaction, state: int) -> None:
        transaction.state = state
        if state == ABORTING:
            self.aborts += 1
        else:
            self.commits += 1
        transaction.unmarked = len(transaction.logs) + 1
        for log in transaction.logs:
            self._timers.after(self._delay(), lambda log=log: self._mark(transaction, log))
        self._timers.after(self._delay(), lambda: self._mark(transaction, None))

    def _delay(self) -> float:
        if self._draw.random() < self.slow_markers:
            return self._draw.uniform(0.5, 12.0)
        return self._draw.uniform(0.0, 0.02)

    def _mark(self, transaction: Transaction, log: Log | None) -> None:
        if log is not None:
            log.open.pop(transaction, None)
            log.append(None)
        elif transaction.state == COMMITTING:
            self.take(transaction.offsets)
        if log is None:
            transaction.offsets = {}
        transaction.unmarked -= 1
        if not transaction.unmarked:
            transaction.state += 2
            transaction.owner.transaction = None


class Member:
    """Hold what the group coordinator knows of a static member."""

    __slots__ = ("assigned", "heard", "identity", "instance", "joined", "ready")

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.identity = ""
        self.assigned: frozenset[Partition] = frozenset()
        self.joined = False
        self.ready = False  # an assignment waits to be fetched
        self.heard = True  # a process sends heartbeats


class Ordered(frozenset[Partition]):
    """Iterate in order, so that a run does not depend on the hash seed of the interpreter."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(sorted(frozenset.__iter__(self)))


class GroupCoordinator:
    """Own one consumer group: eager rebalances, any assignment that gives each partition once."""

    def __init__(
        self, timers: Timers, draw: random.Random, partitions: Iterable[Partition], *, sticky: bool
    ) -> None:
        self._timers = timers
        self._draw = draw
        self._partitions = tuple(partitions)
        self._sticky = sticky
        self.members: dict[str, Member] = {}
        self.generation = 0
        self.joining = False
        self._round = 0
        self._ids = 0
        self.rebalances = 0

    def join(self, instance: str, identity: str) -> Member | None:
        """Take a JoinGroup; None where the member is unknown and must come back as a new one."""
        member = self.members.get(instance)
        if identity:
            if member is None:
                return None
            if member.identity != identity:
                raise Fenced(f"another process took over instance {instance}")
            member.joined = True
        else:
            self._ids += 1
            if member is None:
                member = self.members[instance] = Member(instance)
                member.identity = f"{instance}#{self._ids}"
                self.rebalance()
            else:
                member.identity = f"{instance}#{self._ids}"
                if not self.joining:  # a static member that came back: no rebalance
                    member.ready = True
            member.joined = True
        member.heard = True
        if self.joining:
            self._complete()
        return member

    def add(self, partition: Partition) -> None:
        """Assign a partition too, from the next rebalance on."""
        self._partitions += (partition,)

    def rebalance(self) -> None:
        """Ask every member to join again."""
        if self.joining:
            return
        self.joining = True
        self._round += 1
        for member in self.members.values():
            member.joined = member.ready = False
        this = self._round
        self._timers.after(REBALANCE_TIMEOUT_S, lambda: self._give_up(this))

    def silent(self, member: Member) -> None:
        """Begin to count down the session of a member that sends no heartbeats any more."""
        member.heard = False
        identity = member.identity
        self._timers.after(SESSION_S, lambda: self._expire(member, identity))

    def check(self, snapshot: Snapshot) -> None:
        """Judge an offset commit as the group coordinator does; the hole included."""
        if snapshot.generation < 0 and not snapshot.member and not snapshot.instance:
            return
        member = self.members.get(snapshot.instance)
        if member is None:
            raise Fatal(f"unknown member {snapshot.member!r}")
        if member.identity != snapshot.member:
            raise Fenced(f"another process took over instance {snapshot.instance}")
        if snapshot.generation != self.generation:
            raise Fatal(f"generation {snapshot.generation} is over, now {self.generation}")

    def _expire(self, member: Member, identity: str) -> None:
        held = self.members.get(member.instance)
        if held is member and member.identity == identity and not member.heard:
            del self.members[member.instance]
            if self.joining:
                self._complete()
            else:
                self.rebalance()

    def _give_up(self, this: int) -> None:
        if self.joining and self._round == this:
            late = [name for name, member in self.members.items() if not member.joined]
            for name in late:
                del self.members[name]
            self._complete()

    def _complete(self) -> None:
        if not self.members or not all(each.joined for each in self.members.values()):
            return
        self.joining = False
        self.generation += 1
        self.rebalances += 1
        for name, partitions in self._assign().items():
            member = self.members[name]
            member.assigned = Ordered(partitions)
            member.ready = True

    def _assign(self) -> dict[str, list[Partition]]:
        names = sorted(self.members)
        owner = {p: name for name in names for p in self.members[name].assigned}
        shares: dict[str, list[Partition]] = {name: [] for name in names}
        for partition in self._partitions:
            name = owner.get(partition, "")
            if name not in shares or not self._sticky or self._draw.random() < 0.2:
                name = self._draw.choice(names)
            shares[name].append(partition)
        return shares


class Brokers:
    """Hold everything that outlives a process."""

    def __init__(
        self,
        draw: random.Random,
        topics: dict[str, int],
        inputs: tuple[str, ...],
        *,
        sticky: bool,
    ) -> None:
        self.timers = Timers()
        self.counts = topics
        self.logs = {
            (topic, number): Log(Partition(topic, number))
            for topic, count in topics.items()
            for number in range(count)
        }
        self.inputs = [Partition(topic, n) for topic in inputs for n in range(topics[topic])]
        self.coordinator = Coordinator(self.timers, draw)
        self.group = GroupCoordinator(self.timers, draw, self.inputs, sticky=sticky)

    def add_partition(self, topic: str) -> Partition:
        """Give a topic one partition more, as an operator can; an input's is assigned from now."""
        added = Partition(topic, self.counts[topic])
        self.counts[topic] += 1
        self.logs[added] = Log(added)
        if any(topic == each.topic for each in self.inputs):
            self.inputs.append(added)
            self.group.add(added)
        return added

    def log_for(self, topic: str, key: bytes | None, partition: int | None) -> Log:
        if partition is None:
            partition = zlib.crc32(key or b"") % self.counts[topic]
        return self.logs[topic, partition]

    @property
    def finished(self) -> bool:
        """Tell whether every input partition was read to its end, for good."""
        committed = self.coordinator.committed
        return self.coordinator.settled and all(
            committed.get(p, 0) >= self.logs[p].end for p in self.inputs
        )
