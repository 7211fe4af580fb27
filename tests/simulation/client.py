"""Model what one process holds of its Kafka client: the group member and the producer.

It is as unkind as kafka-python 3 may be (docs/kafka-client.md): the I/O thread may learn of an
eviction or finish a join at any moment, so membership read later than at the poll is another one;
a record may fail without any trace but its future; an EndTxn may be repeated and arrive late.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from fastpath.records import BatchView
from tests.simulation.brokers import OPEN, Log, Ordered, Stored
from worker.domain.errors import Fatal, Fenced
from worker.engine.commands import Batch, Record
from worker.transport.protocols import (
    Ended,
    Flushed,
    Group,
    Item,
    Partition,
    Polled,
    Quarantined,
)

if TYPE_CHECKING:
    from tests.simulation.world import World

Waits: TypeAlias = Iterator[float]  # seconds until the process wants to go on
TRY_AGAIN_S = 0.02


class Consumer:
    """Be one member of the group; positions and pauses are this process's own."""

    def __init__(self, world: World, instance: str) -> None:
        self._world = world
        self._group = world.brokers.group
        self.instance = instance
        self.identity = ""
        self.generation = -1
        self.state = "new"  # joining, stable
        self.fenced = False
        self._silent = False  # it was at the last poll
        self.rebalances = 0
        self.assigned: frozenset[Partition] = Ordered()
        self.positions: dict[Partition, int] = {}
        self.paused: set[Partition] = set()

    def group(self) -> Group:
        """Return what the client says of its membership at this moment."""
        return Group(
            self.state == "stable",
            self.generation,
            self.identity,
            self.instance,
            self.rebalances if self._world.guards.counts_rebalances else min(self.rebalances, 1),
            self.assigned,
        )

    def heartbeat(self, *, polling: bool = False) -> None:
        """Let the I/O thread do its work, at any moment: learn of an end, join, hear of a join."""
        if self.fenced or not self.identity:
            return
        member = self._group.members.get(self.instance)
        if member is None:
            self.identity, self.generation, self.state = "", -1, "lost"
        elif member.identity != self.identity:
            self.fenced = True  # it is logged, and nothing else happens
        else:
            if self._group.joining and not member.joined and (polling or self._world.exactly_once):
                self._group.join(self.instance, self.identity)
                if self.state == "stable":
                    self.state = "revoking"
            if member.ready:
                self.generation = self._group.generation

    def poll(self) -> Batch:
        """Run the callbacks that wait, then hand out what is there."""
        self._join()
        if self.fenced and self._silent:
            raise Fenced(f"another process took over instance {self.instance}")
        self._silent = self.fenced  # one poll more: a stable member without heartbeats
        polled = self._fetch()
        group = self.group()
        lags = {
            p: max(self._world.brokers.logs[p].end - at, 0)
            for p, at in self.positions.items()
            if p in group.assigned
        }
        return Batch(polled, group, lags)

    def _join(self) -> None:
        self.heartbeat(polling=True)
        if self.fenced and self.state != "stable":
            raise Fenced(f"another process took over instance {self.instance}")  # of its join
        if self.fenced:
            return
        if self.state in ("lost", "new"):
            if self.state == "lost":
                self.rebalances += 1
            member = self._group.join(self.instance, "")
            assert member is not None
            self.identity, self.state = member.identity, "joining"
        elif self.state == "revoking":
            self.rebalances += 1
            self.state = "joining"
        member = self._group.members[self.instance]
        if self.state == "joining" and member.ready:
            member.ready = False
            self.generation = self._group.generation
            self.rebalances += 1
            self.assigned = member.assigned
            self.positions = {}
            self.paused = set(member.assigned)
            self.state = "stable"
        elif self.state == "stable" and member.ready:
            raise AssertionError("an assignment that no join asked for")

    def _fetch(self) -> Polled:
        items: list[Item] = []
        logs, draw, full = self._world.brokers.logs, self._world.draw, False
        for partition in sorted(self.positions.keys() - self.paused):
            log, at = logs[partition], self.positions[partition]
            if at < log.begin:
                raise Fatal(f"{partition} at {at} lies before {log.begin}")
            most = draw.choice(self._world.batch_sizes)
            found = log.read(at, most)
            if found:
                items += _items(partition, found)
                self.positions[partition] = found[-1][0] + 1
                if len(found) == most:
                    full = True
                    continue
            self.positions[partition] = max(self.positions[partition], log.stable_end)
        moved = {p: at for p, at in self.positions.items() if p not in self.paused}
        return Polled(tuple(items), moved, full=full)


