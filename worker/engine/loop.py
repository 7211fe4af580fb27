"""Drive one stage: poll, step, produce, commit, again (docs/delivery.md).

At least once: outputs are sent and every one is acknowledged before the offsets behind them are
committed, so a crash repeats outputs (with equal ids) and loses none. State is in memory: on
assignment a partition is re-read from its start point with all outputs suppressed below the
committed offset, and goes on live exactly there.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fastpath.records import BatchView
from worker.domain.dead_letter import Disposition
from worker.domain.errors import Fatal, StateMismatch
from worker.engine.dead_letters import outputs_of
from worker.engine.deadline import Clock, Deadline
from worker.engine.fuse import Fuse
from worker.engine.gauges import Gauges
from worker.engine.owned import Owned, first_at
from worker.engine.planner import Planner
from worker.engine.recorder import Recorder
from worker.engine.start_point import Point
from worker.engine.watchdog import Phase
from worker.obs.names import Meter, Vitals
from worker.settings import POLL_MS, SLICE_MS, Settings, Start
from worker.stages.protocols import Output, Stage
from worker.transport.protocols import (
    CommitRefused,
    Committed,
    Headers,
    OffsetsUnknown,
    Partition,
    Polled,
    Quarantined,
    Sink,
    Source,
)

MIN_RECORDS = 64  # a turn never takes less, however slow a stage is
DISPOSITION = "weir.dlq.disposition"
SYSTEMIC = Disposition.SYSTEMIC.value.encode()
ATTEMPT = b"1"  # a dead letter's first; a redrive raises it


class Tell(Protocol):
    """Report an event of the closed list of `worker.obs.logs`; never post text."""

    def __call__(self, event: str, **fields: object) -> None:
        """Write one event; never blocks longer than standard output does."""


@dataclass(slots=True)
class Work:
    """Hold what one turn has to write."""

    outputs: list[tuple[Output, Partition]]
    headers: Mapping[tuple[Partition, int], Headers]


class Engine:
    """Own source, sink and tables of one stage; one thread runs it, `stop` may come from any."""

    def __init__(
        self,
        stage: Stage,
        source: Source,
        sink: Sink,
        settings: Settings,
        *,
        meter: Meter,
        vitals: Vitals,
        recorder: Recorder,
        tell: Tell,
        phase: Phase,
        bundle_digest: str,
        start: Start | None = None,
        accept_gap: int | None = None,
        clock: Clock = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.stage = stage
        self.phase = phase
        self._source = source
        self._sink = sink
        self._settings = settings
        self._meter = meter
        self._vitals = vitals
        self._recorder = recorder
        self._gauges = Gauges(meter, wall)
        self._tell = tell
        self._bundle_digest = bundle_digest
        self._planner = Planner(source, settings, start, accept_gap)
        self._clock = clock
        self._state_topic = settings.topic(stage.inputs[0])
        self._owned: dict[Partition, Owned] = {}
        self._kept: dict[Partition, Owned] = {}  # tables of revoked partitions
        self._bound = -1  # the assignment that `_owned` belongs to
        self._max_records = settings.kafka.max_poll_records
        self._stopping = threading.Event()
        self._deadline: Deadline | None = None

    # What a person or a probe may ask.

    @property
    def restoring(self) -> int:
        """Return how many assigned partitions are still re-read."""
        return sum(owned.restoring for owned in self._owned.values())

    def stop(self) -> None:
        """Ask the loop to end after the batch at hand; safe from a signal handler."""
        if not self._stopping.is_set():
            shutdown = self._settings.shutdown
            self._deadline = Deadline.after(shutdown.total_ms / 1000, self._clock)
            self._stopping.set()

    def run(self) -> None:
        """Turn until `stop`; then let go of the clients within what is left of the budget.

        Raises:
            Fatal: the process must end and be restarted.
            FailStop, ConfigError: the stage must wait for a person.
        """
        while not self._stopping.is_set():
            self.turn()
        self.close()

    def close(self) -> None:
        """Let go of the clients; a batch that was not committed is read again by its owner."""
        self.phase.enter("close")
        share = self._settings.shutdown.close_ms / 1000
        budget = Deadline.after(share, self._clock)
        self._source.close(budget.share(at_most_s=share / 2, at_least_s=0.5))
        self._sink.close(budget.share(at_most_s=share, at_least_s=0.5))
        self.phase.enter("idle")

    def turn(self) -> None:
        """Take one turn of the loop; blocks for POLL_MS when there is nothing to do."""
        polled = self._poll()
        if self._bound != self._source.rebalances:
            self._bind()  # what was polled belongs to an older assignment: dropped, read again
        elif not self._stopping.is_set():
            work = self._step(polled)
            if self._bound == self._source.rebalances:
                self._produce(work)
                self._commit(work)
        self._report()

    # Phases.

    def _poll(self) -> Polled:
        self.phase.enter("poll")
        began = self._clock()
        polled = self._source.poll(POLL_MS / 1000, self._max_records)
        if polled.items:
            self._meter.observe("weir_stage_duration_seconds", self._clock() - began, ("fetch",))
        return polled

    def _step(self, polled: Polled) -> Work:
        self.phase.enter("step")
        work = Work([], polled.headers)
        records, began = 0, self._clock()
        for item in polled.items:
            if isinstance(item, Quarantined):
                self._quarantine(item, work)
            else:
                records += len(item)
                self._step_view(item, work)
        for partition, position in polled.positions.items():
            owned = self._owned.get(partition)
            if owned is not None:
                owned.next = max(owned.next, position)
                self._note_restored(owned)
        if records:
            seconds = self._clock() - began
            self._meter.observe("weir_stage_duration_seconds", seconds, ("step",))
            self._adapt(records, seconds)
        return work

    def _step_view(self, view: BatchView, work: Work) -> None:
        partition = Partition(view.topic, view.partition)
        owned = self._owned.get(partition)
        if owned is None or not len(view):
            return
        if view.offset(0) < owned.next:
            raise StateMismatch(
                f"{partition.topic}-{partition.number}: offset {view.offset(0)} came again, "
                f"expected {owned.next} or later; restart to rebuild the state"
            )
        self._meter.add("weir_records_consumed_total", (view.topic,), len(view))
        cut = first_at(view, owned.live_from)
        if cut:
            self.stage.step(owned.table, view.slice(0, cut))
            self._recorder.skip()
        if cut < len(view):
            self._note_restored(owned)
            live = view.slice(cut, len(view)) if cut else view
            outputs = self.stage.step(owned.table, live)
            self._recorder.count()
            work.outputs.extend((output, partition) for output in outputs)
            self._judge_letters(owned, outputs, len(live))
        last = len(view) - 1
        owned.next = view.offset(last) + 1
        owned.time = view.time(last)

    def _judge_letters(self, owned: Owned, outputs: list[Output], records: int) -> None:
        """Feed the fuse; raises FuseOpen before anything of this turn is written."""
        letters = [output for output in outputs if output.topic == "dlq"]
        died = sum((DISPOSITION, SYSTEMIC) in letter.headers for letter in letters)
        for _ in range(died):
            owned.fuse.died()
        owned.fuse.passed(records - died)

    def _quarantine(self, found: Quarantined, work: Work) -> None:
        owned = self._owned.get(found.partition)
        if owned is None:
            return
        if found.first >= owned.live_from:
            posts = found.partition.topic == self._settings.topic("posts")
            outputs = list(
                outputs_of(
                    found,
                    stage=self.stage.name,
                    bundle_digest=self._bundle_digest,
                    notices=posts,
                )
            )
            work.outputs.extend((output, found.partition) for output in outputs)
            owned.fuse.passed(1)
            first = found.letters[0]
            labels = (first.reason.value, first.disposition.value)
            self._meter.add("weir_dead_letters_total", labels)
            self._tell(
                "records_quarantined",
                topic=found.partition.topic,
                partition=found.partition.number,
                offset=found.first,
                records=found.next - found.first,
                reason=first.reason.value,
            )
        owned.next = max(owned.next, found.next)

    def _produce(self, work: Work) -> None:
        if not work.outputs:
            return
        self.phase.enter("produce")
        began = self._clock()
        topics: Counter[str] = Counter()
        for output, partition in work.outputs:
            topic = self._settings.topic(output.topic)
            headers = output.headers
            if output.topic == "dlq":
                headers += self._dead_letter_headers(output, partition, work)
            self._sink.send(
                topic, output.key, output.value, partition=output.partition, headers=headers
            )
            topics[topic] += 1
        sent = self._clock()
        self._sink.flush(self._flush_s())
        now = self._clock()
        self._meter.add("weir_backpressure_seconds_total", (), now - sent)
        self._meter.observe("weir_stage_duration_seconds", now - began, ("produce",))
        for topic, count in topics.items():
            self._meter.add("weir_records_produced_total", (topic,), count)

    def _dead_letter_headers(self, output: Output, partition: Partition, work: Work) -> Headers:
        """Add what the stage cannot know, and the headers of the original."""
        return (
            ("weir.dlq.group", self._settings.group(self.stage.name).encode()),
            ("weir.dlq.worker", self._settings.slot.encode()),
            ("weir.dlq.attempt", ATTEMPT),
            *work.headers.get((partition, output.cause), ()),
        )

    def _commit(self, work: Work) -> None:
        offsets = {
            partition: held
            for partition, owned in self._owned.items()
            if (held := owned.to_commit) is not None
        }
        if not offsets:
            return
        self.phase.enter("commit")
        began = self._clock()
        if not self._write_offsets(offsets):
            return
        self._meter.observe("weir_stage_duration_seconds", self._clock() - began, ("commit",))
        for partition, held in offsets.items():
            self._owned[partition].committed = held.offset
        self._vitals.committed()
        self._gauges.latency(work.outputs)

    def _write_offsets(self, offsets: Mapping[Partition, Committed]) -> bool:
        try:
            # Its own share, whatever is left of the deadline: a slow flush cannot starve it.
            self._source.commit(offsets, self._settings.shutdown.commit_ms / 1000)
        except CommitRefused as refused:
            self._meter.add("weir_commits_total", ("fenced",))
            self._tell("commit_refused", message=str(refused), partitions=len(offsets))
            self._bound = -1  # read the offsets again, under whatever assignment holds then
            return False
        except Fatal:
            self._meter.add("weir_commits_total", ("failed",))
            raise
        self._meter.add("weir_commits_total", ("committed",))
        return True

    # Assignment.

    def _bind(self) -> None:
        """Take over the current assignment, or leave it for the next turn."""
        self.phase.enter("plan")
        rebalances = self._source.rebalances
        if not self._source.stable:
            return
        assigned = self._source.assigned()
        try:
            found = self._planner.find(assigned)
        except OffsetsUnknown as unknown:
            self._tell("broker_unavailable", message=str(unknown))
            return
        fresh = {p: Committed(at.committed, at.note) for p, at in found.items() if at.write}
        if fresh and not self._write_offsets(fresh):
            return
        self._keep_tables()
        self._owned = {p: self._own(p, point) for p, point in found.items()}
        if self._source.rebalances != rebalances:
            return  # moved on meanwhile: plan again
        for partition, owned in self._owned.items():
            self._source.seek(partition, owned.next)
        self._source.resume(assigned)
        self._bound = rebalances
        self._announce()

    def _own(self, partition: Partition, point: Point) -> Owned:
        kept = self._kept.pop(partition, None)
        if kept is not None and kept.resumable(point):
            table, at = kept.table, kept.next
        elif partition.topic == self._state_topic:
            table, at = self.stage.new_table(partition.number, point.partitions), point.start
        else:
            table, at = None, point.committed
        owned = Owned(
            partition=partition,
            point=point,
            table=table,
            next=at,
            committed=point.committed,
            live_from=point.committed,
            since=self._clock(),
            fuse=kept.fuse if kept else Fuse(partition.topic, partition.number),
        )
        owned.restored = not owned.restoring
        return owned

    def _keep_tables(self) -> None:
        """Keep every table for a later assignment; `_own` decides whether it still fits."""
        for partition, owned in self._owned.items():
            if owned.table is not None:
                self._kept[partition] = owned
            self._gauges.forget(partition)

    def _announce(self) -> None:
        self._vitals.joined()
        self._meter.add("weir_rebalances_total")
        self._meter.set("weir_partitions_assigned", len(self._owned))
        self._vitals.restoring(self.restoring)
        # Tables of partitions that went elsewhere are freed once the group has settled.
        self._kept.clear()
        self._tell("partitions_assigned", partitions=len(self._owned), group=self._group)

    @property
    def _group(self) -> str:
        return self._settings.group(self.stage.name)

    def _note_restored(self, owned: Owned) -> None:
        if owned.restored or owned.restoring:
            return
        owned.restored = True
        seconds = self._clock() - owned.since
        self._meter.observe("weir_restore_seconds", seconds, ("cold",))
        self._vitals.restoring(self.restoring)
        self._tell(
            "partition_restored",
            topic=owned.partition.topic,
            partition=owned.partition.number,
            offset=owned.live_from,
            seconds=round(seconds, 3),
        )

    # Budgets and numbers.

    def _flush_s(self) -> float:
        shutdown = self._settings.shutdown
        if self._deadline is None:
            return shutdown.flush_ms / 1000
        reserve = (shutdown.commit_ms + shutdown.close_ms) / 1000
        return self._deadline.share(at_most_s=shutdown.flush_ms / 1000, reserve_s=reserve)

    def _adapt(self, records: int, seconds: float) -> None:
        """Take as many records a turn as keep a step at half of SLICE_MS."""
        most, aim_s = self._settings.kafka.max_poll_records, SLICE_MS / 2000
        if seconds > aim_s:
            self._max_records = max(int(records * aim_s / seconds), MIN_RECORDS)
        elif seconds < aim_s / 4 and records >= self._max_records:
            self._max_records = min(self._max_records * 2, most)

    def _report(self) -> None:
        settled = self._bound == self._source.rebalances
        owned = self._owned.values() if settled else ()
        self._vitals.turned(self._gauges.lag(owned, self._source))
        self._gauges.entries(self.stage, self._owned.values())
