"""Carry an engine's commands out against a transport: the only place with a clock.

Crash-only: a failure between `Begin` and the reply to `Commit` leaves an outcome that only the
brokers know, so the process ends there and then; nothing is aborted, closed or tried again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

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
    ReadTimes,
    ReplaceProducer,
    Reply,
    Resume,
    Seek,
    Send,
    SendOffsets,
    Steps,
    Wait,
)
from worker.engine.watchdog import Clock, Phase, PhaseName
from worker.transport.protocols import (
    CommitRefused,
    OffsetsUnknown,
    Producer,
    Source,
    StateReader,
)

# Called with the name of each point that a fault suite may want to stop or kill at:
# after_poll after_decide after_begin after_send[i] after_flush after_offsets before_commit
# after_commit in_restore[i] after_claim; the transport adds in_revoke and in_assign.
Failpoint: TypeAlias = Callable[[str], None]
Crash: TypeAlias = Callable[[BaseException], NoReturn]

_PHASES: Mapping[type[Command[Any]], PhaseName] = {
    Wait: "poll",
    Poll: "poll",
    ReadClock: "decide",
    Begin: "write",
    Send: "write",
    Flush: "write",
    SendOffsets: "commit",
    Commit: "commit",
    CommitOffsets: "commit",
    ReplaceProducer: "commit",
    Close: "close",
}


def passing(_point: str) -> None:
    """Do nothing at a failpoint: production."""


def raising(error: BaseException) -> NoReturn:
    """Let a test see what would have ended the process."""
    raise error


class Driver:
    """Own the clients of one stage; one thread runs it, `stop` may be called from any."""

    def __init__(
        self,
        source: Source,
        producer: Producer,
        state: StateReader,
        phase: Phase,
        *,
        crash: Crash = raising,
        failpoint: Failpoint = passing,
        clock: Clock = time.monotonic,
    ) -> None:
        self.phase = phase
        self._source = source
        self._producer = producer
        self._state = state
        self._crash = crash
        self._failpoint = failpoint
        self._clock = clock
        self._stopping = threading.Event()
        self._open = False  # a transaction is
        self._pieces = 0  # of state read so far

    def stop(self) -> None:
        """Ask the engine to end after the transaction at hand; safe from a signal handler."""
        self._stopping.set()

    def run(self, steps: Steps[None]) -> None:
        """Carry commands out until the engine ends.

        Raises:
            WeirError: what the engine or the transport raised with no transaction open.
        """
        try:
            self._run(steps)
        except BaseException as error:
            if self._open:
                self._crash(error)
            raise

    def _run(self, steps: Steps[None]) -> None:
        command = next(steps, None)
        while command is not None:
            self.phase.enter(_PHASES.get(type(command), "restore"))
            value = self._carry_out(command)
            self.phase.enter("decide")
            reply = Reply(value, self._clock(), self._stopping.is_set())
            try:
                command = steps.send(reply)
            except StopIteration:
                self.phase.enter("idle")
                return

    def close(self, timeout_s: float) -> None:
        """Let go of the clients; what was not committed is given up."""
        self.phase.enter("close")
        share = timeout_s / 3
        self._source.close(share)
        self._producer.close(share)
        self._state.close(share)
        self.phase.enter("idle")

    def _carry_out(self, command: Command[Any]) -> Any:  # one line per command
        match command:
            case Poll():
                return self._poll(command)
            case ReadClock():
                return None
            case Wait():
                return self._wait(command)
            case Begin() | Send() | Flush() | SendOffsets() | Commit() | ReplaceProducer():
                return self._write(command)
            case CommitOffsets():
                return self._commit_offsets(command)
            case Seek():
                for partition, offset in command.offsets.items():
                    self._source.seek(partition, offset)
                return None
            case Resume():
                return self._source.resume(command.partitions)
            case Close():
                return self.close(command.timeout_s)
        return self._look_up(command)

    def _poll(self, command: Poll) -> Batch:
        polled = self._source.poll(command.timeout_s, command.max_records)
        group = self._source.group()  # at once: later it may be another one
        self._failpoint("after_poll")
        lags = {p: lag for p in group.assigned if (lag := self._source.lag(p)) is not None}
        return Batch(polled, group, lags)

    def _wait(self, command: Wait) -> None:
        self._stopping.wait(max(command.seconds, 0.0))

    def _write(self, command: Command[Any]) -> Any:
        producer, failpoint = self._producer, self._failpoint
        match command:
            case Begin():
                failpoint("after_decide")
                self._open = True
                producer.begin()
                failpoint("after_begin")
            case Send():
                self._send(command)
            case Flush():
                flushed = producer.settle(command.timeout_s)
                failpoint("after_flush")
                return flushed
            case SendOffsets():
                producer.send_offsets(command.offsets, command.group)
                failpoint("after_offsets")
            case Commit():
                failpoint("before_commit")
                ended = producer.commit()
                failpoint("after_claim" if command.purpose == "claim" else "after_commit")
                self._open = False
                return ended
            case ReplaceProducer():
                producer.replace()
        return None

    def _send(self, command: Send) -> None:
        for index, record in enumerate(command.records):
            self._producer.send(
                record.topic,
                record.key,
                record.value,
                partition=record.partition,
                headers=record.headers,
            )
            self._failpoint(f"after_send[{index}]")

    def _commit_offsets(self, command: CommitOffsets) -> str:
        try:
            self._source.commit(command.offsets, command.group, command.timeout_s)
        except CommitRefused as refused:
            return str(refused)
        self._failpoint("after_commit")
        return ""

    def _look_up(self, command: Command[Any]) -> Any:
        source = self._source
        try:
            match command:
                case ReadCommitted():
                    return source.committed(command.partitions, command.timeout_s)
                case ReadBeginnings():
                    return source.beginnings(command.partitions, command.timeout_s)
                case ReadEnds():
                    return source.ends(command.partitions, command.timeout_s)
                case ReadTimes():
                    return source.at_time(command.partitions, command.time_ms, command.timeout_s)
        except OffsetsUnknown:
            return None
        match command:
            case CountPartitions():
                return {topic: source.partition_count(topic) for topic in command.topics}
            case ReadState():
                piece = self._state.read(command.positions, command.budget_s, command.budget_bytes)
                self._failpoint(f"in_restore[{self._pieces}]")
                self._pieces += 1
                return piece
        raise TypeError(f"no such command: {command!r}")
