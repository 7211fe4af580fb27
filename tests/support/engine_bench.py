"""Run engines on a memory broker, a turn at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tests.support.counting_stage import CountingStage
from worker.engine.commands import Command, Reply, Steps
from worker.engine.drive import Driver
from worker.engine.loop import Engine
from worker.engine.watchdog import Phase
from worker.obs.health import Health
from worker.obs.instruments import Instruments
from worker.settings import Settings
from worker.state.changelog import Claim, Delta, StateRecord, decode
from worker.transport.memory import (
    MemoryBroker,
    MemoryProducer,
    MemorySource,
    MemoryStateReader,
)
from worker.transport.protocols import Partition

INPUT, OUTPUT, DLQ = "weir.sightings", "weir.campaigns", "weir.dlq"
STATE, GROUP = "weir.state.correlate", "weir.correlate"
P0, P1 = Partition(INPUT, 0), Partition(INPUT, 1)


class SilentRecorder:
    def count(self) -> None:
        """Count nothing."""


class Clock:
    """Stand still unless it is moved, or every look is told to move it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Running:
    """Hold an engine with its driver; the command that a test wants to see may be watched."""

    def __init__(self, engine: Engine, driver: Driver, source: MemorySource) -> None:
        self.engine = engine
        self.driver = driver
        self.source = source
        self.asked: list[Command[Any]] = []

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self.driver.run(self._watched(self.engine.turn()))

    def run(self) -> None:
        self.driver.run(self._watched(self.engine.steps()))

    def _watched(self, steps: Steps[None]) -> Steps[None]:
        command = next(steps, None)
        while command is not None:
            self.asked.append(command)
            reply: Reply[Any] = yield command
            try:
                command = steps.send(reply)
            except StopIteration:
                return

    def names(self) -> list[str]:
        """Return the names of the commands asked since the last call."""
        asked, self.asked = self.asked, []
        return [type(command).__name__ for command in asked]


class KilledError(BaseException):
    """Stand for SIGKILL: nothing after it runs."""


class Killer:
    """Kill at the n-th time a failpoint is reached."""

    def __init__(self, point: str, times: int = 1) -> None:
        self.point = point
        self.left = times

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                raise KilledError(point)


class Bench:
    """Hold a broker and make engines on it."""

    def __init__(self, partitions: int = 2, *, interval_ms: int = 0, **settings: Any) -> None:
        kafka = {"transaction_interval_ms": interval_ms, **settings.pop("kafka", {})}
        self.broker = MemoryBroker(
            {INPUT: partitions, OUTPUT: 2, DLQ: 1, STATE: partitions, "weir.signals": 2}
        )
        self.settings = Settings(slot="a", kafka=kafka, **settings)
        self.told: list[tuple[str, dict[str, object]]] = []
        self.instruments = Instruments("correlate")
        self.clock = Clock()

    def engine(
        self,
        stage: CountingStage | None = None,
        slot: str = "a",
        *,
        source: MemorySource | None = None,
        failpoint: Callable[[str], None] = lambda _point: None,
        piece: int = 1_000_000,
        **options: Any,
    ) -> Running:
        settings = self.settings.model_copy(update={"slot": slot})
        exactly_once = settings.delivery == "exactly-once"
        name = f"{GROUP}.{slot}" if exactly_once else None
        producer = MemoryProducer(self.broker, name, GROUP)
        source = source or MemorySource(self.broker, GROUP, [INPUT], slot)
        engine = Engine(
            cast(Any, stage or CountingStage()),
            settings,
            meter=self.instruments,
            vitals=Health(self.instruments),
            recorder=SilentRecorder(),
            tell=lambda event, **fields: self.told.append((event, fields)),
            bundle_digest="0" * 64,
            wall=lambda: 0.0,
            **options,
        )
        driver = Driver(
            source,
            producer,
            MemoryStateReader(self.broker, piece),
            Phase("correlate"),
            clock=self.clock,
            failpoint=failpoint,
        )
        return Running(engine, driver, source)

    def write(self, *keys: bytes, partition: int = 0) -> None:
        for key in keys:
            self.broker.append(INPUT, key, b"v", partition=partition)

    def written(self) -> list[bytes]:
        """Return what `read_committed` readers see of the outputs."""
        return [cast(bytes, record.value) for record in self.broker.records(OUTPUT)]

    def committed(self, partition: Partition = P0) -> int | None:
        return self.broker.group(GROUP).committed.get(partition)

    def state(self, partition: int = 0) -> list[StateRecord]:
        log = self.broker.log(Partition(STATE, partition))
        return [decode(record.value) for record in log.committed]

    def epochs(self, partition: int = 0) -> list[int]:
        return [record.epoch for record in self.state(partition) if isinstance(record, Claim)]

    def deltas(self, partition: int = 0) -> list[Delta]:
        return [record for record in self.state(partition) if isinstance(record, Delta)]
