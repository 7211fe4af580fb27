"""Name everything the engine asks of the world: one command, one typed result.

The engine (`worker.engine.loop`) is a generator: it yields a command, is sent the result, and
does no I/O, reads no clock and draws no random number itself. `worker.engine.drive` carries the
commands out against a transport; a simulator carries out the very same ones against a model of
the brokers, and may kill, stop or delay between any two of them. Time arrives in results:
`now` is a monotonic clock in seconds, read when the command ended.

A command that fails ends the engine: the driver raises the transport's error (a
`worker.domain.errors.Fatal` or `FailStop`) and never sends a result. Between `Begin` and the
result of `Commit` any failure ends the process (70): the outcome is left to the next
`ReplaceProducer` or start of the slot, which settles it. What the engine itself has to judge
comes as a result instead: offsets that are not known yet, records that were not acknowledged,
a commit refused by the group.

Order within one turn (docs/delivery.md has the sequence):

    Wait, Poll, [Pause], ReadClock ..., Begin, Send ..., Flush, SendOffsets, Commit,
    [ReplaceProducer], [ReadCommitted, ReadBeginnings, ReadState], [Seek, Resume]
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from worker.transport.protocols import Headers, Item, Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Carry the time and whether somebody asked for the end; every result does."""

    now: float  # monotonic seconds
    stopping: bool = False  # a signal came: end after the transaction at hand


R_co = TypeVar("R_co", bound=Result, covariant=True)


@dataclass(frozen=True, slots=True)
class Command(Generic[R_co]):
    """Ask for one thing; the type parameter is the result it is answered with."""


Steps: TypeAlias = Generator[Command[Any], Any, None]

R = TypeVar("R", bound=Result)


def ask(command: Command[R]) -> Generator[Command[Any], Any, R]:
    """Yield one command and return its result, typed by the command."""
    result: R = yield command
    return result


# The group, and what it holds.


@dataclass(frozen=True, slots=True)
class Group:
    """Snapshot the consumer's membership, taken right after a poll.

    A transaction is bound to the snapshot of the poll that its records came from, never to
    what the client says later: a client that was put out of its group reports generation -1
    and no member, which switches the brokers' fencing off.
    """

    stable: bool  # the client's member state is STABLE
    generation: int
    member: str
    instance: str  # group instance id: the slot
    rebalances: int  # how often partitions were assigned, revoked or lost; rises
    assigned: frozenset[Partition] = frozenset()

    @property
    def trusted(self) -> bool:
        """Tell whether the brokers will check a commit under this snapshot."""
        return self.stable and self.generation > 0 and bool(self.member)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled(Result):
    """Hold what one poll brought: items in offset order within each partition."""

    group: Group
    items: tuple[Item, ...] = ()
    # Next offset by partition that moved; may be past the last record (markers, compaction).
    positions: Mapping[Partition, int] = field(default_factory=dict)
    # Original headers, for records that have any, by partition and offset.
    headers: Mapping[tuple[Partition, int], Headers] = field(default_factory=dict)
    # High watermark minus position of each assigned partition, from the last fetch.
    lags: Mapping[Partition, int] = field(default_factory=dict)
    full: bool = False  # as much as was asked for: more waits in the client


@dataclass(frozen=True, slots=True)
class Poll(Command[Polled]):
    """Wait at most `timeout_s` for records of resumed partitions; joins the group as needed.

    Every assignment arrives with all its partitions paused at a placeholder position; the engine
    seeks and resumes them once it knows where they go on.
    """

    timeout_s: float
    max_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Result):
    """Say that a command without an answer of its own was carried out."""


