"""Drive one stage: poll, decide, write all of it together, again (docs/delivery.md).

The engine is sans-io: a generator that yields commands (`worker.engine.commands`) and is sent
replies. Outputs, state and input offsets of one transaction become visible together or not at
all; whatever fails in between ends the process, and the slot's next start reads the truth.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from fastpath.records import BatchView
from worker.domain.dead_letter import Disposition
from worker.domain.errors import StateMismatch
from worker.engine.asker import Asker
from worker.engine.commands import (
    Batch,
    Close,
    Poll,
    ReadClock,
    Record,
    Resume,
    Seek,
    Steps,
    Wait,
)
from worker.engine.dead_letters import outputs_of
from worker.engine.gauges import Gauges
from worker.engine.owned import Owned, Work
from worker.engine.pace import Pace
from worker.engine.recorder import Recorder
from worker.engine.restorer import Restorer, Restoring, Spread
from worker.engine.state_records import StateRecords
from worker.engine.tell import Tell
from worker.engine.writer import Writer
from worker.obs.names import Meter, Vitals
from worker.settings import POLL_MS, SLICE_MS, Settings, Start
from worker.stages.protocols import Output, StatefulStage
from worker.state.state_writer import StateWriter
from worker.transport.protocols import Group, Headers, Partition, Quarantined

WORK_S = 0.25  # deciding for one transaction; < LIVENESS_MS, and what a crash repeats
PIECE_S = 0.05  # deciding between two looks at the clock; < WORK_S
MIN_RECORDS = 64  # a piece never takes less, however slow a stage is
FIRST_PIECE = 1_024  # records of the first piece, before the stage's speed is known
BACKLOG = 1_000  # records that wait behind a poll: then the next turn begins at once
SETTLE_S = 1.0  # offsets without records (markers) are committed after an idle second
DISPOSITION = "weir.dlq.disposition"
SYSTEMIC = Disposition.SYSTEMIC.value.encode()
ATTEMPT = b"1"  # a dead letter's first; a redrive raises it


class Successor(NamedTuple):
    """Hold a stage that was built for another bundle, and what goes with it."""

    stage: StatefulStage
    recorder: Recorder
    bundle_digest: str
    taken: Callable[[], None]  # called by the engine's thread once the stage decides


class Engine:
    """Own the tables of one stage. A driver runs `steps`, or a test one `turn` at a time."""

    def __init__(
        self,
        stage: StatefulStage,
        settings: Settings,
        *,
        meter: Meter,
        vitals: Vitals,
        recorder: Recorder,
        tell: Tell,
        bundle_digest: str,
        start: Start | None = None,
        accept_gap: int | None = None,
        wall: Callable[[], float],
        spread: Spread = map,
    ) -> None:
        """`wall` gives epoch seconds, for gauges alone: no decision reads it.

        `spread` may fill the tables of several partitions on threads while they are restored.
        """
        self.stage = stage
        self._settings = settings
        self._meter = meter
        self._vitals = vitals
        self._recorder = recorder
        self._tell = tell
        self._bundle_digest = bundle_digest
        self._gauges = Gauges(meter, wall)
        self._asker = Asker()
        self._writer = Writer(settings, self._asker, meter)
        self._restorer = Restorer(
            stage, settings, self._asker, tell, start=start, accept_gap=accept_gap, spread=spread
        )
        self._state = StateRecords(stage, settings, meter, bundle_digest)
        self._offered: deque[Successor] = deque()
        self._owned: dict[Partition, Owned] = {}
        self._bound = -1  # the count of rebalances that tables and restores belong to
        self._group: Group | None = None  # that the last turn decided under
        self._pace = Pace(settings.kafka.transaction_interval_ms / 1000)
        self._adrift: float | None = None  # since when no assignment holds
        self._per_second = FIRST_PIECE / PIECE_S  # records that the stage decides

    def steps(self) -> Steps[None]:
        """Turn until asked to stop, then let go of the clients.

        Raises:
            Fatal: the process must end and be restarted.
            FailStop, ConfigError: the stage must wait for a person.
        """
        while not self._asker.stopping:
            yield from self.turn()
        if self._group is not None:
            yield from self._settle(self._group, at_once=True)
        yield from self._asker.ask(Close(self._settings.shutdown.close_ms / 1000))

    @property
    def restoring(self) -> int:
        """Return how many assigned partitions are not decided on yet."""
        return self._restorer.count

    def offer(self, successor: Successor) -> None:
        """Hand over a stage of another bundle, to be taken between two turns; from any thread."""
        self._offered.append(successor)

    def turn(self) -> Steps[None]:
        """Take one turn of the loop; about POLL_MS long when there is nothing to do."""
        if self._offered and not self._restorer.count:
            self._succeed(self._offered.popleft())
        yield from self._gather()
        batch = yield from self._poll()
        group = batch.group
        if group.rebalances != self._bound or not group.trusted:
            yield from self._drop(batch)
        elif not self._asker.stopping:
            if self._restorer.ready:
                yield from self._claim(group)
            self._group = group
            yield from self._decide(batch)
            yield from self._settle(group)
        if self._restorer.count and not self._asker.stopping:
            # Other partitions go on in between: a restore never holds them up for long.
            yield from self._restorer.piece(PIECE_S if self._owned else SLICE_MS / 2000)
        self._report(batch)

    def _succeed(self, successor: Successor) -> None:
        """Go on with another bundle: no transaction is open, and none holds two bundles.

        The next delta of each partition names the bundle that decided it, so where a bundle began
        is recorded with what it decided, or not at all.
        """
        for owned in self._owned.values():
            if owned.writer is not None:
                owned.table = successor.stage.adopt(owned.table, self.stage)
        self.stage = successor.stage
        self._recorder = successor.recorder
        self._bundle_digest = successor.bundle_digest
        self._restorer.succeed(self.stage)
        self._state = StateRecords(self.stage, self._settings, self._meter, self._bundle_digest)
        successor.taken()

    # The poll.

    def _gather(self) -> Steps[None]:
        """Let records gather for a moment, unless some wait already."""
        wait_s = self._pace.wait_s(self._asker.now)
        if wait_s > 0 and not self._restorer.count:
            yield from self._asker.ask(Wait(wait_s))

    def _poll(self) -> Steps[Batch]:
        began = self._asker.now
        waits = not self._restorer.count or self._bound < 0
        timeout_s = POLL_MS / 1000 if waits else 0.0
        batch = yield from self._asker.ask(Poll(timeout_s, self._settings.kafka.max_poll_records))
        records = bool(batch.polled.items)
        full = batch.polled.full or sum(batch.lags.values()) >= BACKLOG
        self._pace.polled(self._asker.now, records=records, full=full)
        if records:
            elapsed = self._asker.now - began
            self._meter.observe("weir_stage_duration_seconds", elapsed, ("fetch",))
        return batch

    def _drop(self, batch: Batch) -> Steps[None]:
        """Give back what was polled under an assignment that is not, or not yet, ours to write."""
        group, polled = batch.group, batch.polled
        if group.rebalances != self._bound:
            self._suspend()
        back = {p: self._owned[p].next for p in polled.positions if p in self._owned}
        if back:
            yield from self._asker.ask(Seek(back))
        if polled.items and not group.trusted:
            yield from self._asker.ask(Wait(POLL_MS / 1000))  # they would come again at once
        if group.rebalances != self._bound and group.trusted:
            self._bind(group)

    def _suspend(self) -> None:
        if self._adrift is None:
            self._adrift = self._asker.now
        if self._owned:
            self._tell("partitions_revoked", partitions=len(self._owned))
        self._restorer.suspend(self._owned.values())
        for partition in self._owned:
            self._gauges.forget(partition)
        self._owned = {}
        self._bound = -1
        self._writer.forget()

    def _bind(self, group: Group) -> None:
        self._restorer.bind(group.assigned)
        self._bound = group.rebalances
        self._vitals.joined()
        self._vitals.restoring(self._restorer.count)
        self._meter.add("weir_rebalances_total")
        self._meter.set("weir_partitions_assigned", len(group.assigned))
        name = self._settings.group(self.stage.name)
        seconds = 0.0 if self._adrift is None else self._asker.now - self._adrift
        self._adrift = None
        self._meter.observe("weir_rebalance_seconds", seconds)
        self._tell(
            "partitions_assigned",
            partitions=len(group.assigned),
            group=name,
            seconds=round(seconds, 3),
        )

    # The claim: prove ownership before the first decision, and fence by log order.

    def _claim(self, group: Group) -> Steps[None]:
        restored = self._restorer.ready
        fresh = {each.partition: self._own(each) for each in restored}
        state = [
            record
            for each in restored
            for record in self._state.claim(fresh[each.partition], group.generation, each.gap)
        ]
        offsets = {partition: owned.next for partition, owned in fresh.items()}
        last = yield from self._writer.write("claim", (), state, offsets, group)
        self._restorer.claimed(restored)
        for partition, owned in fresh.items():
            self._state.note(owned, last)
            self._owned[partition] = owned
        if not (yield from self._settle(group, at_once=True)):
            return
        yield from self._asker.ask(Seek(offsets))
        yield from self._asker.ask(Resume(frozenset(fresh)))
        for each in restored:
            self._note_restored(each)
        self._vitals.restoring(self._restorer.count)
        self._vitals.committed()

    def _own(self, each: Restoring) -> Owned:
        assert each.at is not None  # noqa: S101  # what `ready` means
        writer = None if each.restore is None else StateWriter(each.restore.tail)
        return Owned(
            each.partition,
            each.table,
            writer,
            each.partitions,
            next=each.at,
            written=each.at,
            fuse=each.fuse,
        )

    def _note_restored(self, each: Restoring) -> None:
        seconds, pause = self._asker.now - each.bound, self._asker.now - each.since
        mode = "warm" if each.warm else "cold"
        if each.restore is not None:
            self._meter.observe("weir_restore_seconds", seconds, (mode,))
        self._meter.observe("weir_rebalance_pause_seconds", pause)
        self._tell(
            "partition_restored",
            topic=each.partition.topic,
            partition=each.partition.number,
            offset=each.at,
            mode=mode,
            gap=each.gap,
            seconds=round(seconds, 3),
            waited=round(each.stable_at - each.bound, 3),
            pause=round(pause, 3),
        )

    # Deciding.

    def _decide(self, batch: Batch) -> Steps[None]:
        """Step through what was polled, in transactions of at most about WORK_S of work."""
        polled, group = batch.polled, batch.group
        work = Work(self._asker.now, polled.headers)
        for item in polled.items:
            if isinstance(item, Quarantined):
                self._quarantine(item, work)
                continue
            for piece in self._pieces(item):
                began = self._asker.now
                self._step(piece, work)
                yield from self._asker.ask(ReadClock())
                self._measure(len(piece), self._asker.now - began)
                if self._asker.now - work.began >= WORK_S:
                    if not (yield from self._transact(work, group)) or self._asker.stopping:
                        return  # what is left is read again
                    work = Work(self._asker.now, polled.headers)
        self._move(polled.positions, work)
        if work.touched:
            yield from self._transact(work, group)

    def _pieces(self, view: BatchView) -> Iterator[BatchView]:
        at, size = 0, len(view)
        while at < size:
            most = max(int(self._per_second * PIECE_S), MIN_RECORDS)
            yield view if at == 0 and size <= most else view.slice(at, min(at + most, size))
            at += most

    def _measure(self, records: int, seconds: float) -> None:
        self._meter.observe("weir_stage_duration_seconds", seconds, ("step",))
        if records >= MIN_RECORDS and seconds > 0:
            self._per_second = records / seconds

    def _step(self, view: BatchView, work: Work) -> None:
        partition = Partition(view.topic, view.partition)
        owned = self._owned.get(partition)
        if owned is None or not len(view):
            return
        first = view.offset(0)
        if first < owned.next:
            raise StateMismatch(
                f"{partition.topic}-{partition.number}: offset {first} came again, expected "
                f"{owned.next} or later; restart to restore the state"
            )
        if first > owned.next and partition.topic == self._settings.topic("posts"):
            self._meter.add("weir_input_gaps_total")
        self._meter.add("weir_records_consumed_total", (view.topic,), len(view))
        outputs = self.stage.step(owned.table, view)
        self._recorder.count()
        work.outputs.extend((output, partition) for output in outputs)
        work.touched[partition] = owned
        self._judge_letters(owned, outputs, len(view))
        last = len(view) - 1
        owned.next = view.offset(last) + 1
        owned.time = view.time(last)

    def _judge_letters(self, owned: Owned, outputs: list[Output], records: int) -> None:
        """Feed the fuse; raises FuseOpen before anything of this transaction is written."""
        letters = [output for output in outputs if output.topic == "dlq"]
        died = sum((DISPOSITION, SYSTEMIC) in letter.headers for letter in letters)
        for _ in range(died):
            owned.fuse.died()
        owned.fuse.passed(records - died)

    def _quarantine(self, found: Quarantined, work: Work) -> None:
        partition = found.partition
        owned = self._owned.get(partition)
        if owned is None:
            return
        outputs = outputs_of(
            found,
            stage=self.stage.name,
            bundle_digest=self._bundle_digest,
            notices=partition.topic == self._settings.topic("posts"),
        )
        work.outputs.extend((output, partition) for output in outputs)
        work.touched[partition] = owned
        owned.fuse.passed(1)
        owned.next = max(owned.next, found.next)
        first = found.letters[0]
        labels = (first.reason.value, first.disposition.value)
        self._meter.add("weir_dead_letters_total", labels)
        self._tell(
            "records_quarantined",
            topic=partition.topic,
            partition=partition.number,
            offset=found.first,
            records=found.next - found.first,
            reason=first.reason.value,
        )

    def _move(self, positions: Mapping[Partition, int], work: Work) -> None:
        """Cross offsets without records; commit them with others, or after an idle second."""
        now = self._asker.now
        for partition, position in positions.items():
            owned = self._owned.get(partition)
            if owned is not None:
                owned.next = max(owned.next, position)
        for partition, owned in self._owned.items():
            if owned.next <= owned.written or partition in work.touched:
                owned.behind_since = None
            elif owned.behind_since is None:
                owned.behind_since = now
            elif now - owned.behind_since >= SETTLE_S:
                owned.behind_since = None
                work.touched[partition] = owned

    # Writing.

    def _transact(self, work: Work, group: Group) -> Steps[bool]:
        """Write what was decided; tell whether the tables may go on under this assignment."""
        outputs = [self._record(output, partition, work) for output, partition in work.outputs]
        state = [record for owned in work.touched.values() for record in self._state.delta(owned)]
        offsets = {partition: owned.next for partition, owned in work.touched.items()}
        began = self._asker.now
        last = yield from self._writer.write("turn", outputs, state, offsets, group)
        self._pace.wrote(self._asker.now - began)
        for owned in work.touched.values():
            self._state.note(owned, last)
            owned.written = owned.next
        if not (yield from self._settle(group)):
            return False
        self._vitals.committed()
        self._gauges.latency(work.outputs)
        return True

    def _record(self, output: Output, partition: Partition, work: Work) -> Record:
        headers = output.headers
        if output.topic == "dlq":
            headers += self._dead_letter_headers(output, partition, work)
        topic = self._settings.topic(output.topic)
        return Record(topic, output.key, output.value, output.partition, headers)

    def _dead_letter_headers(self, output: Output, partition: Partition, work: Work) -> Headers:
        """Add what the stage cannot know, and the headers of the original."""
        return (
            ("weir.dlq.group", self._settings.group(self.stage.name).encode()),
            ("weir.dlq.worker", self._settings.slot.encode()),
            ("weir.dlq.attempt", ATTEMPT),
            *work.headers.get((partition, output.cause), ()),
        )

    def _settle(self, group: Group, *, at_once: bool = False) -> Steps[bool]:
        """Commit offsets that are due (at least once alone); where they are refused read them anew.

        Tells whether the tables may go on under this assignment.
        """
        refused = yield from self._writer.settle(group, at_once=at_once)
        if refused:
            self._tell("commit_refused", message=refused)
            self._suspend()
        return not refused

    # Numbers.

    def _report(self, batch: Batch) -> None:
        self._vitals.turned(self._gauges.lag(self._owned.values(), batch.lags))
        self._gauges.entries(self.stage, self._owned.values())
