"""Rebuild the state of `screen` from its topic, by the engine and the clients of `weir run`.

A process drains all posts first and ends. `cold` is another process of its slot: it is timed from
its first question about offsets to its claim of the last partition. `warm` does the same, then has
its assignment taken away and given back, as a rebalance does, and is timed from there. What both
hold afterwards is compared, entry by entry, with what the first process held at its end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from benchmarks.definition import Definition
from benchmarks.macro import drain_screen
from benchmarks.macro.drain_screen import Draining, engine_of, settings_of
from benchmarks.measured import Engine, Measured, Stopwatch
from fastpath.changelog import SLICES, unpack
from worker.engine.drive import Driver
from worker.engine.loop import Engine as StageEngine
from worker.runtime.engines import new_run
from worker.runtime.stages import keep_built
from worker.settings import Settings
from worker.transport.kafka.consumer import KafkaSource
from worker.transport.kafka.state import KafkaStateReader
from worker.transport.kafka.transactions import StageProducer
from worker.transport.protocols import Group, Partition, StatePiece

BROKER = True
FRESH = True
WRITTEN = "written.json"  # namespace of the run that wrote the state, and what it held
SLOT = "exactly-once"
MIB = 1 << 20
GIB = 1 << 30


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Drain the posts once, so that state and offsets are there."""
    with drain_screen.prepared(definition, folder) as inputs:
        namespace = f"restore-{uuid4().hex[:8]}"
        writing = Draining(SLOT, definition, folder, namespace)
        writing.measure()
        held = held_by(writing.engine)
        document = {"namespace": namespace, "digests": [each.digest for each in held]}
        (folder / WRITTEN).write_text(json.dumps(document), encoding="utf-8")
        yield inputs


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Compose an engine of the same slot."""
    return Restoring(name, definition, folder)


class Held:
    """Say what the table of one partition holds: number, size and digest of its entries."""

    def __init__(self, number: int, packed: Iterable[bytes]) -> None:
        entries = sorted(entry for piece in packed for entry in unpack(piece))
        self.entries = len(entries)
        self.bytes = sum(len(each.key) + len(each.value) for each in entries)
        digest = hashlib.blake2b(b"%d" % number, digest_size=16)
        for entry in entries:
            digest.update(repr(entry).encode())
        self.digest = f"{number}: {digest.hexdigest()}"


def held_by(engine: StageEngine) -> list[Held]:
    """Look at every table that an engine decided on last, by partition."""
    owned = sorted(engine._owned.values(), key=lambda each: each.partition)
    return [
        Held(
            each.partition.number,
            (engine.stage.snapshot(each.table, slice_) for slice_ in range(SLICES)),
        )
        for each in owned
    ]


def figures_of(seconds: float, held: int, read: int) -> dict[str, float]:
    """Give seconds per GiB where anything was read: a warm table may stand at the end already."""
    figures = {"restore_s": seconds, "state_mib": held / MIB, "read_mib": read / MIB}
    if read:
        figures |= {"s_per_gib": seconds / held * GIB, "s_per_gib_read": seconds / read * GIB}
    return figures


class Restoring:
    """Restore every partition, once, cold or warm."""

    def __init__(self, name: str, definition: Definition, folder: Path) -> None:
        self._written = json.loads((folder / WRITTEN).read_text(encoding="utf-8"))
        self._posts = definition.corpus["posts"]
        self._folder = folder
        settings = settings_of(SLOT, definition, folder, self._written["namespace"])
        run = new_run(settings, "screen")
        producer = StageProducer(settings, "screen")
        self._state = CountedState(settings)
        self._source = WatchedSource(settings, warm=name == "warm", state=self._state)
        self._engine = engine_of(settings, run)
        self._driver = Driver(self._source, producer, self._state, run.phase)
        self._source.driver = self._driver

    def measure(self) -> Measured:
        """Restore, and compare."""
        keep_built()  # as `weir run` does
        self._driver.run(self._engine.steps())
        held = held_by(self._engine)
        digests = [each.digest for each in held]
        size = sum(each.bytes for each in held)
        clock = self._source.clock
        equal = sum(a == b for a, b in zip(digests, self._written["digests"], strict=True))
        return Measured(
            self._posts,
            clock.seconds,
            clock.cpu_seconds,
            {"partitions": len(held), "equal": equal, "entries": sum(h.entries for h in held)},
            digests,
            figures=figures_of(clock.seconds, size, self._state.bytes),
        )

    def close(self) -> None:
        """Hold nothing: the driver has let go of its clients."""


class CountedState(KafkaStateReader):
    """Count the bytes that a restore reads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "screen")
        self.bytes = 0

    def read(
        self, positions: Mapping[Partition, int | None], budget_s: float, budget_bytes: int
    ) -> StatePiece:
        """Read on, and count."""
        piece = super().read(positions, budget_s, budget_bytes)
        self.bytes += sum(len(r.value or b"") for each in piece.records.values() for r in each)
        return piece


class WatchedSource(KafkaSource):
    """Time the restore that counts, and stop the driver behind it."""

    driver: Driver

    def __init__(self, settings: Settings, *, warm: bool, state: CountedState) -> None:
        super().__init__(settings, "screen", [settings.topic("posts")])
        self.clock = Stopwatch()
        self._state = state
        self._again = warm  # the assignment is to be taken away and given back
        self._extra = 0  # rebalances that the group did not have
        self._resumed: set[Partition] = set()

    def group(self) -> Group:
        """Snapshot the membership, with the rebalance that is played."""
        group = super().group()
        return group._replace(rebalances=group.rebalances + self._extra)

    def beginnings(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        """Begin the clock with the first question of a restore."""
        if not self._resumed:
            self._state.bytes = 0
            self.clock.__enter__()
        return super().beginnings(partitions, timeout_s)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Stop the clock when the last partition was claimed."""
        super().resume(partitions)
        self._resumed |= set(partitions)
        if self._resumed < super().group().assigned:
            return
        self.clock.__exit__(None, None, None)
        if not self._again:
            self.driver.stop()
            return
        self._again, self._extra = False, 1
        self._resumed.clear()