@dataclass(frozen=True, slots=True)
class Wait(Command[Done]):
    """Let time pass, at most `seconds` and less when asked to stop; never below 0."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ReadClock(Command[Done]):
    """Ask for the time alone, in the middle of deciding a large poll."""


@dataclass(frozen=True, slots=True)
class Pause(Command[Done]):
    """Stop fetching these; partitions no longer assigned are left alone."""

    partitions: frozenset[Partition]


@dataclass(frozen=True, slots=True)
class Seek(Command[Done]):
    """Read on at these offsets; partitions no longer assigned are left alone."""

    offsets: Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class Resume(Command[Done]):
    """Fetch these again; partitions no longer assigned are left alone."""

    partitions: frozenset[Partition]


# Where a partition goes on.


@dataclass(frozen=True, slots=True, kw_only=True)
class Offsets(Result):
    """Hold offsets by partition; None as a whole where the brokers did not say.

    For `ReadCommitted` that includes an *unstable* offset: an open transaction holds one, and
    only its end tells which. A single None is a partition without a committed offset.
    """

    offsets: Mapping[Partition, int | None] | None
    unknown: str = ""  # why, when `offsets` is None; for people


@dataclass(frozen=True, slots=True)
class ReadCommitted(Command[Offsets]):
    """Read the stable committed offsets of the group (OffsetFetch with require_stable)."""

    partitions: frozenset[Partition]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ReadBeginnings(Command[Offsets]):
    """Read the first offset still kept."""

    partitions: frozenset[Partition]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ReadEnds(Command[Offsets]):
    """Read the offset after the last committed record."""

    partitions: frozenset[Partition]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ReadTimes(Command[Offsets]):
    """Read the first offset at or after an origin time, epoch ms; the end where there is none."""

    partitions: frozenset[Partition]
    time_ms: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Result):
    """Hold how many partitions each topic has."""

    partitions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReadPartitionCounts(Command[Counts]):
    """Ask the client's metadata how many partitions topics have."""

    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class StateRecord:
    """Hold one record of a state topic, as it stands in the log."""

    offset: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRead(Result):
    """Hold a piece of some state partitions: committed records alone, in log order."""

    records: Mapping[Partition, tuple[StateRecord, ...]]
    positions: Mapping[Partition, int]  # where the next piece begins, past markers and holes
    # Partitions read up to their last stable offset, as it was during this command. Not an end:
    # an older open transaction may hold it below records that are committed already.
    drained: frozenset[Partition] = frozenset()


@dataclass(frozen=True, slots=True)
class ReadState(Command[StateRead]):
    """Read state partitions from these offsets, read_committed and without a group.

    Returns when all are drained, `budget_s` is over or `budget_bytes` were read, whichever is
    first; a position of -1 means the beginning of the partition.
    """

    positions: Mapping[Partition, int]
    budget_s: float
    budget_bytes: int


# Writing.


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one record to write. `partition` None: where the key hashes to (murmur2), no key: 0."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Begin(Command[Done]):
    """Begin a transaction; `purpose` tells a claim (end of a restore) from a turn's work."""

    purpose: str  # "claim" or "turn"


@dataclass(frozen=True, slots=True)
class Send(Command[Done]):
    """Hand records over, in order; nothing counts as written before `Flush` says so."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed(Result):
    """Say what became of everything handed over since the last flush."""

    acknowledged: int
    failed: int = 0  # not acknowledged in time, or refused
    reason: str = ""  # of the first failure; for people
    # Offset of the last acknowledged record by partition; -1 where the broker did not say
    # (a batch that it had already, acknowledged again).
    last: Mapping[Partition, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flush(Command[Flushed]):
    """Wait until every record handed over has its answer; the engine judges the failures."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class SendOffsets(Command[Done]):
    """Put the input offsets (next to process) into the open transaction, under a snapshot."""

    offsets: Mapping[Partition, int]
    group: Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Result):
    """Say that the transaction was committed, and how that went on the wire."""

    seconds: float  # from the request to its answer
    requests: int  # EndTxn requests sent; more than one was a retry after a lost connection


@dataclass(frozen=True, slots=True)
class Commit(Command[Ended]):
    """Commit the open transaction."""

    purpose: str  # that of its `Begin`


@dataclass(frozen=True, slots=True)
class ReplaceProducer(Command[Done]):
    """Close the producer and initialise a new one under the same transactional id.

    After a slow or repeated EndTxn: the older request may still be on its way and, under the
    old transaction protocol, would end a later transaction (KAFKA-17754). A new epoch voids it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed(Result):
    """Answer a commit outside a transaction."""

    refused: str = ""  # the group has moved on and nothing was committed; for people


@dataclass(frozen=True, slots=True)
class CommitOffsets(Command[Committed]):
    """Commit offsets without a transaction (`--delivery at-least-once`), under a snapshot."""

    offsets: Mapping[Partition, int]
    group: Group
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Close(Command[Done]):
    """Let go of consumer and producer within `timeout_s`; a static member stays in its group."""

    timeout_s: float
