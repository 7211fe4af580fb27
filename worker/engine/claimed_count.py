"""Ask a stage's state topic for how many partitions of the input it was written.

A partition without offset and state may begin with an empty table only where its stage begins. In
a stage that has state it means that partitions were added: keys have moved away from theirs, and
whoever holds none of the old partitions would not meet a claim that says so (docs/state.md).
"""

from __future__ import annotations

from fastpath.errors import CorruptImage
from worker.domain.errors import StateMismatch
from worker.engine.asker import Asker
from worker.engine.commands import ReadState, Steps
from worker.settings import MIB
from worker.state.changelog import CLAIM_KEY, Claim, decode
from worker.state.restore import check_partitions
from worker.transport.protocols import Partition, StateRecord

PIECE_BYTES = 32 * MIB  # held at once; a state record is at most 512 KiB


class ClaimedCount:
    """Read every state partition up to its first claim, or its end, once per assignment."""

    def __init__(self, asker: Asker, state_topic: str) -> None:
        self._asker = asker
        self._topic = state_topic
        self._left: dict[Partition, int | None] | None = None  # where each is read on

    def forget(self) -> None:
        """Ask anew: others may have claimed partitions since."""
        self._left = None

    def agrees(self, partitions: int, budget_s: float) -> Steps[bool]:
        """Go on for about `budget_s`; True once no partition was claimed under another count.

        Raises:
            StateMismatch: one was, or the topic lacks a partition that the input has.
        """
        if self._left is None:
            self._left = {Partition(self._topic, number): None for number in range(partitions)}
        if self._left:
            piece = yield from self._asker.ask(ReadState(dict(self._left), budget_s, PIECE_BYTES))
            self._left |= piece.positions
            for partition, records in piece.records.items():
                if self._meets(partition, records, partitions) or partition in piece.drained:
                    del self._left[partition]
        return not self._left

    def _meets(
        self, partition: Partition, records: tuple[StateRecord, ...], partitions: int
    ) -> bool:
        """Check the first claim; tell whether there is one."""
        first = next((record for record in records if record.key == CLAIM_KEY), None)
        if first is None:
            return False
        try:
            claim = decode(first.value)
            if isinstance(claim, Claim):
                check_partitions(claim, partitions)
        except (CorruptImage, StateMismatch) as error:
            where = f"{partition.topic}-{partition.number} at offset {first.offset}"
            raise StateMismatch(f"{where}: {error}") from error
        return True
