"""Say what the engine asks of a transport: bytes in by partition, bytes out, offsets committed.

A transport moves bytes and holds no state of a stage. One thread owns a source and a sink; no
method may be called from another. Errors are those of `worker.domain.errors` and the two below;
a client's own exceptions never leave its transport.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from fastpath.records import BatchView
from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import Fatal, Retryable

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class Partition(NamedTuple):
    """Name one partition of a topic."""

    topic: str
    number: int


class CommitRefused(Retryable):
    """Report a commit refused because the group moved on; outputs may repeat, nothing is lost."""


class CommitInDoubt(Fatal):
    """Report a commit without an answer; only a restart that reads the offsets can tell."""


class OffsetsUnknown(Retryable):
    """Report committed offsets that could not be read yet; ask again next turn."""


class Quarantined(NamedTuple):
    """Hold what stood between two offsets that the client could not read."""

    partition: Partition
    first: int
    next: int  # where reading goes on
    letters: tuple[DeadLetter, ...]


Item: TypeAlias = BatchView | Quarantined


@dataclass(frozen=True, slots=True)
class Polled:
    """Hold what one poll brought: items in offset order within each partition."""

    items: tuple[Item, ...] = ()
    # Next offset by partition that moved; may be past the last record (markers, compaction).
    positions: Mapping[Partition, int] = field(default_factory=dict)
    # Original headers, for records that have any, by partition and offset.
    headers: Mapping[tuple[Partition, int], Headers] = field(default_factory=dict)
    full: bool = False  # as much as was asked for: more waits in the client


class Group(NamedTuple):
    """Snapshot a consumer's membership, taken right after a poll.

    What was polled is committed under this snapshot and never under what the client says later:
    a client that was put out of its group reports generation -1 and no member, and brokers then
    check nothing.
    """

    stable: bool  # the client has joined, and its listener is not at work
    generation: int
    member: str
    instance: str  # group instance id: the slot
    rebalances: int  # how often partitions were assigned, revoked or lost; rises
    assigned: frozenset[Partition] = frozenset()

    @property
    def trusted(self) -> bool:
        """Tell whether brokers will check a commit under this snapshot."""
        return self.stable and self.generation > 0 and bool(self.member)


class Source(Protocol):
    """Read assigned partitions of one consumer group.

    On every new assignment the source pauses all its partitions at a placeholder position and
    raises `Group.rebalances`; the engine seeks and resumes them when it knows where they go on.
    """

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Wait for records at most `timeout_s`; joins and re-joins the group as needed.

        Raises:
            RetentionOvertook: a position lies behind the end of the log.
            Fatal: a position lies before its beginning (a restart compares it with the committed
                offset), or the client failed in a way that no record explains.
            Fenced: another process took over this slot. A commit may hear of it first.
        """

    def group(self) -> Group:
        """Snapshot the membership; never blocks."""

    def committed(
        self, partitions: Iterable[Partition], timeout_s: float
    ) -> dict[Partition, int | None]:
        """Read stable committed offsets; None where the group never committed.

        Raises:
            OffsetsUnknown: the brokers did not say within `timeout_s`, or an open transaction
                holds one of them.
        """

    def commit(self, offsets: Mapping[Partition, int], group: Group, timeout_s: float) -> None:
        """Commit outside a transaction, under a snapshot; blocks.

        Raises:
            CommitRefused: the group has moved on, nothing was committed.
            Fenced: another process took over this slot.
            CommitInDoubt: no answer within `timeout_s`; it may have been committed.
        """

    def beginnings(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the first offset still kept; raises OffsetsUnknown."""

    def ends(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the offset after the last committed record; raises OffsetsUnknown."""

    def at_time(
        self, partitions: Iterable[Partition], time_ms: int, timeout_s: float
    ) -> dict[Partition, int]:
        """Return the first offset at or after an origin time, else the end; OffsetsUnknown."""

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has, from the client's metadata."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on at `offset`; a partition no longer assigned is left alone."""

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop fetching; partitions no longer assigned are left alone."""

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch again; partitions no longer assigned are left alone."""

    def lag(self, partition: Partition) -> int | None:
        """Return high watermark minus position from the last fetch; None before the first."""

    def close(self, timeout_s: float) -> None:
        """Let go of the client within `timeout_s`; a static member stays in its group."""


class StateRecord(NamedTuple):
    """Hold one record of a state topic, as it stands in the log."""

    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class StatePiece:
    """Hold a piece of some state partitions: committed records alone, in log order."""

    records: Mapping[Partition, tuple[StateRecord, ...]] = field(default_factory=dict)
    positions: Mapping[Partition, int] = field(default_factory=dict)  # where the next one begins
    # Partitions read up to their last stable offset, as it was during this call. Not an end: an
    # older open transaction may hold it below records that are committed already.
    drained: frozenset[Partition] = frozenset()


class StateReader(Protocol):
    """Read state partitions, `read_committed` and without a group."""

    def read(
        self, positions: Mapping[Partition, int | None], budget_s: float, budget_bytes: int
    ) -> StatePiece:
        """Read on at `positions` (None: the beginning) until all are drained or a budget is over.

        Brokers that do not answer give an empty piece.

        Raises:
            StateMismatch: a position lies outside the log, or a partition is not there.
        """

    def close(self, timeout_s: float) -> None:
        """Let go of the client within `timeout_s`."""


class Sink(Protocol):
    """Write records; nothing counts as written before `flush` has returned."""

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Hand one record over; without `partition` it goes where its key hashes to (murmur2).

        Raises:
            Fatal: the record cannot be sent (no metadata, no buffer in time, too large).
        """

    def flush(self, timeout_s: float) -> int:
        """Wait until every record handed over is acknowledged; return how many there were.

        Raises:
            Fatal: one of them failed or was not acknowledged in time; the process must end.
        """

    def close(self, timeout_s: float) -> None:
        """Let go of the client within `timeout_s`; what was not flushed is given up."""


class Flushed(NamedTuple):
    """Say what became of everything handed over since the last flush."""

    acknowledged: int
    failed: int = 0  # refused, or not acknowledged in time
    reason: str = ""  # of the first failure; for people
    # Offset of the last acknowledged record by partition; -1 where the broker did not say it.
    last: Mapping[Partition, int] = {}  # never written to


class Ended(NamedTuple):
    """Say how a commit went on the wire."""

    seconds: float  # from the call to the answer
    requests: int  # EndTxn requests sent; more than one was a retry after a lost connection


class Producer(Sink, Protocol):
    """Write records and input offsets, all of a transaction together or none of them.

    Made ready by its constructor: an older process of the slot is fenced, a transaction that it
    left open is aborted. There is no abort: who cannot commit ends the process, and the slot's
    next start settles it. The calls between transactions serve `--delivery at-least-once`.
    """

    def settle(self, timeout_s: float) -> Flushed:
        """Wait until every record handed over has its answer; raises Fenced, never for a record."""

    def begin(self) -> None:
        """Begin a transaction; raises Fenced or Fatal."""

    def send_offsets(self, offsets: Mapping[Partition, int], group: Group) -> None:
        """Put input offsets into the transaction under a snapshot; raises Fenced or Fatal."""

    def commit(self) -> Ended:
        """Commit; raises Fenced, or Fatal where the outcome is unknown."""

    def replace(self) -> None:
        """Go on with a new client and a new epoch, between transactions; raises Fatal."""
