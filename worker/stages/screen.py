"""Turn posts into signals and sightings; check and forward what people and executors say.

The compiled screen judges every post and hands over those that a rule's gate lets through; the
rule's condition decides here. Nothing is kept in Python between two batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from fastpath.columns import Columns
from fastpath.records import BatchView
from fastpath.rows import Row
from fastpath.spec import FLAGS, Status
from worker.domain.dead_letter import Disposition, Reason
from worker.domain.signal import (
    AccountRef,
    Delete,
    Evidence,
    MatchEvidence,
    Notice,
    Origin,
    PostRef,
    Signal,
)
from worker.policy.bundle import Bundle, Rule, Verdict, Window
from worker.policy.conditions import post_activation
from worker.stages import wire
from worker.stages.dead_letters import dead_letter
from worker.stages.fields import Fields, MalformedRecordError
from worker.stages.protocols import Output, StatefulStage, copied
from worker.state.changelog import NO_TIME

# A post that was judged in part only: a person must look (the counts are lower bounds).
NOTICE_FLAGS: tuple[str, ...] = ("matches_truncated", "window_table_full")
_NOTICE_BITS = tuple((flag, 1 << FLAGS.index(flag)) for flag in NOTICE_FLAGS)


class Screen(Protocol):
    """Name what this stage uses of a screen; both backends have it."""

    def new_state(self, partition: int, placement_seed: bytes) -> Any:
        """Make the windows of one partition."""

    def step(self, view: BatchView, state: Any) -> Columns:
        """Judge every record; never raises on data."""


@dataclass(slots=True)
class ScreenTable:
    """Own the account windows of one partition of posts."""

    partition: int
    state: Any


@dataclass(frozen=True, slots=True)
class _Reads:
    """Name what one rule reads, so that its evidence cites that and nothing else."""

    lists: frozenset[str]
    windows: tuple[tuple[str, int], ...]  # name, place in Row.windows


class ScreenStage:
    """Judge posts (inputs[0]); check and forward reviews and receipts, which need no table.

    `placement_seed` is this process's own secret against crowded hash tables; it changes no
    output. Reviews and receipts are told from posts by the topic of their view.
    """

    name = "screen"
    inputs = ("posts", "reviews", "receipts")

    def __init__(
        self,
        bundle: Bundle,
        screen: Screen,
        *,
        placement_seed: bytes = b"\0" * 16,
        reviews_topic: str = "weir.reviews",
        receipts_topic: str = "weir.receipts",
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._bundle = bundle
        self._screen = screen
        self._placement_seed = placement_seed
        self._forwards: Mapping[str, Callable[[BatchView, int, Fields, str], bytes]] = {
            reviews_topic: _forward_review,
            receipts_topic: _forward_receipt,
        }
        places = {window.name: place for place, window in enumerate(bundle.account_windows)}
        self._reads = {rule.index: _reads(rule, places) for rule in bundle.post_rules}

    def new_table(self, partition: int, partitions: int) -> ScreenTable:
        """Make empty windows for one partition of posts; the partition count changes nothing."""
        del partitions
        return ScreenTable(partition, self._screen.new_state(partition, self._placement_seed))

    def entries(self, table: ScreenTable) -> Mapping[str, int]:
        """Count the accounts whose windows are in memory."""
        return {"accounts": table.state.accounts}

    def changes(self, table: ScreenTable) -> bytes:
        """Drain the accounts whose windows changed."""
        return cast("bytes", table.state.windows.changes())

    def snapshot(self, table: ScreenTable, slice_: int) -> bytes:
        """Pack the windows of a slice's accounts."""
        return cast("bytes", table.state.windows.snapshot(slice_))

    def restore(self, table: ScreenTable, stream_time: int, entries: bytes) -> None:
        """Apply packed windows; one that this bundle lacks stands still until it retires."""
        table.state.windows.restore(stream_time, entries)

    def clear(self, table: ScreenTable, slice_: int) -> None:
        """Forget the accounts of a slice."""
        table.state.windows.clear(slice_)

    def stream_time(self, table: ScreenTable) -> int:
        """Return the greatest origin time counted."""
        time = table.state.windows.stream_time
        return NO_TIME if time is None else int(time)

    def adopt(self, table: ScreenTable, older: StatefulStage) -> ScreenTable:
        """Take over the windows of another bundle; the same ones as they are."""
        if isinstance(older, ScreenStage) and older.windows == self.windows:
            return table
        return copied(older, table, self, self.new_table(table.partition, 1))

    @property
    def windows(self) -> tuple[Window, ...]:
        """List the windows that a table holds, in order."""
        return self._bundle.account_windows

    def step(self, table: ScreenTable | None, view: BatchView) -> list[Output]:
        """Judge posts, or forward reviews or receipts; table is None for the latter two."""
        forward = self._forwards.get(view.topic)
        if forward is not None:
            return [out for i in range(len(view)) for out in self._forward(view, i, forward)]
        if table is None:
            raise TypeError(f"posts of {view.topic} need the table of partition {view.partition}")
        columns = self._screen.step(view, table.state)
        outputs = [
            Output(
                batch.first_offset,
                batch.first_offset,
                "sightings",
                None,
                batch.value,
                batch.partition,
            )
            for batch in columns.sightings
        ]
        for row in columns.rows:
            if row.status is Status.POST:
                self._bundle.expressions.refine(row)
            outputs.extend(self._judge(view, row))
        outputs.sort(key=_cause)  # stable: sightings stand before the signals of one post
        return outputs

    def _judge(self, view: BatchView, row: Row) -> Iterator[Output]:
        origin = Origin(view.topic, view.partition, row.offset, wire.placed_time(row.time))
        if row.status is Status.REJECT:
            reason = Reason(row.reason or Reason.RECORD_CORRUPT)
            yield from self._reject(view, row.index, reason, row.error, origin)
            return
        account = _account(row)
        if row.status is Status.DELETE:
            self.counters["deletes"] += 1
            value = wire.encode_delete(Delete(account.id, row.id, origin))
            yield _signal_output(origin, account.id, value)
            return
        yield from self._rules(row, account, origin)
        for flag, bit in _NOTICE_BITS:
            if row.flags & bit:
                yield self._notice(account.id, _post(row), flag, origin)

    def _rules(self, row: Row, account: AccountRef, origin: Origin) -> Iterator[Output]:
        if not row.gates:
            return
        activation = post_activation(self._bundle, row)
        for rule in self._bundle.post_rules:
            if not row.gates >> rule.index & 1:
                continue
            verdict = rule.when.evaluate(activation)
            if verdict is Verdict.ERROR:
                self.counters[f"rule_errors.{rule.name}"] += 1
            if verdict is not Verdict.TRUE:
                continue
            self.counters[f"rule_hits.{rule.name}.{rule.mode}"] += 1
            signal = Signal(
                account,
                _post(row),
                origin,
                rule.policy,
                rule.id,
                "live" if rule.mode == "live" else "shadow",
                self._bundle.digest,
                _evidence(row, self._reads[rule.index]),
            )
            yield _signal_output(origin, account.id, wire.encode_signal(signal), (rule.name,))

    def _reject(
        self, view: BatchView, index: int, reason: Reason, error: str, origin: Origin
    ) -> Iterator[Output]:
        self.counters[f"dead_letters.{reason.value}.{Disposition.POISON.value}"] += 1
        yield dead_letter(
            self.name, view, index, reason, Disposition.POISON, error, self._bundle.digest
        )
        account = wire.account_of_key(view.key(index))
        notice = self._notice(account, None, reason.value, origin)
        # Where the key is no account id the notice still goes to the key's partition.
        yield notice._replace(key=view.key(index))

    def _notice(
        self, account: str | None, post: PostRef | None, reason: str, origin: Origin
    ) -> Output:
        self.counters[f"notices.{reason}"] += 1
        value = wire.encode_notice(Notice(account, post, reason, origin))
        return _signal_output(origin, account, value)

    def _forward(
        self,
        view: BatchView,
        index: int,
        forward: Callable[[BatchView, int, Fields, str], bytes],
    ) -> Iterator[Output]:
        offset = view.offset(index)
        try:
            account = wire.account_of_key(view.key(index))
            if account is None:
                raise MalformedRecordError(Reason.KEY_MISMATCH, "the key must be the account's id")
            record = wire.parse(view.value(index))
            if record.has("account") and record.object("account").id("id") != account:
                raise MalformedRecordError(Reason.KEY_MISMATCH, "account.id differs from the key")
            value = forward(view, index, record, account)
        except MalformedRecordError as error:
            origin = Origin(view.topic, view.partition, offset, max(view.time(index), 0))
            yield from self._reject(view, index, error.reason, str(error), origin)
            return
        self.counters[f"forwarded.{view.topic}"] += 1
        yield Output(offset, offset, "signals", view.key(index), value)


