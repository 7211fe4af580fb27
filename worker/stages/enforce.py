"""Turn signals into actions: the only writer of actions and of the two strike ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fastpath.changelog import pack, unpack
from fastpath.errors import CorruptImage
from fastpath.records import BatchView
from worker.domain.dead_letter import Disposition
from worker.domain.signal import Delete, Notice, Receipt, Review, Signal, SignalRecord
from worker.policy.bundle import Bundle
from worker.stages import wire
from worker.stages.dead_letters import dead_letter
from worker.stages.fields import MalformedRecordError
from worker.stages.judge import Book, Judge
from worker.stages.protocols import Output, StatefulStage
from worker.stages.reviews import Reviews
from worker.stages.statement import Statements
from worker.state.breaker import Breaker
from worker.state.changelog import NO_TIME
from worker.state.ledger import Ledger
from worker.state.rows import NEVER

# The first byte of an entry's value says whose it is: ledger or breaker, live or shadow.
_LEDGERS = (b"L", b"l")
_BREAKERS = (b"B", b"b")


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
        self._key = deployment_key
        statements = Statements(bundle, deployment, deployment_key)
        self._judge = Judge(bundle, statements, act_after_ms, self.counters)
        self._reviews = Reviews(bundle, self._judge, self.counters)

    def new_table(self, partition: int, partitions: int) -> EnforceTable:
        """Make empty ledgers; the breaker's limits are split over `partitions`."""
        live, shadow = (
            Book(
                Ledger(self._key, _LEDGERS[is_shadow]),
                Breaker(
                    self._bundle.limits, partition, partitions, self._key, _BREAKERS[is_shadow]
                ),
                is_shadow,
            )
            for is_shadow in (False, True)
        )
        return EnforceTable(live, shadow)

    def changes(self, table: EnforceTable) -> bytes:
        """Drain the rows, findings and breaker counts that changed."""
        return pack(
            entry
            for book in self._books(table)
            for entry in (*book.ledger.changes(), *book.breaker.changes())
        )

    def snapshot(self, table: EnforceTable, slice_: int) -> bytes:
        """Pack a slice of both ledgers and breakers."""
        entries = [
            entry
            for book in self._books(table)
            for entry in (*book.ledger.snapshot(slice_), *book.breaker.snapshot(slice_))
        ]
        return pack(sorted(entries))

    def restore(self, table: EnforceTable, stream_time: int, entries: bytes) -> None:
        """Apply packed entries; a row is read when its account is next seen."""
        time = max(stream_time, -NEVER)
        for book in self._books(table):
            book.ledger.set_time(time)
        for key, value, deleted in unpack(entries):
            owner, image = value[:1], value[1:]
            if owner in _LEDGERS:
                self._books(table)[_LEDGERS.index(owner)].ledger.restore(key, image, deleted)
            elif owner in _BREAKERS:
                self._books(table)[_BREAKERS.index(owner)].breaker.restore(image)
            else:
                raise CorruptImage(f"a ledger entry of owner {owner!r}")

    def clear(self, table: EnforceTable, slice_: int) -> None:
        """Forget a slice of both ledgers and breakers."""
        for book in self._books(table):
            book.ledger.clear(slice_)
            book.breaker.clear(slice_)

    def stream_time(self, table: EnforceTable) -> int:
        """Return the greatest origin time judged."""
        time = table.live.ledger.stream_time
        return NO_TIME if time == -NEVER else time

    @staticmethod
    def _books(table: EnforceTable) -> tuple[Book, Book]:
        return table.live, table.shadow

    def entries(self, table: EnforceTable) -> Mapping[str, int]:
        """Count accounts with a ledger row."""
        return {"accounts": len(table.live.ledger), "shadow": len(table.shadow.ledger)}

    def adopt(self, table: EnforceTable, older: StatefulStage) -> EnforceTable:
        """Take over ledgers and breakers, which go on under this bundle's limits."""
        del older  # a row holds what bundles have decided, and is read the same way by all
        for book in self._books(table):
            book.breaker.limit(self._bundle.limits)
        return table

    def step(self, table: EnforceTable, view: BatchView) -> list[Output]:
        """Judge signals in order."""
        outputs: list[Output] = []
        live, shadow = table.live.ledger, table.shadow.ledger
        for index in range(len(view)):
            try:
                record = wire.decode_signal_record(view.value(index))
            except MalformedRecordError as error:
                outputs.append(self._reject(view, index, error))
                continue
            live.advance(record.origin.time)
            shadow.advance(record.origin.time)
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
                    for book in self._books(table)
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

    def _reject(self, view: BatchView, index: int, error: MalformedRecordError) -> Output:
        """Set aside a record that no stage of ours writes: systemic, so the fuse sees it."""
        disposition = Disposition.SYSTEMIC
        self.counters[f"dead_letters.{error.reason.value}.{disposition.value}"] += 1
        return dead_letter(
            self.name, view, index, error.reason, disposition, str(error), self._bundle.digest
        )
