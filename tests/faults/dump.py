"""Compare what a restore makes of the state topics with one sequential run over the input (I9).

The stages themselves are run here, once over each partition, from first record to last, by nobody
who dies, rebalances or restores; what they decide is judged elsewhere, by oracles of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from fastpath.changelog import SLICES, unpack
from fastpath.records import BatchView
from tests.support.deployment import INPUTS, Deployment, Read
from worker.domain.errors import StateMismatch
from worker.runtime.stages import build_screen, build_stage, read_bundle
from worker.settings import MIB, STAGE_NAMES, Settings, StageName
from worker.stages.protocols import StatefulStage
from worker.state.ledger_images import RowImages
from worker.state.restore import Restore
from worker.transport.kafka.state import KafkaStateReader
from worker.transport.protocols import Partition

PIECE_S, PIECE_BYTES = 10.0, 64 * MIB
KEY = bytes.fromhex("5a" * 32)


def check_state(deployment: Deployment, inputs: dict[StageName, Sequence[Read]]) -> list[str]:
    """Name each state partition whose restored table is not that of the sequential run."""
    settings = deployment.settings()
    settings = settings.model_copy(update={"slot": "dump"})
    return [
        f"I9: {settings.topic(f'state.{stage}')}-{number}: {wrong}"
        for stage in STAGE_NAMES
        for number, wrong in _wrong(settings, stage, inputs[stage], deployment.partitions)
    ]


def _wrong(
    settings: Settings, name: StageName, inputs: Sequence[Read], partitions: int
) -> Iterator[tuple[int, str]]:
    with contextlib.closing(_Reader(settings, name)) as reader:
        for number in range(partitions):
            stage = _stage(settings, name)
            restored = stage.new_table(number, partitions)
            restore = Restore(stage, restored, partitions)
            try:
                for value in reader.values(number):
                    restore.feed(value)
            except StateMismatch as error:
                yield number, str(error)
                continue
            read = [each for each in inputs if each.partition == number]
            topic = settings.topic(INPUTS[name])
            expected = _shown(name, *_sequential(settings, name, topic, number, read, partitions))
            found = _shown(name, stage, restored)
            if found != expected:
                missing, extra = expected - found, found - expected
                yield (
                    number,
                    f"{len(missing)} entries missing, {len(extra)} too many of {len(expected)}: "
                    f"{sorted(missing)[:1]}, {sorted(extra)[:1]}",
                )


class _Reader:
    """Read state partitions as a worker does."""

    def __init__(self, settings: Settings, name: StageName) -> None:
        self._reader = KafkaStateReader(settings, name)
        self._topic = settings.topic(f"state.{name}")

    def values(self, number: int) -> Iterator[bytes | None]:
        partition, at = Partition(self._topic, number), None
        while True:
            piece = self._reader.read({partition: at}, PIECE_S, PIECE_BYTES)
            yield from (record.value for record in piece.records.get(partition, ()))
            if partition in piece.drained:
                return
            at = piece.positions.get(partition, at)

    def close(self) -> None:
        self._reader.close(PIECE_S)


def _stage(settings: Settings, name: StageName) -> StatefulStage:
    bundle, screen = read_bundle(settings), None
    if name == "screen":
        topic = settings.topic("posts")
        screen = build_screen(
            settings, bundle, KEY, topic=topic, from_file=False, sighting_partitions=1
        )
    return build_stage(settings, name, bundle, KEY, screen).stage


def _sequential(
    settings: Settings,
    name: StageName,
    topic: str,
    number: int,
    read: Sequence[Read],
    partitions: int,
) -> tuple[StatefulStage, Any]:
    stage = _stage(settings, name)
    table = stage.new_table(number, partitions)
    if read:
        view = BatchView.from_records(
            topic,
            number,
            [each.key for each in read],
            [each.value for each in read],
            [each.time for each in read],
            [each.offset for each in read],
        )
        stage.step(table, view)
    return stage, table


def _shown(name: StageName, stage: StatefulStage, table: Any) -> frozenset[tuple[Any, ...]]:
    """Give what can be observed of a table: of a ledger its rows and its breaker."""
    if name != "enforce":
        packed = (stage.snapshot(table, slice_) for slice_ in range(SLICES))
        return frozenset(tuple(entry) for each in packed for entry in unpack(each))
    images = RowImages(KEY, b"x")
    return frozenset(
        (book, entry)
        for book, held in (("live", table.live), ("shadow", table.shadow))
        for entry in (
            *(each for who, row in held.ledger.rows() for each in images.all(who, row)),
            *(each for at in range(SLICES) for each in held.breaker.snapshot(at)),
        )
    )
