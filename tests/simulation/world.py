"""Draw a world from a seed, run it with faults, let it come to rest, and judge what it left."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

from tests.simulation import sabotage
from tests.simulation.brokers import Brokers
from tests.simulation.counting import CountingSubject
from tests.simulation.guards import Guards
from tests.simulation.invariants import violations
from tests.simulation.process import Process
from tests.simulation.real import real_subject
from worker.domain.errors import FailStop, Fatal, StateMismatch
from worker.engine import loop, restorer
from worker.engine.loop import Engine
from worker.settings import Settings
from worker.state.changelog import MAX_RECORD_BYTES
from worker.state.restore import Restore
from worker.transport.protocols import Partition

STEP_S = 0.001  # that one step takes
CALM_S = 600.0  # within which everything must come to rest once faults have stopped
CALM_STEPS = 60_000
FAULT_EVERY = 0.025  # chance of a fault per step
STOPS_S = (0.3, 3.0, 5.0, 12.0, 20.0, 70.0)


class Silent:
    """Be every instrument of the engine; hear nothing."""

    def __getattr__(self, name: str) -> Any:
        setattr(self, name, _nothing)
        return _nothing


def _nothing(*_: object, **__: object) -> None:
    return None


SILENT = Silent()


@lru_cache(maxsize=64)
def settings_of(slot: str, delivery: str, interval_ms: int) -> Settings:
    return Settings(slot=slot, delivery=delivery, kafka={"transaction_interval_ms": interval_ms})  # type: ignore[arg-type]


class World:
    """Hold one run: brokers, processes, what comes next, what was seen."""

    def __init__(self, seed: int, *, subject: Any = None, guards: Guards | None = None) -> None:
        self.seed = seed
        self.draw = draw = random.Random(seed)
        self.guards = guards or Guards()
        self.subject = (subject or real_subject(seed) or CountingSubject)(draw)
        self.trace: list[str] | None = None
        self.seen: Counter[str] = Counter()
        self.faulty = True
        self.halted = False
        self.problems: list[str] = []
        self.seen_by_reader: set[tuple[str, int, int]] = set()
        self.slots = [f"s{n}" for n in range(draw.choice((1, 2, 2, 3, 3, 4)))]
        # No broker fences a process of the other mode that was taken for dead and goes on, so
        # there are none in its runs: nothing stops, no twins, joins in a poll alone.
        self.exactly_once = draw.random() >= self.guards.at_least_once
        self.batch_sizes = draw.choice(((1,), (1, 2, 3), (1, 5, 20), (40,)))
        self._interval_ms = draw.choice((0, 0, 50))
        self.ring, self.slices, self.every = draw.choice(self.subject.ring)
        # Small records cut deltas and slices into chunks; without transactions a crash between
        # the chunks of one slice is a stop for a person, so there they stay whole.
        chunked = draw.choice((MAX_RECORD_BYTES, 190, 145))
        small = self.exactly_once and self.subject.small_records
        self.limit = chunked if small else MAX_RECORD_BYTES
        self.bundles = self.subject.bundles
        self.brokers = Brokers(
            draw, self.subject.topics, self.subject.inputs, sticky=draw.random() < 0.5
        )
        self.brokers.coordinator.slow_markers = draw.choice((0.0, 0.02, 0.1))
        self.processes: list[Process] = []
        self._active: Process | None = None  # the one that took the last step
        self._serials: Counter[str] = Counter()
        sabotaged = self.exactly_once and draw.random() < self.guards.sabotaged
        sabotaged &= self.subject.small_records  # it knows the counting stage's entries
        self._planned = draw.choice(self.guards.sabotage) if sabotaged else ""
        self.sabotage = ""  # what somebody broke
        self._bundle = dict.fromkeys(self.slots, 0)
        self._steps = draw.randint(300, 900)
        self._fault_every = draw.choice((0.5, 1.0, 1.0, 2.0)) * FAULT_EVERY

    # What a process is made of.

    def chance(self, share: float) -> bool:
        """Tell whether something goes wrong here; never once faults have stopped."""
        return self.faulty and self.draw.random() < share

    def settings(self, slot: str) -> Settings:
        delivery = "exactly-once" if self.exactly_once else "at-least-once"
        return settings_of(slot, delivery, self._interval_ms)

    def new_engine(self, slot: str) -> Engine:
        stage = self.subject.new_stage(self._bundle[slot], self.slices)
        return Engine(
            stage,
            self.settings(slot),
            meter=SILENT,  # type: ignore[arg-type]
            vitals=SILENT,  # type: ignore[arg-type]
            recorder=SILENT,  # type: ignore[arg-type]
            tell=_nothing,
            bundle_digest=self.bundles[self._bundle[slot]],
            start="earliest",
            wall=_no_time,
        )

    def start(self, slot: str) -> None:
        self._serials[slot] += 1
        if self.draw.random() < 0.2:
            self._bundle[slot] = self.draw.randrange(len(self.bundles))
        process = Process(self, slot, self._serials[slot])
        process.wake = self.brokers.timers.now
        self.processes.append(process)
        self.note(process.name, "starts")

    def note(self, who: str, what: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.brokers.timers.now:9.3f} {who:8} {what}")

    # The run.

    def run(self) -> list[str]:
        """Run to rest; return what was violated."""
        with shaped(self):
            for slot in self.slots:
                self.start(slot)
            self._feed(self.subject.input())
            self._rage()
            if self.halted:
                self._settle()
            else:
                self._calm()
            if not self.problems:
                self.problems += violations(self)
            if self.sabotage.startswith("partitions") and self._went_on:
                self.problems.append("went on although the input has another partition")
        group, coordinator = self.brokers.group, self.brokers.coordinator
        self.seen["rebalance"] = group.rebalances
        self.seen["commits"], self.seen["aborts"] = coordinator.commits, coordinator.aborts
        return self.problems

    def _feed(self, records: list[Any]) -> None:
        """Let the input arrive in pieces while faults go on."""
        timers, logs = self.brokers.timers, self.brokers.logs
        self._left = left = records

        def arrive() -> None:
            size = self.draw.choice((1, 2, 5, 15, 1_000)) if self.faulty else 1_000
            for place, record in left[:size]:
                logs[place].append(record)
            del left[:size]
            if left:
                timers.after(self.draw.uniform(0.0, 0.2), arrive)

        timers.after(0.0, arrive)

    def _rage(self) -> None:
        draw = self.draw
        for step in range(self._steps):
            self._step()
            if draw.random() < self._fault_every:
                self._fault()
            if self._planned and step >= self._steps // 2 and sabotage.commit(self, self._planned):
                self.sabotage, self._planned = self._planned, ""
                self.seen["sabotage"] += 1
                self.note("world", f"sabotage: {self.sabotage}")
                for process in list(self.processes):
                    self._end(process, "is killed")  # what restores now, meets it
            if self.problems or self.halted:
                return

    def _calm(self) -> None:
        """Stop all faults; everything must come to rest."""
        self.faulty = False
        self.brokers.coordinator.slow_markers = 0.0
        self.note("world", "faults stop")
        for process in self.processes:
            self._resume(process)
        for slot in self.slots:
            if not self._alive(slot):
                self.start(slot)
        limit = self.brokers.timers.now + CALM_S
        for step in range(CALM_STEPS):
            self._step()
            if self.halted:
                return self._settle()
            if self.problems or (step & 15 == 0 and self._at_rest()):
                return None
            if self.brokers.timers.now > limit:
                break
        committed = self.brokers.coordinator.committed
        behind = {
            str(p): (committed.get(p), self.brokers.logs[p].end)
            for p in self.brokers.inputs
            if committed.get(p, 0) < self.brokers.logs[p].end
        }
        self.problems.append(f"I8 unfinished: {behind}")
        return None

    def _settle(self) -> None:
        """Let the brokers end what is open, without any process."""
        timers = self.brokers.timers
        self.processes = []
        while not self.brokers.coordinator.settled:
            timers.now = timers.next
            timers.run_due()

    @property
    def _went_on(self) -> bool:
        """Tell whether partitions were claimed after one was added: it, or all of the others."""
        begun = self.brokers.logs.get(Partition(self.subject.state, self.subject.partitions))
        engines = [process.engine for process in self.processes if process.engine]
        owned = [p for each in engines for p in each._owned if p.topic == self.subject.stateful]
        return (begun is not None and begun.end > 0) or bool(owned and not self.halted)

    def _at_rest(self) -> bool:
        return not self._left and self.brokers.finished

    def _step(self) -> None:
        timers = self.brokers.timers
        timers.now += STEP_S
        if timers.next <= timers.now:
            timers.run_due()
        now, soonest, able = timers.now, timers.next, []
        for process in self.processes:
            if process.stopped:
                continue
            if process.wake <= now:
                able.append(process)
            elif process.wake < soonest:
                soonest = process.wake
        if able:
            self._active = able[int(self.draw.random() * len(able))]
            self._advance(self._active)
        else:
            timers.now = max(now, min(soonest, now + 60.0) - STEP_S)

    def _advance(self, process: Process) -> None:
        try:
            process.wake = self.brokers.timers.now + next(process.life)
        except StopIteration:
            self._end(process, "has ended")
        except Fatal as error:
            self.seen["exit 70"] += 1
            self._end(process, f"exits 70: {error}")
        except FailStop as error:
            self._end(process, f"stops {error.exit_code}: {error}")
            if self.sabotage:
                self.seen["stop for a person"] += 1
                self.halted = True
            else:
                self.problems.append(f"stop {process.name}: {error}")
        except Exception as error:  # noqa: BLE001  # the engine's own failure is a finding
            self._end(process, f"failed: {error!r}")
            self.problems.append(f"failed {process.name} in {process.doing}: {error!r}")

    # Faults.

    def _fault(self) -> None:
        draw, seen = self.draw, self.seen
        kind = draw.random()
        able = [p for p in self.processes if not p.stopped]
        if self._active in able and draw.random() < 0.7:
            able = [self._active]  # in the middle of what it does
        if kind < 0.28 and able:
            seen["kill"] += 1
            process = draw.choice(able)
            self._end(process, f"is killed in {process.doing}")
        elif kind < 0.50 and able and self.exactly_once:
            self._stop(draw.choice(able))
        elif kind < 0.65:
            if self.brokers.group.members:
                self.note("group", "rebalances")
                self.brokers.group.rebalance()
        elif kind < 0.69 and self.exactly_once:
            seen["twin"] += 1
            self.start(draw.choice(self.slots))
        elif kind < 0.72 and able:
            draw.choice(able).stopping = True
        elif kind < 0.92:
            place = (self.subject.state, draw.randrange(self.subject.partitions))
            seen["compacted"] += self.brokers.logs[place].compact(draw)
        elif kind < 0.96:
            self._retain()
        else:
            self._read()

    def _stop(self, process: Process) -> None:
        self.seen["stop"] += 1
        process.stopped = True
        seconds = self.draw.choice(STOPS_S)
        self.note(process.name, f"is stopped in {process.doing} for {seconds} s")
        if process.member is not None:
            self.brokers.group.silent(process.member)
        self.brokers.timers.after(seconds, lambda: self._resume(process))

    def _resume(self, process: Process) -> None:
        if process.stopped and process in self.processes:
            process.stopped = False
            self.note(process.name, "goes on")
            if process.member is not None:
                process.member.heard = True

    def _end(self, process: Process, how: str) -> None:
        self.note(process.name, how)
        self.processes.remove(process)
        process.producer.die()
        if process.member is not None:
            self.brokers.group.silent(process.member)
        slot = process.slot

        def again() -> None:
            if not self._alive(slot):
                self.start(slot)

        self.brokers.timers.after(self.draw.choice((0.01, 0.5, 3.0, 14.0)), again)

    def _alive(self, slot: str) -> bool:
        return any(process.slot == slot for process in self.processes)

    def _retain(self) -> None:
        """Delete a part of the input that was read already."""
        place = self.draw.choice(self.brokers.inputs)
        log = self.brokers.logs[place]
        safe = self.brokers.coordinator.committed.get(place, 0)
        if safe > log.begin:
            log.begin = self.draw.randint(log.begin, safe)
            self.seen["retained"] += 1

    def _read(self) -> None:
        """Look at the outputs as a read_committed reader does."""
        for (topic, number), log in self.brokers.logs.items():
            if topic not in self.subject.inputs:
                self.seen_by_reader.update(
                    (topic, number, offset) for offset, _ in log.read(0, 1 << 40)
                )

    # What is left.

    def restored(self, place: Partition) -> Any:
        """Restore a table from the compacted state topic alone."""
        stage = self.subject.new_stage(0, self.slices)
        table = stage.new_table(place.number, self.subject.partitions)
        stale = "refuse" if self.exactly_once else "ignore"
        restore = Restore(
            stage,
            table,
            self.subject.partitions,
            ring=self.ring,
            slices=self.slices,
            stale=stale,  # type: ignore[arg-type]
        )
        for _, record in self.brokers.logs[self.subject.state, place.number].read(0, 1 << 40):
            try:
                restore.feed(record.value)
            except StateMismatch as error:
                return str(error)
        return self.subject.fingerprint(stage, table)

    def live(self, place: Partition) -> Iterator[tuple[str, Any]]:
        """Return the tables of the group's owner of a partition."""
        for process in self.processes:
            if process.engine is None or process.consumer.fenced:
                continue
            owned, consumer = process.engine._owned.get(place), process.consumer
            current = consumer.state == "stable" and process.member is not None
            if owned is not None and current and process.engine._bound == consumer.rebalances:
                yield process.name, self.subject.fingerprint(process.engine.stage, owned.table)


def _no_time() -> float:
    return 0.0


@contextmanager
def shaped(world: World) -> Iterator[None]:
    """Make rings and slices so small that they turn many times in a short run."""
    before = loop.StateWriter, restorer.Restore
    shape = {"ring": world.ring, "slices": world.slices}
    loop.StateWriter = partial(  # type: ignore[misc,assignment]
        before[0], **shape, every=world.every, limit=world.limit
    )
    restorer.Restore = partial(before[1], **shape)  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        loop.StateWriter, restorer.Restore = before  # type: ignore[misc,assignment]
