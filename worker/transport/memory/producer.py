"""Write to a memory broker, in transactions or without; records reach their logs at a flush."""

from __future__ import annotations

from collections.abc import Mapping

from worker.domain.errors import Fatal
from worker.transport.memory.broker import Epoch, MemoryBroker, Transaction
from worker.transport.protocols import CommitInDoubt, Ended, Flushed, Group, Headers, Partition


class MemoryProducer:
    """Implement `worker.transport.protocols.Producer`; without a transactional id a plain sink."""

    def __init__(
        self, broker: MemoryBroker, transactional_id: str | None = None, group: str = ""
    ) -> None:
        self._broker = broker
        self._id = transactional_id
        self._group = group
        self._epoch: Epoch | None = None
        self._transaction: Transaction | None = None
        self._held: list[tuple[str, int, bytes | None, bytes | None, Headers]] = []
        self.made = 0  # clients so far
        self.replace()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Hold a record until the flush; Fatal where topic or partition do not exist."""
        if self._epoch is not None and self._transaction is None:
            raise Fatal("a transactional client sends within a transaction alone")
        placed = self._broker.place(topic, key, partition)
        self._held.append((topic, placed, key, value, headers))

    def flush(self, timeout_s: float) -> int:
        """Append what is held, in order; raise where a record was not acknowledged."""
        flushed = self.settle(timeout_s)
        if flushed.failed:
            raise Fatal(flushed.reason)
        return flushed.acknowledged

    def settle(self, timeout_s: float) -> Flushed:
        """Append what is held, in order; under `flush_fails` all but the last record."""
        held, self._held = self._held, []
        if self._epoch is not None:
            self._broker.check_epoch(self._epoch)
        failed = 1 if self._broker.faults.flush_fails and held else 0
        last: dict[Partition, int] = {}
        for topic, placed, key, value, headers in held[: len(held) - failed]:
            last[Partition(topic, placed)] = self._broker.append(
                topic,
                key,
                value,
                partition=placed,
                headers=headers,
                transaction=self._transaction,
            )
        reason = f"1 of {len(held)} records was not acknowledged within {timeout_s} s"
        return Flushed(len(held) - failed, failed, reason if failed else "", last)

    def begin(self) -> None:
        """Begin a transaction."""
        assert self._epoch is not None  # noqa: S101  # of a transactional client alone
        self._transaction = self._broker.begin(self._epoch)

    def send_offsets(self, offsets: Mapping[Partition, int], group: Group) -> None:
        """Put input offsets into the transaction."""
        assert self._epoch is not None  # noqa: S101  # as above
        self._broker.send_offsets(self._epoch, self._group, offsets, group)

    def commit(self) -> Ended:
        """Commit the transaction."""
        assert self._epoch is not None  # noqa: S101  # as above
        faults = self._broker.faults
        self._broker.commit(self._epoch)
        self._transaction = None
        if faults.commit_unanswered:
            raise CommitInDoubt("no answer to a commit")
        return Ended(faults.slow_commit_s, faults.end_requests)

    def replace(self) -> None:
        """Begin a new epoch."""
        self.made += 1
        if self._id is not None:
            self._epoch = self._broker.initialise(self._id)

    def close(self, timeout_s: float) -> None:
        """Give up what was not flushed; an open transaction stays open, as after a crash."""
        del timeout_s
        self._held.clear()
