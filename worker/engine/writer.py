"""Write outputs, state and offsets: in one transaction, or in the order of at-least-once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

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


class Written(NamedTuple):
    """Say what came of a write that did not fail."""

    last: Mapping[Partition, int]  # offset of the last record by partition; -1: not told
    refused: str = ""  # at least once alone: the group moved on, the offsets were not committed


class Writer:
    """Hold the rules of writing; any failure is Fatal, and the next start settles what it left."""

    def __init__(self, settings: Settings, asker: Asker, meter: Meter) -> None:
        self._asker = asker
        self._meter = meter
        self._exactly_once = settings.delivery == "exactly-once"
        self._flush_s = settings.shutdown.flush_ms / 1000
        self._commit_s = settings.shutdown.commit_ms / 1000
        self._flushed_at = 0.0  # when the newest flush ended, monotonic seconds
        # A commit slower than this may have sent a request that still travels.
        self._slow_s = settings.kafka.request_timeout_ms / 2000

    def write(
        self,
        purpose: Purpose,
        outputs: Sequence[Record],
        state: Sequence[Record],
        offsets: Mapping[Partition, int],
        group: Group,
    ) -> Steps[Written]:
        """Write all of it, bound to the snapshot of the poll that it came from.

        Raises:
            Fatal: a record was not acknowledged; nothing more may be written by this process.
        """
        began, self._flushed_at = self._asker.now, self._asker.now
        if self._exactly_once:
            written = yield from self._transaction(purpose, outputs, state, offsets, group)
        else:
            written = yield from self._at_least_once(outputs, state, offsets, group)
        for step, seconds in (
            ("produce", self._flushed_at - began),
            ("commit", self._asker.now - self._flushed_at),
        ):
            self._meter.observe("weir_stage_duration_seconds", seconds, (step,))
        for topic, count in Counter(record.topic for record in (*outputs, *state)).items():
            self._meter.add("weir_records_produced_total", (topic,), count)
        return written

    def _transaction(
        self,
        purpose: Purpose,
        outputs: Sequence[Record],
        state: Sequence[Record],
        offsets: Mapping[Partition, int],
        group: Group,
    ) -> Steps[Written]:
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
        return Written(flushed.last)

    def _at_least_once(
        self,
        outputs: Sequence[Record],
        state: Sequence[Record],
        offsets: Mapping[Partition, int],
        group: Group,
    ) -> Steps[Written]:
        """Outputs before state before offsets: a crash between them repeats outputs alone."""
        ask = self._asker.ask
        last: Mapping[Partition, int] = {}
        for records in (outputs, state):
            if records:
                yield from ask(Send(tuple(records)))
                last = (yield from self._flush()).last
        refused = yield from ask(CommitOffsets(offsets, group, self._commit_s))
        self._meter.add("weir_transactions_total", ("refused" if refused else "committed",))
        return Written(last if state else {}, refused)

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
