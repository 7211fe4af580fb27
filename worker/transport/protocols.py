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


class Committed(NamedTuple):
    """Hold a committed offset (the next one to process) and the note kept beside it."""

    offset: int
    note: str


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


class Source(Protocol):
    """Read assigned partitions of one consumer group.

    On every new assignment the source pauses all its partitions and raises `rebalances`; the
    engine seeks and resumes them when it knows where they go on.
    """

    @property
    def rebalances(self) -> int:
        """Return how often partitions were assigned, revoked or lost; rises, never blocks."""

    @property
    def stable(self) -> bool:
        """Tell whether the group has an assignment for us that commits may rely on."""

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions of the current assignment."""

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Wait for records at most `timeout_s`; joins and re-joins the group as needed.

        Raises:
            RetentionOvertook: a position lies outside the log.
            Fatal: the client failed in a way that no record explains.
        """

    def committed(
        self, partitions: Iterable[Partition], timeout_s: float
    ) -> dict[Partition, Committed | None]:
        """Read committed offsets; None where the group never committed.

        Raises:
            OffsetsUnknown: the brokers did not say within `timeout_s`.
        """

    def commit(self, offsets: Mapping[Partition, Committed], timeout_s: float) -> None:
        """Commit under the group's current generation; blocks.

        Raises:
            CommitRefused: the group has moved on, nothing was committed.
            Fenced: another process took over this slot.
            CommitInDoubt: no answer within `timeout_s`; it may have been committed.
        """

    def beginnings(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the first offset still kept; raises OffsetsUnknown."""

    def ends(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Return the offset after the last record; raises OffsetsUnknown."""

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
