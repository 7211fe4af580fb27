"""Turn signals into actions: the only writer of actions and of the two strike ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fastpath.records import BatchView
from worker.domain.dead_letter import Disposition
from worker.domain.signal import Delete, Notice, Receipt, Review, Signal, SignalRecord
from worker.policy.bundle import Bundle
from worker.stages import wire
from worker.stages.dead_letters import dead_letter
from worker.stages.judge import Book, Judge
from worker.stages.protocols import Output
from worker.stages.reviews import Reviews
from worker.stages.statement import Statements
from worker.state.breaker import Breaker
from worker.state.ledger import Ledger


@dataclass(slots=True)
class EnforceTable:
    """Own what one partition of signals has led to: what is in force, and what would be."""

    live: Book
    shadow: Book


class EnforceStage:
    """Judge signals by a bundle; docs/ledger.md states every rule.

    `act_after_ms` None judges every post; else decisions on posts of earlier origin become
    review. Deployment and key name actions, so they are equal on all workers.
    """

    name = "enforce"
    inputs = ("signals",)

    def __init__(
        self, bundle: Bundle, deployment: str, deployment_key: bytes, act_after_ms: int | None
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._bundle = bundle
        statements = Statements(bundle, deployment, deployment_key)
        self._judge = Judge(bundle, statements, act_after_ms, self.counters)
        self._reviews = Reviews(bundle, self._judge, self.counters)

    def new_table(self, partition: int, partitions: int) -> EnforceTable:
        """Make empty ledgers; the breaker's limits are split over `partitions`."""
        live, shadow = (
            Book(Ledger(), Breaker(self._bundle.limits, partition, partitions), is_shadow)
            for is_shadow in (False, True)
        )
        return EnforceTable(live, shadow)

    def entries(self, table: EnforceTable) -> Mapping[str, int]:
        """Count accounts with a ledger row."""
        return {"accounts": len(table.live.ledger), "shadow": len(table.shadow.ledger)}

    def step(self, table: EnforceTable, view: BatchView) -> list[Output]:
        """Judge signals in order."""
        outputs: list[Output] = []
        for index in range(len(view)):
            try:
                record = wire.decode_signal_record(view.value(index))
            except wire.MalformedRecordError as error:
                outputs.append(self._reject(view, index, error))
                continue
            for book in (table.live, table.shadow):
                book.ledger.advance(record.origin.time)
            where = (view.topic, view.partition, view.offset(index))
            outputs.extend(self._apply(table, record, where))
        return outputs

    def _apply(
        self, table: EnforceTable, record: SignalRecord, where: tuple[str, int, int]
    ) -> list[Output]:
        match record:
            case Signal():
                case = self._judge.signal(self._book(table, record), record, where)
                return case.outputs if case is not None else []
            case Notice():
                return self._judge.notice(table.live, record, where).outputs
            case Delete():
                return [
                    output
                    for book in (table.live, table.shadow)
                    for output in self._reviews.delete(book, record, where)
                ]
            case Review():
                return self._reviews.review(table.live, record, where)
            case Receipt():
                self._reviews.receipt(table.live, record)
                return []

    def _book(self, table: EnforceTable, signal: Signal) -> Book:
        """Choose the ledger: live only where the signal and this bundle both say so."""
        rule = self._bundle.find_rule(signal.policy, signal.rule)
        here = rule.mode if rule is not None else "live"
        if self._bundle.enforcement == "observe" or signal.mode == "shadow" or here == "shadow":
            return table.shadow
        return table.live

    def _reject(self, view: BatchView, index: int, error: wire.MalformedRecordError) -> Output:
        """Set aside a record that no stage of ours writes: systemic, so the fuse sees it."""
        disposition = Disposition.SYSTEMIC
        self.counters[f"dead_letters.{error.reason.value}.{disposition.value}"] += 1
        return dead_letter(
            self.name, view, index, error.reason, disposition, str(error), self._bundle.digest
        )