def _items(partition: Partition, found: list[tuple[int, Stored]]) -> list[Item]:
    items: list[Item] = []
    run: list[tuple[int, Stored]] = []
    for offset, record in found:
        if record.unreadable is None:
            run.append((offset, record))
            continue
        if run:
            items.append(_view(partition, run))
            run = []
        items.append(Quarantined(partition, offset, offset + 1, (record.unreadable,)))
    if run:
        items.append(_view(partition, run))
    return items


def _view(partition: Partition, run: list[tuple[int, Stored]]) -> BatchView:
    return BatchView.from_records(
        partition.topic,
        partition.number,
        [record.key for _, record in run],
        [record.value for _, record in run],
        [record.time for _, record in run],
        [offset for offset, _ in run],
    )


class TransactionalClient:
    """Be one producer: transactional, or idempotent alone."""

    def __init__(self, world: World, name: str, *, transactional: bool) -> None:
        self._world = world
        self._coordinator = world.brokers.coordinator
        self.producer = self._coordinator.producer(name)
        self.transactional = transactional
        self.epoch = 0
        self._added: set[Log] = set()
        self._gaps: set[Log] = set()  # a record is missing: the leader takes no later sequence
        self._queue: list[Record] = []
        self._last: dict[Partition, int] = {}
        self._acknowledged = self._failed = 0
        self._reason = ""
        self.leaked: dict[Partition, int] = {}  # offsets of an aborted transaction (F3)

    def initialise(self) -> Waits:
        if not self.transactional:
            return
        while (epoch := self._coordinator.initialise(self.producer.name)) is None:
            yield TRY_AGAIN_S
        self.epoch = epoch
        self._added.clear()

    def send(self, records: tuple[Record, ...]) -> Waits:
        """Queue, and write a part of it already, as the sender thread does."""
        self._queue += records
        if self._world.chance(0.3):
            for _ in range(self._world.draw.randint(0, len(records))):
                yield 0.0
                yield from self._write(self._queue.pop(0))

    def flush(self) -> Waits:
        """Write what is queued; the future of each record says what became of it."""
        while self._queue:
            record = self._queue.pop(0)
            if self._world.chance(0.004):
                self._world.seen["lost produce"] += 1
                self._fail("no answer within delivery_timeout_ms")
                if self._world.draw.random() < 0.5:
                    self._gaps.add(self._log(record))
                    continue
                yield from self._write(record)  # written, the answer was lost
                self._acknowledged -= 1
                continue
            if self._world.chance(0.05):
                yield 0.0
            yield from self._write(record)

    def settle(self) -> Flushed:
        flushed = Flushed(self._acknowledged, self._failed, self._reason, self._last)
        self._acknowledged, self._failed, self._reason, self._last = 0, 0, "", {}
        return flushed

    def _log(self, record: Record) -> Log:
        return self._world.brokers.log_for(record.topic, record.key, record.partition)

    def _fail(self, reason: str) -> None:
        self._failed += 1
        self._reason = self._reason or reason

    def _write(self, record: Record) -> Waits:
        log = self._log(record)
        if log in self._gaps:
            self._fail("out of order sequence")
            return
        if not self.transactional:
            offset = log.append(Stored(record.key, record.value, 0, record.headers))
            self._last[log.partition] = offset
            self._acknowledged += 1
            return
        try:
            if log not in self._added:
                while self._coordinator.busy(self.producer, self.epoch):
                    yield TRY_AGAIN_S
                self._coordinator.join(self.producer, self.epoch).logs[log] = None
                self._added.add(log)
            self._last[log.partition] = self._append(log, record)
            self._acknowledged += 1
        except Fatal as error:
            self._fail(str(error))

    def _append(self, log: Log, record: Record) -> int:
        """Write as the leader does: only into an open transaction that holds the partition."""
        self._coordinator.check(self.producer, self.epoch)
        transaction = self.producer.transaction
        if transaction is None or transaction.state != OPEN or log not in transaction.logs:
            raise Fatal("the transaction is over (INVALID_TXN_STATE)")
        offset = log.append(Stored(record.key, record.value, 0, record.headers, None, transaction))
        log.open.setdefault(transaction, offset)
        return offset

    def send_offsets(self, offsets: dict[Partition, int], group: Group) -> Waits:
        while self._coordinator.busy(self.producer, self.epoch):
            yield TRY_AGAIN_S
        self._coordinator.join(self.producer, self.epoch)
        if self._world.chance(0.1):
            yield 0.0
            self._coordinator.check(self.producer, self.epoch)
        self._world.brokers.group.check(group)
        self._coordinator.join(self.producer, self.epoch).offsets.update(self.leaked | offsets)
        self.leaked = {}

    def commit(self) -> Waits:
        world, seen = self._world, self._world.seen
        self._added.clear()
        if self._queue:  # never with the engine as it is: F1 and F2 wait here
            yield from self._commit_in_flight()
            return
        lost, seconds, requests = world.chance(0.02), 0.003, 1
        if not lost and world.chance(0.05):
            seen["delayed EndTxn"] += 1
            requests = 2
            self._deliver_late()
        elif world.chance(0.03):
            seconds = 3.0
            yield 3.0
        if lost:
            seen["lost commit"] += 1
            fate = world.draw.random()
            if fate < 0.3:
                self._deliver_late()
            if fate < 0.6:
                raise Fatal("no answer to a commit")
        while not self._coordinator.end(self.producer, self.epoch):
            yield TRY_AGAIN_S
        if lost:
            raise Fatal("no answer to a commit")
        self.ended = Ended(seconds, requests)

    def _commit_in_flight(self) -> Waits:
        self.ended = Ended(0.003, 1)
        if self._world.chance(0.3):
            self._queue.clear()
            self._coordinator.abort(self.producer)  # and the client reports success (F2)
            return
        yield from self.flush()
        self.settle()
        while not self._coordinator.end(self.producer, self.epoch):
            yield TRY_AGAIN_S

    def _deliver_late(self) -> None:
        coordinator, producer, epoch = self._coordinator, self.producer, self.epoch
        ended, seen = producer.transaction, self._world.seen

        def deliver() -> None:
            held = producer.transaction
            open_ = held is not None and held.state == OPEN
            try:
                coordinator.end(producer, epoch)
            except Fenced:
                seen["EndTxn fenced"] += 1
                return
            if open_ and held is not ended:
                seen["EndTxn hit"] += 1  # a later transaction

        slow = self._world.draw.choice((0.05, 0.3, 2.0, 20.0))
        self._world.brokers.timers.after(self._world.draw.uniform(0.0, slow), deliver)

    def reuse(self) -> None:
        """Abort, and go on with this client: what it keeps goes into the next transaction (F3)."""
        held = self.producer.transaction
        if held is not None and held.state == OPEN and self.producer.epoch == self.epoch:
            self.leaked |= held.offsets
            self._coordinator.abort(self.producer)
        self._queue.clear()
        self._added.clear()
        self._gaps.clear()
        self.settle()

    def die(self) -> None:
        """Let what was on its way arrive late, or never."""
        left, self._queue = self._queue, []
        if not left or self._world.draw.random() < 0.6:
            return

        def deliver() -> None:
            for record in left:
                try:
                    if self.transactional:
                        self._append(self._log(record), record)
                except Fatal:
                    return
                self._world.seen["late produce"] += 1

        self._world.brokers.timers.after(self._world.draw.uniform(0.0, 18.0), deliver)
