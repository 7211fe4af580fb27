"""Read state partitions of a memory broker."""

from __future__ import annotations

from collections.abc import Mapping

from worker.domain.errors import StateMismatch
from worker.transport.memory.broker import MemoryBroker
from worker.transport.protocols import Partition, StatePiece, StateRecord


class MemoryStateReader:
    """Implement `worker.transport.protocols.StateReader`; a piece ends at `most` records."""

    def __init__(self, broker: MemoryBroker, most: int = 1_000_000) -> None:
        self._broker = broker
        self._most = most

    def read(
        self, positions: Mapping[Partition, int | None], budget_s: float, budget_bytes: int
    ) -> StatePiece:
        """Read on at `positions`."""
        del budget_s, budget_bytes
        records: dict[Partition, tuple[StateRecord, ...]] = {}
        reached: dict[Partition, int] = {}
        drained = set()
        for partition, position in positions.items():
            log = self._broker.log(partition)
            at = log.beginning if position is None else position
            if not log.beginning <= at <= log.end:
                raise StateMismatch(f"{partition}: offset {at} lies outside the log")
            found = [record for record in log.committed if record.offset >= at]
            taken = found[: self._most]
            records[partition] = tuple(StateRecord(r.offset, r.key, r.value) for r in taken)
            if len(taken) == len(found):
                drained.add(partition)
                reached[partition] = max(log.stable_end, at)
            else:
                reached[partition] = taken[-1].offset + 1
        return StatePiece(records, reached, frozenset(drained))

    def close(self, timeout_s: float) -> None:
        """Let go of nothing."""
        del timeout_s
