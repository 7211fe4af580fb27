"""Write outputs, state and offsets: in one transaction, or in the order of at-least-once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from worker.domain.errors import Fatal
from worker.engine.asker import Asker
from worker.engine.commands import (
    Begin,
    Commit,
    CommitOffsets,
    Flush,
    Purpose,
    Record,
    ReplaceProducer,
    Send,
    SendOffsets,
    Steps,
)
from worker.obs.names import Meter
from worker.settings import Settings
from worker.transport.protocols import Flushed, Group, Partition

# At least once a restore goes on where the state says, so offsets may follow behind: a commit with
# each turn would cost a third of its requests. What an input without state repeats after a crash,
# and how long a process writes on whose group went on without it; < kafka.heartbeat_interval_ms.
OFFSETS_S = 0.25

# Offset of the last record by partition; -1: not told.
Last: TypeAlias = Mapping[Partition, int]


class Writer:
    """Hold the rules of writing; any failure is Fatal, and the next start settles what it left."""

    def __init__(self, settings: Settings, asker: Asker, meter: Meter) -> None:
        self._asker = asker
        self._meter = meter
        self._exactly_once = settings.delivery == "exactly-once"
        self._flush_s = settings.shutdown.flush_ms / 1000
        self._commit_s = settings.shutdown.commit_ms / 1000
        self._flushed_at = 0.0  # when the newest flush ended, monotonic seconds
        self._behind: dict[Partition, int] = {}  # at least once: offsets to be committed
        self._settled_at = float("-inf")  # when some were
        # A commit slower than this may have sent a request that still travels.
        self._slow_s = settings.kafka.request_timeout_ms / 2000

    def write(
        self,
        purpose: Purpose,
        outputs: Sequence[Record],
        state: Sequence[Record],
        offsets: Mapping[Partition, int],
        group: Group,
    ) -> Steps[Last]:
        """Write all of it, bound to the snapshot of the poll that it came from.

        At least once the offsets are committed by `settle`, not before all else is acknowledged.

        Raises:
            Fatal: a record was not acknowledged; nothing more may be written by this process.
        """
        began, self._flushed_at = self._asker.now, self._asker.now
        if self._exactly_once:
            last = yield from self._transaction(purpose, outputs, state, offsets, group)
            self._took("commit", self._asker.now - self._flushed_at)
        else:
            last = yield from self._at_least_once(outputs, state, offsets)
        self._took("produce", self._flushed_at - began)
        for topic, count in Counter(record.topic for record in (*outputs, *state)).items():
            self._meter.add("weir_records_produced_total", (topic,), count)
        return last

    def settle(self, group: Group, *, at_once: bool = False) -> Steps[str]:
        """Commit what at least once has written, `at_once` or where a while has passed.

        Returns why the group refused: it has moved on, and nothing was committed.
        """
        began = self._asker.now
        if not self._behind or (began < self._settled_at + OFFSETS_S and not at_once):
            return ""
        offsets, self._behind = self._behind, {}
        refused = yield from self._asker.ask(CommitOffsets(offsets, group, self._commit_s))
        self._settled_at = self._asker.now
        self._took("commit", self._settled_at - began)
        self._meter.add("weir_transactions_total", ("refused" if refused else "committed",))
        return refused

    def forget(self) -> None:
        """Leave offsets to whoever owns their partitions from here on."""
        self._behind = {}

    def _took(self, step: str, seconds: float) -> None:
        self._meter.observe("weir_stage_duration_seconds", seconds, (step,))

    def _transaction(
        self,
        purpose: Purpose,
        outputs: Sequence[Record],
        state: Sequence[Record],
        offsets: Mapping[Partition, int],
        group: Group,
    ) -> Steps[Last]:
        ask = self._asker.ask
        yield from ask(Begin(purpose))
        yield from ask(Send((*outputs, *state)))
        # Nothing may be in flight when the offsets follow: the client would commit without
        # records that failed late, and says so nowhere but in their futures.
        flushed = yield from self._flush()
        yield from ask(SendOffsets(offsets, group))
        ended = yield from ask(Commit(purpose))
        self._meter.add("weir_transactions_total", ("committed",))
        self._meter.observe("weir_transaction_commit_seconds", ended.seconds)
        if ended.requests != 1 or ended.seconds > self._slow_s:
            self._meter.add("weir_producers_replaced_total")
            yield from ask(ReplaceProducer())
        return flushed.last

    def _at_least_once(
        self,
        outputs: Sequence[Record],
        state: Sequence[Record],
        offsets: Mapping[Partition, int],
    ) -> Steps[Last]:
        """Outputs before state before offsets: a crash between them repeats outputs alone."""
        last: Last = {}
        for records in (outputs, state):
            if records:
                yield from self._asker.ask(Send(tuple(records)))
                last = (yield from self._flush()).last
        self._behind |= offsets
        return last if state else {}

    def _flush(self) -> Steps[Flushed]:
        began = self._asker.now
        flushed = yield from self._asker.ask(Flush(self._flush_s))
        self._flushed_at = self._asker.now
        self._meter.add("weir_backpressure_seconds_total", (), self._flushed_at - began)
        if flushed.failed:
            raise Fatal(
                f"{flushed.failed} of {flushed.failed + flushed.acknowledged} records were not "
                f"acknowledged: {flushed.reason}"
            )
        return flushed
