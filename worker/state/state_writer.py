"""Make the state records of one partition's transactions: its claim, deltas and due slices.

Sans-io: the engine sends what it is given, in order, in the transaction that it belongs to. There
is no way back: a transaction that fails ends the process, and the next owner restores.
"""

from __future__ import annotations

from worker.state.changelog import (
    MAX_RECORD_BYTES,
    RING,
    SLICES,
    Claim,
    KeyValue,
    encode_claim,
    encode_delta,
    encode_slice,
)
from worker.state.restore import Tail

# A slice is snapshotted every so many transactions: one round over all takes 256 x 7 = 1,792 of
# them, below half of RING (invariant W), and costs a small part of the state per transaction.
SLICE_EVERY = 7


class StateWriter:
    """Number and chain the records of one partition; made of the tail that its restore found."""

    def __init__(
        self,
        tail: Tail,
        *,
        ring: int = RING,
        slices: int = SLICES,
        every: int = SLICE_EVERY,
        limit: int = MAX_RECORD_BYTES,
    ) -> None:
        if 2 * slices * every >= ring:
            raise ValueError(f"a ring of {ring} is too short for {slices} slices, one in {every}")
        self._tail = tail
        self._ring = ring
        self._slices = slices
        self._every = every
        self._limit = limit
        self._as_of = list(tail.as_of) if tail.as_of is not None else [0] * slices
        self._torn = set(tail.torn)
        self._since = 0  # transactions since a slice was snapshotted

    @property
    def tail(self) -> Tail:
        """Say where the state stands after the records made so far: the tag of a kept table."""
        self._tail.as_of = list(self._as_of)
        self._tail.torn = frozenset(self._torn)
        return self._tail

    def claim(
        self, slot: str, generation: int, partitions: int, in_next: int, accepted_gap: int = 0
    ) -> list[KeyValue]:
        """Claim the partition, before anything is decided.

        `in_next` is the committed input offset that the same transaction sends again;
        `accepted_gap` the number of input records before it that an operator gave up.
        """
        tail = self._tail
        tail.epoch += 1
        tail.in_next = in_next
        claim = Claim(
            slot,
            generation,
            tail.epoch,
            tail.seq,
            in_next,
            accepted_gap,
            partitions,
            self._ring,
            self._slices,
        )
        return [encode_claim(claim)]

    def delta(
        self, in_next: int, stream_time: int, bundle: bytes, entries: bytes
    ) -> list[KeyValue]:
        """Make the delta of a transaction that commits `in_next`; `entries` may be empty.

        Called once per transaction that moves the offset, after the claim. `bundle` is the
        digest, 32 bytes. Raises StateTooLargeError.
        """
        tail = self._tail
        if tail.in_next is None:
            raise ValueError("a delta before the claim")
        seq = tail.seq + 1
        records, tail.chain = encode_delta(
            epoch=tail.epoch,
            seq=seq,
            in_from=tail.in_next,
            in_next=in_next,
            stream_time=stream_time,
            bundle=bundle,
            position=seq % self._ring,
            entries=entries,
            chain=tail.chain,
            limit=self._limit,
        )
        tail.seq, tail.in_next, tail.stream_time = seq, in_next, stream_time
        self._since += 1
        return records

    def due(self) -> list[int]:
        """Name the slices that the transaction of the last delta must snapshot.

        Every slice whose snapshot is older than half the ring (invariant W: otherwise a delta
        that it needs could be overwritten), and one in turn every `every` transactions.
        """
        oldest = min(range(self._slices), key=self._as_of.__getitem__)
        if self._since >= self._every:
            return self._overdue() or [oldest]
        return self._overdue() if self._is_overdue(oldest) else []

    def torn(self) -> list[int]:
        """Name the slices that the claim must snapshot: a crash cut their newest one off.

        What was written of it replaces the chunks before it once compaction comes by, and then
        the older snapshot, which the restore went back to, is whole no more.
        """
        return sorted(self._torn)

    def slice(self, slice_: int, entries: bytes) -> list[KeyValue]:
        """Make the snapshot of a slice as of the last delta; all records go with that delta.

        `entries` is what `Stage.snapshot` returns after `Stage.changes` was drained for the delta,
        or, where the claim takes a torn one again, after the restore.
        """
        tail = self._tail
        self._as_of[slice_] = tail.seq
        self._torn.discard(slice_)
        self._since = 0
        return encode_slice(
            slice_=slice_,
            epoch=tail.epoch,
            as_of_seq=tail.seq,
            stream_time=tail.stream_time,
            entries=entries,
            limit=self._limit,
        )

    def _is_overdue(self, slice_: int) -> bool:
        return self._as_of[slice_] <= self._tail.seq - self._ring // 2

    def _overdue(self) -> list[int]:
        return [slice_ for slice_ in range(self._slices) if self._is_overdue(slice_)]