def _cause(output: Output) -> int:
    return output.cause


def _signal_output(
    origin: Origin, account: str | None, value: bytes, rules: tuple[str, ...] = ()
) -> Output:
    key = wire.account_key(account)
    return Output(origin.offset, origin.offset, "signals", key, value, rules=rules)


def _forwarded_origin(view: BatchView, index: int, said: int) -> Origin:
    """Take the earlier of what the record says and when the broker took it.

    So nobody can write a decision or a delivery into the future.
    """
    time = min(said, max(view.time(index), 0))
    return Origin(view.topic, view.partition, view.offset(index), time)


def _forward_review(view: BatchView, index: int, record: Fields, account: str) -> bytes:
    record.one_of("kind", ("review",))
    origin = _forwarded_origin(view, index, record.time("time"))
    return wire.encode_review(wire.read_review(record, account, origin))


def _forward_receipt(view: BatchView, index: int, record: Fields, account: str) -> bytes:
    record.one_of("kind", ("receipt",))
    origin = _forwarded_origin(view, index, record.time("at"))
    return wire.encode_receipt(wire.read_receipt(record, account, origin))


def _reads(rule: Rule, places: Mapping[str, int]) -> _Reads:
    lists = frozenset(
        name.split(".")[1] for name in rule.when.variables if name.startswith("matches.")
    )
    return _Reads(lists, tuple((name, places[name]) for name in rule.windows))


def _account(row: Row) -> AccountRef:
    return AccountRef(row.account, row.account_created_at)


def _post(row: Row) -> PostRef:
    return PostRef(row.id, row.revision, row.text_digest.hex())


def _evidence(row: Row, reads: _Reads) -> Evidence:
    keywords = [
        MatchEvidence(m.list, m.pattern, m.lane, (m.start, m.end), m.count, None)
        for m in row.matches
        if m.list in reads.lists
    ]
    hashes = [
        MatchEvidence(h.list, h.entry, None, None, 1, h.distance)
        for h in row.hits
        if h.list in reads.lists
    ]
    flags = [flag for place, flag in enumerate(FLAGS) if row.flags >> place & 1]
    windows = {name: row.windows[place] for name, place in reads.windows}
    return Evidence((*keywords, *hashes), windows, tuple(flags))
