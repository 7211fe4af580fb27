"""Compose `weir state`: look at a stage's state, take it out, and put it back somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from worker.domain.errors import ConfigError, StateMismatch, UserError
from worker.policy.bundle import Bundle
from worker.runtime.stages import build_screen, build_stage, read_bundle
from worker.settings import MIB, Settings, StageName
from worker.stages.protocols import StatefulStage
from worker.state import export_file, transfer
from worker.state.changelog import decode
from worker.state.export_file import Exported
from worker.state.restore import Restore
from worker.state.transfer import Moved, Placement
from worker.transport.kafka.parked import ParkedStage
from worker.transport.kafka.state import KafkaStateReader
from worker.transport.protocols import Partition, StateRecord

At: TypeAlias = Literal["same", "earliest", "latest"]
Tell: TypeAlias = Callable[[str], None]

_INPUTS: dict[StageName, str] = {
    "screen": "posts",
    "correlate": "sightings",
    "enforce": "signals",
}
PIECE_S = 10.0
PIECE_BYTES = 64 * MIB
SLOT = "weir-state-import"


class Verified(NamedTuple):
    """Say what one state partition holds; `wrong` is empty where a worker could start on it."""

    partition: int
    committed: int | None
    in_next: int | None
    epoch: int
    seq: int
    entries: int
    wrong: str


class Import(NamedTuple):
    """Say what an import will write, or has written, of one partition."""

    partition: int
    entries: int
    in_next: int


class StateTools:
    """Work on the state of one stage whose workers are stopped."""

    def __init__(self, settings: Settings, stage: StageName) -> None:
        self._settings = settings
        self.stage = stage
        self._input = settings.topic(_INPUTS[stage])
        self._topic = settings.topic(f"state.{stage}")
        self._bundle: Bundle = read_bundle(settings)
        self._key = settings.deployment_key()
        self._built = self._build()

    def _build(self) -> StatefulStage:
        settings, key = self._settings, self._key
        screen = None
        if self.stage == "screen":
            screen = build_screen(
                settings, self._bundle, key, topic=self._input, from_file=False,
                sighting_partitions=1,
            )  # fmt: skip
        return build_stage(settings, self.stage, self._bundle, key, screen).stage

    def dump(self, only: int | None) -> Iterator[dict[str, Any]]:
        """Yield every state record in words, partition by partition, in log order."""
        with ParkedStage(self._settings, self.stage) as parked:
            count = parked.partition_count(self._topic)
        if only is not None and not 0 <= only < count:
            raise UserError(f"{self._topic} has partitions 0 to {count - 1}, not {only}")
        for number in range(count) if only is None else [only]:
            for record in self._records(number):
                shown = transfer.describe(decode(record.value))
                yield {"partition": number, "offset": record.offset, **shown}

    def verify(self) -> list[Verified]:
        """Restore every partition and compare it with the group's committed offset."""
        with ParkedStage(self._settings, self.stage) as parked:
            count = parked.partition_count(self._input)
            committed = parked.committed(self._input, count)
        return [self._restored(number, count, at)[0] for number, at in enumerate(committed)]

    def export(self, path: Path) -> list[Verified]:
        """Write the whole state to a file; nothing is written where a partition does not verify.

        Raises:
            UserError: workers of the group are alive, or their state moved meanwhile.
        """
        with ParkedStage(self._settings, self.stage) as parked:
            self._refuse_members(parked)
            count = parked.partition_count(self._input)
            committed = parked.committed(self._input, count)
            found = [self._restored(number, count, at) for number, at in enumerate(committed)]
            if parked.committed(self._input, count) != committed:
                raise UserError(f"{self._settings.group(self.stage)} committed meanwhile: stop it")
        verified = [each for each, _ in found]
        if not any(each.wrong for each in verified):
            states = tuple(moved for _, moved in found)
            offsets = tuple(at or 0 for at in committed)
            exported = Exported(
                self.stage, self._settings.deployment, self._bundle.digest, offsets, states
            )
            export_file.write(path, exported)
        return verified

    def import_(
        self, path: Path, *, at: At, without: str | None, execute: bool, tell: Tell
    ) -> list[Import]:
        """Write an export into the empty state topic of this configuration.

        Another number of partitions re-keys it. `at` says where the input goes on: at the
        exported offsets, or at the ends or beginnings of the input topic as it is now.

        Raises:
            UserError: the export does not belong here, or something is in its way.
        """
        exported = export_file.read(path)
        self._refuse_strangers(exported)
        with ParkedStage(self._settings, self.stage) as parked:
            self._refuse_members(parked)
            count = parked.partition_count(self._input)
            if parked.partition_count(self._topic) != count:
                raise ConfigError(f"{self._topic} needs {count} partitions, as {self._input} has")
            if any(parked.ends(self._topic, count)):
                raise UserError(
                    f"{self._topic} is not empty: delete it and create it again (weir topics "
                    "create), or import into another namespace"
                )
            states = self._rekeyed(exported, count)
            if without is not None:
                states = [transfer.without(state, self._owner(without)) for state in states]
            offsets = self._offsets(parked, exported, count, at)
            plan = [
                Import(state.partition, len(state.entries), offset)
                for state, offset in zip(states, offsets, strict=True)
            ]
            if execute:
                for state, offset in zip(states, offsets, strict=True):
                    self._write(parked, state, offset)
                    tell(f"{self._topic}-{state.partition}: {len(state.entries)} entries written")
        return plan

    def _write(self, parked: ParkedStage, state: Moved, offset: int) -> None:
        """Write one transaction after the other; only the last one makes the partition whole."""
        bundle = bytes.fromhex(self._bundle.digest)
        held: list[tuple[bytes, bytes]] | None = None
        lists = transfer.records_of(state, offset, bundle, SLOT)
        for records in transfer.transactions_of(lists):
            if held is not None:
                parked.write(self._topic, state.partition, held)
            held = records
        source = Partition(self._input, state.partition)
        parked.write(self._topic, state.partition, held or (), [(source, offset)])

    def _offsets(
        self, parked: ParkedStage, exported: Exported, count: int, at: At
    ) -> tuple[int, ...]:
        if at == "earliest":
            return tuple(parked.beginnings(self._input, count))
        if at == "latest":
            return tuple(parked.ends(self._input, count))
        if count != len(exported.states):
            raise UserError(
                f"the export is of {len(exported.states)} partitions, {self._input} has {count}: "
                "its offsets mean nothing there; say --at earliest or --at latest"
            )
        return exported.offsets

    def _rekeyed(self, exported: Exported, count: int) -> list[Moved]:
        if count == len(exported.states):
            return list(exported.states)
        place: Placement = transfer.place_ledger
        if self.stage == "screen":
            place = transfer.place_windows(transfer.partitioner_of(exported.states))
        elif self.stage == "correlate":
            place = transfer.place_sightings
        return transfer.rekey(exported.states, place, count)

    def _owner(self, account: str) -> Callable[[Any], bool]:
        if self.stage == "screen":
            return transfer.is_windows_of(account, self._key)
        if self.stage == "enforce":
            return transfer.is_of_account(account)
        raise UserError(
            "what correlate keeps of an account cannot be told apart; it retires by itself after "
            "the longest campaign window and correlate.lateness"
        )

    def _refuse_strangers(self, exported: Exported) -> None:
        if exported.stage != self.stage:
            raise UserError(f"the export is of {exported.stage}, not of {self.stage}")
        if exported.deployment != self._settings.deployment:
            raise UserError(
                f"the export is of deployment {exported.deployment!r}, this one is "
                f"{self._settings.deployment!r}: action ids would change"
            )

    def _refuse_members(self, parked: ParkedStage) -> None:
        members = parked.members()
        if members:
            raise UserError(
                f"{', '.join(sorted(members))}: still in {self._settings.group(self.stage)}; stop "
                f"the workers and wait for their session "
                f"({self._settings.kafka.session_timeout_ms} ms)"
            )

    def _restored(self, number: int, count: int, at: int | None) -> tuple[Verified, Moved]:
        table = self._built.new_table(number, count)
        restore = Restore(self._built, table, count)
        wrong = ""
        try:
            for record in self._records(number):
                restore.feed(record.value)
            if (restore.tail.in_next is None) != (at is None):
                wrong = "there is an offset but no state"
                if at is None:
                    wrong = "there is state but no offset"
            elif at is not None and restore.progress(at) != "done":
                wrong = f"the state ends at {restore.tail.in_next}, the committed offset is {at}"
        except StateMismatch as error:
            wrong = str(error)
        tail = restore.tail
        moved = transfer.take_out(self._built, table, number, count)
        verified = Verified(
            number, at, tail.in_next, tail.epoch, tail.seq, len(moved.entries), wrong
        )
        return verified, moved

    def _records(self, number: int) -> Iterator[StateRecord]:
        """Read one state partition to its last stable offset."""
        reader = KafkaStateReader(self._settings, self.stage)
        partition = Partition(self._topic, number)
        at: int | None = None
        try:
            while True:
                piece = reader.read({partition: at}, PIECE_S, PIECE_BYTES)
                yield from piece.records.get(partition, ())
                at = piece.positions.get(partition, at)
                if partition in piece.drained:
                    return
        finally:
            reader.close(1.0)
