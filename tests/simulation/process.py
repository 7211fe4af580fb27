"""Run one process: carry out the commands of the production engine, a step at a time.

Every `yield` is a point at which the world may kill, stop or delay the process. What it yields is
how long it wants to wait.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from tests.simulation.brokers import Member
from tests.simulation.client import Consumer, TransactionalClient
from worker.domain.errors import Fatal, StateMismatch, WeirError
from worker.engine.commands import (
    Batch,
    Begin,
    Close,
    Command,
    Commit,
    CommitOffsets,
    CountPartitions,
    Flush,
    Poll,
    ReadBeginnings,
    ReadClock,
    ReadCommitted,
    ReadEnds,
    ReadState,
    ReplaceProducer,
    Reply,
    Resume,
    Seek,
    Send,
    SendOffsets,
    Wait,
)
from worker.engine.loop import Engine
from worker.transport.protocols import Partition, StatePiece, StateRecord

if TYPE_CHECKING:
    from tests.simulation.world import World

IDLE_S, JOIN_S, BRIEF_S = 0.3, 0.9, 0.1  # coarse: what happens in an idle poll is nothing
Life = Generator[float, None, None]


class Process:
    """Hold one process of a slot from its start to its end."""

    def __init__(self, world: World, slot: str, serial: int) -> None:
        self.world = world
        self.slot = slot
        self.name = f"{slot}.{serial}"
        self.stopped = False
        self.wake = 0.0
        self.doing = "start"
        self.stopping = False
        self.engine: Engine | None = None
        self.consumer = Consumer(world, slot)
        self.producer = TransactionalClient(
            world, slot, transactional=world.settings(slot).delivery == "exactly-once"
        )
        self.life: Life = self._live()

    @property
    def member(self) -> Member | None:
        """Return what the group holds of this process; None once it was put out or replaced."""
        held = self.world.brokers.group.members.get(self.slot)
        return held if held is not None and held.identity == self.consumer.identity else None

    def _live(self) -> Life:
        yield from self.producer.initialise()
        while True:
            try:
                return (yield from self._decide())
            except Fatal:
                if not self.world.guards.reuses_client:
                    raise
                self.producer.reuse()
                self.consumer.rebalances += 1  # the new engine binds its tables anew
                self.consumer.paused = set(self.consumer.assigned)

    def _decide(self) -> Life:
        self.engine = self.world.new_engine(self.slot)
        steps = self.engine.steps()
        command: Command[Any] | None = next(steps)
        world, timers = self.world, self.world.brokers.timers
        while command is not None:
            kind = type(command)
            self.doing = kind.__name__
            if kind is not ReadClock and kind is not CountPartitions:
                yield 0.0
                if world.faulty:
                    yield from self._interrupted()
            if world.trace is not None:
                world.note(self.name, _shown(command))
            value = yield from self._carry_out(command)
            try:
                command = steps.send(Reply(value, timers.now, self.stopping))
            except StopIteration:
                return

    def _interrupted(self) -> Generator[float, None, None]:
        """Let the I/O thread run, and now and then nothing else for a while."""
        happens = self.world.draw.random()
        if happens < 0.3:
            self.consumer.heartbeat()
        if happens < 0.03:
            yield 20 * happens
            self.consumer.heartbeat()

    def _carry_out(self, command: Command[Any]) -> Generator[float, None, Any]:
        producer, consumer, world = self.producer, self.consumer, self.world
        match command:
            case ReadClock() | Begin():
                if type(command) is ReadClock and world.chance(0.05):
                    self.consumer.heartbeat()
                    yield 0.3  # deciding took long: what was polled is cut here
                    self.consumer.heartbeat()
            case Poll():
                return (yield from self._poll(command))
            case Wait():
                yield command.seconds
            case Seek():
                for partition, offset in command.offsets.items():
                    if partition in consumer.assigned:
                        consumer.positions[partition] = offset
            case Resume():
                consumer.paused -= command.partitions
            case Send():
                yield from producer.send(command.records)
            case Flush():
                yield from producer.flush()
                return producer.settle()
            case SendOffsets():
                yield from world.guards.send_offsets(self, command)
            case Commit():
                yield from producer.commit()
                return producer.ended
            case ReplaceProducer():
                yield from producer.initialise()
            case CommitOffsets():
                return self._commit_offsets(command)
            case ReadCommitted():
                return (yield from self._committed(command))
            case ReadState():
                return self._read_state(command)
            case ReadBeginnings() | ReadEnds():
                return self._offsets(command)
            case CountPartitions():
                return {topic: world.brokers.counts[topic] for topic in command.topics}
            case Close():
                return None
            case _:
                raise AssertionError(f"no answer to {command!r}")
        return None

    def _poll(self, command: Poll) -> Generator[float, None, Batch]:
        world, consumer = self.world, self.consumer
        batch = consumer.poll()
        if not batch.polled.items:
            # A poll that should not wait may still take its time; one that waits for others to
            # join gets nothing before they do.
            yield (IDLE_S if batch.group.stable else JOIN_S) if command.timeout_s else BRIEF_S
            batch = consumer.poll()
        if world.trace is not None and batch.polled.items:
            world.note(self.name, f"  polled {batch.polled.positions} as {batch.group}")
        return batch

    def _committed(self, command: ReadCommitted) -> Generator[float, None, Any]:
        world = self.world
        coordinator = world.brokers.coordinator
        unstable = not world.guards.stable_offsets
        if world.chance(0.02):
            yield command.timeout_s
            return None
        if not unstable and coordinator.unstable().intersection(command.partitions):
            yield command.timeout_s
            if coordinator.unstable().intersection(command.partitions):
                world.seen["unstable"] += 1
                return None
        return {p: coordinator.committed.get(p) for p in command.partitions}

    def _offsets(self, command: ReadBeginnings | ReadEnds) -> dict[Partition, int] | None:
        if self.world.chance(0.02):
            return None
        logs = self.world.brokers.logs
        if isinstance(command, ReadBeginnings):
            return {p: logs[p].begin for p in command.partitions}
        return {p: logs[p].stable_end for p in command.partitions}

    def _read_state(self, command: ReadState) -> StatePiece:
        world = self.world
        if world.chance(0.05):
            return StatePiece()
        committed = world.guards.read_committed
        records, reached, drained = {}, {}, []
        for partition, start in command.positions.items():
            if partition not in world.brokers.logs:
                raise StateMismatch(f"{partition.topic} has no partition {partition.number}")
            log = world.brokers.logs[partition]
            end = log.stable_end if committed else log.end
            most = world.draw.randint(1, 12) if world.chance(0.3) else 1_000_000
            found = log.read(start or 0, most, committed=committed)
            records[partition] = tuple(StateRecord(at, r.key, r.value) for at, r in found)
            if len(found) == most:
                reached[partition] = found[-1][0] + 1
                continue
            reached[partition] = max(end, start or 0)
            drained.append(partition)
        return StatePiece(records, reached, frozenset(drained))

    def _commit_offsets(self, command: CommitOffsets) -> str:
        if self.consumer.group() != command.group:
            return "the group has moved on since the poll"
        try:
            self.world.brokers.group.check(command.group)
        except WeirError as error:
            return str(error)
        if self.world.chance(0.02):
            self.world.seen["lost commit"] += 1
            if self.world.draw.random() < 0.5:
                raise Fatal("no answer to an offset commit")
            self.world.brokers.coordinator.take(command.offsets)
            raise Fatal("no answer to an offset commit")
        self.world.brokers.coordinator.take(command.offsets)
        return ""


def _shown(command: Command[Any]) -> str:
    if isinstance(command, Send):
        return "Send " + " ".join(
            f"{r.topic}/{r.partition}:{(r.value or b'')[:40]!r}"
            for r in command.records
            if "state" not in r.topic
        )
    return str(command)[:240]
