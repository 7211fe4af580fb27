"""Find where each assigned partition goes on, and rebuild its table up to there.

A partition starts only where its own state says, and only if that equals the stable committed
offset of its input; anything else is a stop for a person, never a guess (docs/delivery.md). Tables
of revoked partitions are kept, and read on from where their state stood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from worker.domain.errors import ConfigError, RetentionOvertook, StateMismatch
from worker.engine.asker import Asker
from worker.engine.claimed_count import PIECE_BYTES, ClaimedCount
from worker.engine.commands import (
    CountPartitions,
    ReadBeginnings,
    ReadCommitted,
    ReadEnds,
    ReadState,
    ReadTimes,
    Steps,
)
from worker.engine.fuse import Fuse
from worker.engine.owned import Owned
from worker.engine.tell import Tell
from worker.settings import Settings, Start
from worker.stages.protocols import StatefulStage, Table
from worker.state.restore import Restore, Tail
from worker.transport.protocols import Partition, StateRecord

# An open transaction may hold an offset, or the end of a state partition, for its timeout and
# two rounds of the brokers' search for timed-out ones (10 s by default, kafka.check warns above
# 1 s). After that what is missing will not come. > transaction_timeout_ms.
SEARCH_MS = 10_000
KEPT_S = 600.0  # a table of a partition that went elsewhere is freed after this
ADVICE = "Nothing was decided; docs/fail-stops.md says what to do"


T = TypeVar("T")


class Spread(Protocol):
    """Do a piece of work for each of several things: in turn as `map`, or on threads."""

    def __call__(self, work: Callable[[T], None], over: Iterable[T], /) -> Iterable[None]:
        """Return what the work returned, in order; raise what one of them raised."""


@dataclass(slots=True)
class Restoring:
    """Follow one assigned partition until it can be claimed; or keep the table of one that left."""

    partition: Partition
    since: float  # when it was assigned or, where it was decided on before, revoked
    fuse: Fuse
    bound: float = 0.0  # when this assignment of it began
    stable_at: float = 0.0  # when its committed offset was known (last)
    partitions: int = 0  # of the input topic; 0: not counted yet
    table: Table | None = None
    restore: Restore | None = None  # None for an input without state
    state_next: int | None = None  # where the state is read on; None: its beginning
    warm: bool = False
    located: bool = False  # `committed`, `beginning` and `partitions` are known
    committed: int | None = None
    beginning: int = 0
    behind_since: float | None = None  # the state was read to its end and is not there yet
    asked_at: int | None = None  # where the state stood when the offset was asked for again
    at: int | None = None  # where it goes on; set once everything holds
    gap: int = 0  # records before `at` that retention deleted and an operator gave up

    def again(self) -> None:
        """Forget what the brokers said: it was said to an older assignment."""
        self.located = False
        self.asked_at = self.behind_since = self.at = None

    def __str__(self) -> str:
        return f"{self.partition.topic}-{self.partition.number}"


class Restorer:
    """Hold the partitions of the current assignment that are not decided on yet."""

    def __init__(
        self,
        stage: StatefulStage,
        settings: Settings,
        asker: Asker,
        tell: Tell,
        *,
        start: Start | None,
        accept_gap: int | None,
        spread: Spread,
    ) -> None:
        """`spread` fills the tables of several partitions, each by itself."""
        self._stage = stage
        self._spread = spread
        self._posts = settings.topic("posts")
        self._input = settings.topic(stage.inputs[0])
        self._state_topic = settings.topic(f"state.{stage.name}")
        self._exactly_once = settings.delivery == "exactly-once"
        self._ask_s = settings.kafka.request_timeout_ms / 1000
        self._bound_s = (settings.kafka.transaction_timeout_ms + 2 * SEARCH_MS) / 1000
        self._asker = asker
        self._claims = ClaimedCount(asker, self._state_topic)
        self._tell = tell
        self._start = start
        self._accept_gap = accept_gap
        self._restoring: dict[Partition, Restoring] = {}
        self._kept: dict[Partition, Restoring] = {}
        self._patience_s = 0.0  # for questions that went unanswered within a piece
        # What is on its way into the tables, and into which: at most two pieces.
        self._feeding: deque[tuple[frozenset[Partition], Iterable[None]]] = deque()

    @property
    def count(self) -> int:
        """Return how many assigned partitions are not decided on yet."""
        return len(self._restoring)

    @property
    def ready(self) -> list[Restoring]:
        """Return the partitions that can be claimed."""
        return [each for each in self._restoring.values() if each.at is not None]

    def succeed(self, stage: StatefulStage) -> None:
        """Restore with another stage from here on; called while nothing is being restored.

        Tables kept for a later assignment are let go of: their partitions are read anew.
        """
        self._stage = stage
        self._kept = {}

    def suspend(self, owned: Iterable[Owned]) -> None:
        """Keep every table for a later assignment, with the place that its state stands at."""
        # A restore at work is kept as it is: it goes on with the records it has not seen.
        self._kept |= {p: each for p, each in self._restoring.items() if each.restore is not None}
        self._restoring = {}
        for each in owned:
            if each.writer is None or each.state_next is None:
                continue
            self._kept[each.partition] = Restoring(
                each.partition,
                self._asker.now,
                each.fuse,
                partitions=each.partitions,
                table=each.table,
                restore=self._new_restore(each.table, each.partitions, each.writer.tail),
                state_next=each.state_next,
                warm=True,
            )

    def bind(self, assigned: Iterable[Partition]) -> None:
        """Take over an assignment; nothing of it is known yet."""
        now = self._asker.now
        self._claims.forget()
        for partition in assigned:
            kept = self._kept.pop(partition, None)
            fresh = kept or Restoring(partition, now, Fuse(partition.topic, partition.number))
            fresh.again()
            fresh.bound = now
            self._restoring[partition] = fresh
        old = [p for p, each in self._kept.items() if now - each.since > KEPT_S]
        for partition in old:
            del self._kept[partition]

    def claimed(self, restored: Iterable[Restoring]) -> None:
        """Let go of partitions that are decided on from here on."""
        for each in restored:
            del self._restoring[each.partition]

    def piece(self, budget_s: float) -> Steps[None]:
        """Go on with every partition for about `budget_s`.

        Raises:
            StateMismatch, RetentionOvertook, ConfigError: a person must decide.
        """
        unplaced = [each for each in self._restoring.values() if not each.located]
        if unplaced and not (yield from self._locate(unplaced, budget_s)):
            return
        waiting = [each for each in self._restoring.values() if each.at is None]
        drained = yield from self._read([each for each in waiting if each.restore], budget_s)
        if drained:
            self._fed()  # what is judged is the table
        for each in waiting:
            if each.restore is None:
                each.at = each.beginning if each.committed is None else each.committed
                self._pass_gap(each)
            elif self._state(each) in drained:
                yield from self._judge(each, each.restore, budget_s)

    # Where the brokers say that a partition goes on (RS1, RS4).

    def _locate(self, unplaced: list[Restoring], budget_s: float) -> Steps[bool]:
        """Ask for longer each time that no answer came: a broker may be further than a piece.

        An offset that is not known may be unstable, and then no patience helps.
        """
        ask = self._asker.ask
        partitions = frozenset(each.partition for each in unplaced)
        limit_s = min(max(budget_s, self._patience_s), self._ask_s)
        self._patience_s = 2 * limit_s
        # In this order: retention may go on behind what others commit in between.
        beginnings = yield from ask(ReadBeginnings(partitions, limit_s))
        if beginnings is None:
            return False
        self._patience_s = limit_s
        committed = yield from ask(ReadCommitted(partitions, limit_s))
        if committed is None:
            self._tell("offsets_unknown", partitions=len(partitions))
            return False
        # Stable offsets lie at or before the end, as it is afterwards.
        ends = yield from ask(ReadEnds(partitions, limit_s))
        if ends is None:
            return False
        topics = frozenset(partition.topic for partition in partitions)
        counts = yield from ask(CountPartitions(topics))
        for each in unplaced:
            each.committed = committed[each.partition]
            each.beginning = beginnings[each.partition]
            self._prepare(each, counts[each.partition.topic])
            each.located, each.stable_at = True, self._asker.now
        self._check_ends(ends)
        self._check_retention()
        return True

    def _prepare(self, each: Restoring, partitions: int) -> None:
        if each.partition.topic != self._input:
            each.partitions = partitions
        elif each.restore is None:
            each.partitions = partitions
            each.table = self._stage.new_table(each.partition.number, partitions)
            each.restore = self._new_restore(each.table, partitions, None)
        elif each.partitions != partitions:
            raise StateMismatch(
                f"{each.partition.topic} had {each.partitions} partitions and has {partitions} "
                "now: keys have moved away from their state. Move it with `weir state export` "
                "and `weir state import`"
            )

    def _new_restore(self, table: Table, partitions: int, tail: Tail | None) -> Restore:
        stale: Literal["refuse", "ignore"] = "refuse" if self._exactly_once else "ignore"
        return Restore(self._stage, table, partitions, tail, stale=stale)

    def _check_ends(self, ends: Mapping[Partition, int]) -> None:
        for partition, end in ends.items():
            committed = self._restoring[partition].committed
            if committed is not None and committed > end:
                raise StateMismatch(
                    f"{partition.topic}-{partition.number} ends at {end}, the committed offset is "
                    f"{committed}: the topic was truncated or made anew, or the offset was reset. "
                    f"{ADVICE}"
                )

    def _check_retention(self) -> None:
        gaps = [
            (each, each.beginning - each.committed)
            for each in self._restoring.values()
            if each.committed is not None and each.beginning > each.committed
        ]
        total = sum(gap for _, gap in gaps)
        if not total or total == self._accept_gap:
            return
        where = ", ".join(f"{each} by {gap}" for each, gap in gaps)
        raise RetentionOvertook(
            f"retention deleted {total} records before they were read ({where}). Raise the "
            f"topic's retention; to go on without them: weir run --accept-retention-gap {total}"
        )

    def _pass_gap(self, each: Restoring) -> None:
        assert each.at is not None  # noqa: S101  # set by the caller
        if each.beginning > each.at:
            each.gap = each.beginning - each.at
            each.at = each.beginning

    # What the state topic says (RS2, RS3).

    def _state(self, each: Restoring) -> Partition:
        return Partition(self._state_topic, each.partition.number)

    def _read(self, reading: list[Restoring], budget_s: float) -> Steps[frozenset[Partition]]:
        if not reading:
            return frozenset()
        by_state = {self._state(each): each for each in reading}
        positions = {partition: each.state_next for partition, each in by_state.items()}
        piece = yield from self._asker.ask(ReadState(positions, budget_s, PIECE_BYTES))
        self._begin_feeding([(by_state[at], found) for at, found in piece.records.items() if found])
        for partition, each in by_state.items():
            each.state_next = piece.positions.get(partition, each.state_next)
        return piece.drained

    def _begin_feeding(self, held: Sequence[tuple[Restoring, Sequence[StateRecord]]]) -> None:
        """Fill tables while the next piece is read, where that goes on threads; each in order."""
        tables = frozenset(each.partition for each, _ in held)
        while self._feeding and (len(self._feeding) > 1 or self._feeding[0][0] & tables):
            self._await_oldest()
        self._feeding.append((tables, self._spread(self._feed_all, held)))

    def _fed(self) -> None:
        """Wait until all that was read is in the tables."""
        while self._feeding:
            self._await_oldest()

    def _await_oldest(self) -> None:
        _, work = self._feeding.popleft()
        for _ in work:
            pass

    def _feed_all(self, held: tuple[Restoring, Sequence[StateRecord]]) -> None:
        each, records = held
        assert each.restore is not None  # noqa: S101  # as chosen by the caller of _read
        for record in records:
            self._feed(each, each.restore, record)

    def _feed(self, each: Restoring, restore: Restore, record: StateRecord) -> None:
        try:
            restore.feed(record.value)
        except StateMismatch as error:
            where = f"{self._state_topic}-{each.partition.number} at offset {record.offset}"
            raise StateMismatch(f"{where}: {error}. {ADVICE}") from error

    def _judge(self, each: Restoring, restore: Restore, budget_s: float) -> Steps[None]:
        """Decide whether the state has arrived, once it was read to its end."""
        stands, committed = restore.tail.in_next, each.committed
        if stands is None and committed is None:
            if (yield from self._claims.agrees(each.partitions, budget_s)):
                yield from self._begin(each)
            return
        ahead = stands is not None and (committed is None or stands > committed)
        if ahead and self._exactly_once and each.asked_at != stands:
            # Commits may have come between the two questions, however long ago the first was
            # (this process may have been stopped). Asked after the state was read, the offset
            # is at least where the state stands.
            each.located, each.asked_at = False, stands
            return
        if committed is None and self._exactly_once:
            raise StateMismatch(
                f"{each}: the group has no committed offset, its state goes on at {stands}: the "
                f"offsets were deleted or have expired. {ADVICE}"
            )
        target = committed or 0
        if not self._exactly_once and stands is not None:
            target = max(target, stands)  # offsets follow the state and may have been lost
        try:
            progress = restore.progress(target)
        except StateMismatch as error:
            raise StateMismatch(f"{each}: {error}. {ADVICE}") from error
        if progress == "done":
            each.at = target
            self._pass_gap(each)
        else:
            self._wait(each, stands)

    def _wait(self, each: Restoring, stands: int | None) -> None:
        """Let an older open transaction end; it hides what was committed behind it."""
        now = self._asker.now
        if each.behind_since is None:
            each.behind_since = now
            return
        if now - each.behind_since > self._bound_s:
            at = "is empty" if stands is None else f"ends at input offset {stands}"
            raise StateMismatch(
                f"{each}: the committed offset is {each.committed}, its state "
                f"({self._state_topic}-{each.partition.number}) {at}, and nothing more came in "
                f"{self._bound_s:.0f} s. {ADVICE}"
            )

    def _begin(self, each: Restoring) -> Steps[None]:
        """Choose where a partition begins that was never read: no offset and no state."""
        start: Start | None = self._start if each.partition.topic == self._posts else "earliest"
        if start is None:
            raise ConfigError(
                f"this group has never read {each.partition.topic}: say where to begin with "
                "--start latest, --start earliest or --start TIME (2026-01-31T12:00:00Z). The "
                "earliest post may be as old as the topic's retention"
            )
        if start == "earliest":
            each.at = each.beginning
            return
        one = frozenset({each.partition})
        if start == "latest":
            found = yield from self._asker.ask(ReadEnds(one, self._ask_s))
        else:
            found = yield from self._asker.ask(ReadTimes(one, start, self._ask_s))
        if found is not None:
            each.at = found[each.partition]
