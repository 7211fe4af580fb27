"""Rebuild the table of one partition from its state topic, and refuse what does not add up.

Sans-io: the engine feeds the records of the state partition in log order, `read_committed`, and
asks whether the state has reached the committed input offset. The reasons for every check are
in docs/state.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from fastpath.errors import CorruptImage
from worker.domain.errors import StateMismatch
from worker.state.changelog import (
    GENESIS,
    NO_TIME,
    RING,
    SLICES,
    Claim,
    Delta,
    Slice,
    StateRecord,
    chain_hash,
    chained_content,
    decode,
)

Progress: TypeAlias = Literal["done", "behind"]


class TableOwner(Protocol):
    """Name what a restore uses of a stage (worker.stages.protocols says it in full)."""

    def restore(self, table: Any, stream_time: int, entries: bytes) -> None:
        """Apply packed entries."""

    def clear(self, table: Any, slice_: int) -> None:
        """Forget every entry of a slice."""


@dataclass(slots=True)
class Tail:
    """Say where the state of a partition stands: what the next claim and delta follow on.

    A kept table is tagged with its tail; `Restore(..., tail)` goes on from there.
    """

    epoch: int = 0  # of the newest claim
    seq: int = 0  # of the last delta
    chain: bytes = GENESIS  # hash after it
    in_next: int | None = None  # the input offset that comes next; None: no claim and no delta yet
    stream_time: int = NO_TIME
    as_of: list[int] | None = None  # per slice: the delta that its newest whole snapshot is as of
    torn: frozenset[int] = frozenset()  # slices whose newest snapshot lacks chunks


class Restore:
    """Apply the records of one state partition to one table, in log order.

    `partitions` is the input topic's number of partitions now. With `stale="ignore"` (delivery
    at least once, where no broker fences and nothing is written whole) records of an epoch below
    the newest claim are left out, and so is a snapshot that a crash cut off; by default both are
    refused. Every method may raise StateMismatch with a message for people; the table is then
    worthless.
    """

    def __init__(
        self,
        stage: TableOwner,
        table: Any,
        partitions: int,
        tail: Tail | None = None,
        *,
        ring: int = RING,
        slices: int = SLICES,
        stale: Literal["refuse", "ignore"] = "refuse",
    ) -> None:
        self._stage = stage
        self._table = table
        self._partitions = partitions
        self._ring = ring
        self._slices = slices
        self._stale = stale
        self._tail = tail or Tail()
        self._dense_from = self._tail.seq + 1  # deltas are there without a gap from here to seq
        self._snapshots = _Snapshots(slices, self._tail.as_of, self._tail.seq)
        self._delta: list[Delta] = []  # chunks of the delta at hand
        self._last_claim: Claim | None = None

    @property
    def empty(self) -> bool:
        """Say that there is neither a claim nor a delta: a first start."""
        return self._tail.in_next is None

    @property
    def tail(self) -> Tail:
        """Return where the state stands; take it when `progress` says done."""
        self._tail.as_of = self._snapshots.as_of()
        self._tail.torn = self._snapshots.torn
        return self._tail

    def feed(self, value: bytes | None) -> None:
        """Apply one record."""
        try:
            record = decode(value)
            if record.epoch < self._tail.epoch and not self._is_blind(record):
                self._on_stale(record.epoch)
                return
            match record:
                case Claim():
                    self._on_claim(record)
                case Delta():
                    self._on_delta(record, value or b"")
                case Slice():
                    self._on_slice(record)
        except CorruptImage as error:
            raise StateMismatch(f"the state topic is corrupt: {error}") from error

    def progress(self, committed: int) -> Progress:
        """Say whether the state stands at the committed input offset.

        Ask once no further record is at hand: a claim that follows the last delta belongs to the
        restore. "behind" means that records are missing yet: an older open transaction may hold
        them back, so go on reading for a bounded time. "done" includes that the state is
        complete; a state that is ahead, or incomplete, raises.
        """
        stands = self._tail.in_next
        if stands is None or stands < committed:
            return "behind"
        if stands > committed:
            raise StateMismatch(
                f"the state continues at input offset {stands}, the committed offset is "
                f"{committed}: the group's offsets were reset, or another group wrote the state"
            )
        self._check_complete()
        return "done"

    def _is_blind(self, record: StateRecord) -> bool:
        """Tell whether a claim could not see the newest one, which has decided nothing since.

        An older open transaction hides what was committed behind it. Deltas show by the offset,
        so a restore waits for them; a claim alone moves no offset, and the next claimant counts
        on from an older epoch. In the order of the log it still is the newest.
        """
        if not isinstance(record, Claim) or self._stale == "ignore":
            return False
        last = self._last_claim
        return record.previous_seq in (self._tail.seq, last.previous_seq if last else -1)

    def _on_stale(self, epoch: int) -> None:
        if self._stale == "refuse":
            raise StateMismatch(
                f"a record of epoch {epoch} stands behind the claim of epoch {self._tail.epoch}: "
                "a process that had lost the partition wrote to its state"
            )

    def _on_claim(self, claim: Claim) -> None:
        tail = self._tail
        self._check_shape(claim)
        if claim.previous_seq < tail.seq:
            raise StateMismatch(
                f"slot {claim.slot} claimed the state after delta {claim.previous_seq}, but delta "
                f"{tail.seq} stands before its claim"
            )
        if claim.previous_seq == tail.seq:
            due = None if tail.in_next is None else tail.in_next + claim.accepted_gap
            if due not in (None, claim.in_next):
                raise StateMismatch(
                    f"slot {claim.slot} claimed input offset {claim.in_next} where the state "
                    f"continues at {due}"
                )
            tail.in_next = claim.in_next
        tail.epoch = claim.epoch
        self._last_claim = claim

    def _check_shape(self, claim: Claim) -> None:
        check_partitions(claim, self._partitions)
        _check_count("ring positions", claim.ring, self._ring)
        _check_count("slices", claim.slices, self._slices)

    def _on_delta(self, delta: Delta, value: bytes) -> None:
        tail, held = self._tail, self._delta
        if delta.seq <= tail.seq:
            raise StateMismatch(f"delta {delta.seq} stands behind delta {tail.seq}")
        if delta.chunk > 0 and not (held and _continues(held[-1], delta)):
            self._delta = []  # what an overwritten delta left behind
            return
        if delta.chunk > 0:
            before: bytes | None = held[-1].chain
        else:
            before = tail.chain if delta.seq == tail.seq + 1 else None
            held = self._delta = []
        if before is not None and chain_hash(before, chained_content(value)) != delta.chain:
            raise StateMismatch(f"delta {delta.seq} does not follow on the one before it")
        held.append(delta)
        if delta.chunk + 1 == delta.chunks:
            self._apply(held)
            self._delta = []

    def _apply(self, chunks: list[Delta]) -> None:
        tail, delta = self._tail, chunks[-1]
        if delta.seq != tail.seq + 1:
            self._dense_from = delta.seq
        elif tail.in_next not in (None, delta.in_from):
            raise StateMismatch(
                f"delta {delta.seq} begins at input offset {delta.in_from}, the state before it "
                f"ends at {tail.in_next}"
            )
        if delta.in_next < delta.in_from:
            raise CorruptImage(f"delta {delta.seq} ends before it begins")
        for chunk in chunks:
            self._stage.restore(self._table, delta.stream_time, chunk.entries)
        tail.seq, tail.chain, tail.in_next = delta.seq, delta.chain, delta.in_next
        tail.stream_time = delta.stream_time

    def _on_slice(self, part: Slice) -> None:
        """Replace a slice with the last chunk of its snapshot: what is cut off replaces nothing."""
        if part.as_of_seq < self._tail.seq:
            raise StateMismatch(
                f"slice {part.slice} as of delta {part.as_of_seq} stands behind delta "
                f"{self._tail.seq}"
            )
        whole = self._snapshots.take(part)
        if whole:
            self._stage.clear(self._table, part.slice)
        for each in whole:
            self._stage.restore(self._table, each.stream_time, each.entries)

    def _check_complete(self) -> None:
        tail, claim = self._tail, self._last_claim
        if claim is not None and claim.previous_seq > tail.seq:
            raise StateMismatch(
                f"slot {claim.slot} claimed the state after delta {claim.previous_seq}; the "
                f"newest one there is {tail.seq}"
            )
        if self._stale == "refuse":
            self._snapshots.check_whole()
        slice_, known = self._snapshots.oldest(tail.seq)
        if self._dense_from > known + 1:
            raise StateMismatch(
                f"slice {slice_} is known as of delta {known}, and delta "
                f"{self._dense_from - 1} is missing"
            )


def check_partitions(claim: Claim, partitions: int) -> None:
    """Raise StateMismatch where a claim was made under another number of input partitions."""
    _check_count("partitions of the input topic", claim.partitions, partitions)


def _check_count(what: str, written: int, now: int) -> None:
    if written != now:
        raise StateMismatch(
            f"the state was written for {written} {what}, now there are {now}: move it "
            "with `weir state export` and `weir state import`"
        )


def _continues(before: Delta, delta: Delta) -> bool:
    return (delta.seq, delta.chunk, delta.chunks) == (before.seq, before.chunk + 1, before.chunks)


class _Snapshots:
    """Follow the newest whole snapshot of each slice, and the chunks of the one that arrives."""

    def __init__(self, slices: int, as_of: list[int] | None, known: int) -> None:
        self._as_of = list(as_of) if as_of is not None else [0] * slices
        self._known = known  # every slice was known as of this delta before the first record
        self._arriving: dict[int, list[Slice]] = {}

    def as_of(self) -> list[int]:
        """Give, per slice, the delta that its newest whole snapshot is as of; 0: it has none."""
        return list(self._as_of)

    @property
    def torn(self) -> frozenset[int]:
        """Name the slices whose newest snapshot lacks chunks."""
        return frozenset(self._arriving)

    def take(self, part: Slice) -> list[Slice]:
        """Take a chunk; return its whole snapshot with the last one, before that nothing."""
        at = part.slice
        if at >= len(self._as_of):
            raise CorruptImage(f"slice {at} of {len(self._as_of)}")
        held = self._arriving.get(at, [])
        if held and _snapshot(part) > _snapshot(held[-1]):
            held = []  # the older one was cut off, or compaction left its end
        if held:
            newest = held[-1].as_of_seq
            follows = _snapshot(part) == _snapshot(held[-1]) and part.chunk > held[-1].chunk
        else:
            newest = self._as_of[at]
            follows = part.as_of_seq > newest
        if not follows:
            raise StateMismatch(
                f"chunk {part.chunk} of slice {at} as of delta {part.as_of_seq} stands behind "
                f"the snapshot as of delta {newest}"
            )
        self._arriving[at] = [*held, part]
        if len(held) + 1 < part.chunks:
            return []
        self._as_of[at] = part.as_of_seq
        return self._arriving.pop(at)

    def check_whole(self) -> None:
        """Refuse a snapshot that lacks chunks."""
        for at, held in self._arriving.items():
            missing = min(set(range(held[-1].chunks)) - {part.chunk for part in held})
            raise StateMismatch(
                f"chunk {missing} of slice {at} as of delta {held[-1].as_of_seq} is missing"
            )

    def oldest(self, seq: int) -> tuple[int, int]:
        """Give the slice that is known as of the oldest delta, and that; none may be newer."""
        cut_off = ((at, held[-1].as_of_seq) for at, held in self._arriving.items())
        for at, as_of in (*enumerate(self._as_of), *cut_off):
            if as_of > seq:
                raise StateMismatch(f"slice {at} is as of delta {as_of}; the newest delta is {seq}")
        known = [max(as_of, self._known) for as_of in self._as_of]
        return min(enumerate(known), key=lambda each: each[1])


def _snapshot(part: Slice) -> tuple[int, int, int]:
    """Order the snapshots of a slice; one that was cut off is taken again by a newer epoch."""
    return part.as_of_seq, part.epoch, part.chunks
