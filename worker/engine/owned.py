"""Keep what the engine knows of each partition: where it stands and the table it owns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from fastpath.records import BatchView
from worker.engine.fuse import Fuse
from worker.engine.start_point import Point
from worker.stages.protocols import Table
from worker.transport.protocols import Committed, Partition


@dataclass(slots=True)
class Owned:
    """Hold one assigned partition, or the table of one that was, kept for its return."""

    partition: Partition
    point: Point
    table: Table | None  # None for an input without state
    next: int  # the offset to step next
    committed: int  # as the brokers have it
    live_from: int  # below it outputs are suppressed: they were written before
    since: float  # when it was assigned
    fuse: Fuse
    restored: bool = False
    time: int = 0  # of the last record stepped, ms

    @property
    def restoring(self) -> bool:
        """Tell whether state is still re-read and nothing is decided yet."""
        return self.next < self.live_from

    @property
    def to_commit(self) -> Committed | None:
        """Return the offset to commit, or None where nothing new was decided."""
        if self.restoring or self.next <= self.committed:
            return None
        return Committed(self.next, self.point.note)

    def resumable(self, point: Point) -> bool:
        """Tell whether the table can go on under a new assignment.

        A table is a function of the records from `start` to `next`. Beyond the committed offset
        it holds decisions nobody may know of, so it is rebuilt.
        """
        return self.point.start == point.start and self.next <= point.committed


def first_at(view: BatchView, offset: int) -> int:
    """Return the index of the first record at or after `offset`; len(view) when there is none."""
    return bisect_left(_Offsets(view), offset)


class _Offsets(Sequence[int]):
    """Show a view's offsets, which rise, to bisect."""

    def __init__(self, view: BatchView) -> None:
        self._view = view

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]  # bisect takes no slices
        return self._view.offset(index)
