"""Name everything the engine asks of the world: one command, one typed answer.

The engine (`worker.engine.loop`) is a generator: it yields a `Command` and is sent a `Reply`; it
does no I/O, reads no clock and draws no random number itself. `worker.engine.drive` carries the
commands out against a transport; a simulator carries out the very same ones against a model of
the brokers, and may kill, stop or delay between any two of them.

A command that fails ends the engine: the driver raises the transport's error and sends no reply.
Between `Begin` and the reply to `Commit` any failure, the engine's own included, ends the process
with 70: the outcome is settled by the slot's next start. What the engine itself has to judge comes
as a value instead: offsets that are not known yet, records that were not acknowledged, a commit
that the group refused.

The order within one turn (docs/delivery.md has the sequence):

    Wait, Poll, [Seek], {ReadClock ..., Begin, Send, Send, Flush, SendOffsets, Commit,
    [ReplaceProducer]} ..., [ReadCommitted, ReadBeginnings, CountPartitions, ReadState]

and once partitions are restored, before their first record: Begin, Send, Flush, SendOffsets,
Commit (purpose "claim"), Seek, Resume.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from worker.transport.protocols import (
    Ended,
    Flushed,
    Group,
    Headers,
    Partition,
    Polled,
    StatePiece,
)

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
Purpose: TypeAlias = Literal["claim", "turn"]


@dataclass(frozen=True, slots=True)
class Reply(Generic[V_co]):
    """Answer one command, with the time at which it ended."""

    value: V_co
    now: float  # monotonic seconds
    stopping: bool = False  # a signal came: end after the transaction at hand


@dataclass(frozen=True, slots=True)
class Command(Generic[V_co]):
    """Ask for one thing; the type parameter is the type of `Reply.value`."""


Steps: TypeAlias = Generator[Command[Any], Reply[Any], V]  # what every part of the engine is


# The group and its records.


class Batch(NamedTuple):
    """Hold what one poll brought, and the membership as it was right after it."""

    polled: Polled
    group: Group
    lags: Mapping[Partition, int]  # by assigned partition, where a fetch told one


@dataclass(frozen=True, slots=True)
class Poll(Command[Batch]):
    """Wait at most `timeout_s` for records of resumed partitions; joins the group as needed.

    Every assignment arrives with all its partitions paused at a placeholder position.
    """

    timeout_s: float
    max_records: int


@dataclass(frozen=True, slots=True)
class Wait(Command[None]):
    """Let time pass, at most `seconds`, less when asked to stop."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ReadClock(Command[None]):
    """Ask for the time alone, in the middle of deciding a large poll."""


@dataclass(frozen=True, slots=True)
class Seek(Command[None]):
    """Read on at these offsets; partitions no longer assigned are left alone."""

    offsets: Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class Resume(Command[None]):
    """Fetch these again; partitions no longer assigned are left alone."""

    partitions: frozenset[Partition]


# Where a partition goes on.

# None as a whole: the brokers did not say in time. For committed offsets that includes an
# *unstable* one, which an open transaction holds and only its end tells. None for one partition:
# the group never committed there.
Offsets: TypeAlias = Mapping[Partition, int | None] | None


@dataclass(frozen=True, slots=True)
class ReadCommitted(Command[Offsets]):
    """Read the group's stable committed offsets."""

    partitions: frozenset[Partition]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ReadBeginnings(Command[Mapping[Partition, int] | None]):
    """Read the first offset still kept; None: not known in time."""

    partitions: frozenset[Partition]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ReadEnds(Command[Mapping[Partition, int] | None]):
    """Read the offset after the last committed record; None: not known in time."""

    partitions: frozenset[Partition]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ReadTimes(Command[Mapping[Partition, int] | None]):
    """Read the first offset at or after an origin time, else the end; None: not known in time."""

    partitions: frozenset[Partition]
    time_ms: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class CountPartitions(Command[Mapping[str, int]]):
    """Ask the client's metadata how many partitions topics have."""

    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReadState(Command[StatePiece]):
    """Read state partitions on at these offsets (None: the beginning), read_committed, no group.

    Ends when all are drained or a budget is over; brokers that do not answer give an empty piece.
    """

    positions: Mapping[Partition, int | None]
    budget_s: float
    budget_bytes: int


# Writing.


class Record(NamedTuple):
    """Hold one record to write. `partition` None: where the key hashes to; without a key 0."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Begin(Command[None]):
    """Begin a transaction: a claim (the end of a restore) or a turn's work."""

    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Send(Command[None]):
    """Hand records over, in order; nothing counts as written before `Flush` says so."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Flush(Command[Flushed]):
    """Wait until every record handed over has its answer; the engine judges the failures."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class SendOffsets(Command[None]):
    """Put input offsets (next to process) into the open transaction, under a snapshot."""

    offsets: Mapping[Partition, int]
    group: Group


@dataclass(frozen=True, slots=True)
class Commit(Command[Ended]):
    """Commit the open transaction; `purpose` is that of its `Begin`."""

    purpose: Purpose


@dataclass(frozen=True, slots=True)
class ReplaceProducer(Command[None]):
    """Close the producer and initialise a new one under the same transactional id.

    After a slow or repeated EndTxn: the older request may still be on its way and, under the
    old transaction protocol, would end a later transaction (KAFKA-17754). A new epoch voids it.
    """


@dataclass(frozen=True, slots=True)
class CommitOffsets(Command[str]):
    """Commit offsets without a transaction (`--delivery at-least-once`), under a snapshot.

    The answer is empty, or why the group refused: it has moved on and nothing was committed.
    """

    offsets: Mapping[Partition, int]
    group: Group
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Close(Command[None]):
    """Let go of every client within `timeout_s`; a static member stays in its group."""

    timeout_s: float
