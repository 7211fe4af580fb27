"""Name every guard of exactly-once, and take one away: a run without it must be found out.

A mutation patches the engine, or the driver's part that the simulator stands for, while a run
lasts. Production has no switch for any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tests.simulation.client import TransactionalClient
from tests.simulation.guards import Guards
from worker.engine.claimed_count import ClaimedCount
from worker.engine.restorer import Restorer
from worker.engine.state_records import StateRecords
from worker.engine.writer import Writer
from worker.state import changelog, restore
from worker.state.restore import Restore
from worker.state.state_writer import StateWriter
from worker.transport.protocols import Ended, Flushed, Group

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from worker.engine.commands import SendOffsets


@dataclass(frozen=True)
class Mutation:
    """Hold what is taken away, and how."""

    guard: str  # what the engine does
    without: str  # what a run without it does
    patches: tuple[Callable[[], Any], ...] = ()
    guards: type[Guards] = Guards

    @contextmanager
    def removed(self) -> Iterator[Guards]:
        """Run without the guard."""
        with ExitStack() as stack:
            for each in self.patches:
                stack.enter_context(each())
            yield self.guards()


def _set(owner: Any, name: str, value: Any) -> Callable[[], Any]:
    return lambda: patch.object(owner, name, value)


# The driver's part.


class LateMetadata(Guards):
    def send_offsets(self, process: Process, command: SendOffsets) -> Iterator[float]:
        yield from process.producer.send_offsets(dict(command.offsets), process.consumer.group())


class ResetMetadata(Guards):
    def send_offsets(self, process: Process, command: SendOffsets) -> Iterator[float]:
        now = process.consumer.group()
        if not now.member:
            now = Group(stable=False, generation=-1, member="", instance="", rebalances=0)
        yield from process.producer.send_offsets(dict(command.offsets), now)


class OffsetsApart(Guards):
    def send_offsets(self, process: Process, command: SendOffsets) -> Iterator[float]:
        process.world.brokers.group.check(command.group)
        process.world.brokers.coordinator.take(command.offsets)
        yield 0.0


class UnstableOffsets(Guards):
    stable_offsets = False


class UncommittedState(Guards):
    read_committed = False


class Reuse(Guards):
    reuses_client = True


class UncountedRebalances(Guards):
    counts_rebalances = False


class Broken(Guards):
    """Have somebody break state or offsets in every run, where rarely would take long to see."""

    def __init__(self) -> None:
        self.sabotaged = 1.0


class BrokenOffsets(Broken):
    sabotage = ("offsets",)


class LostDelta(Broken):
    sabotage = ("delta lost",)


class FlippedByte(Broken):
    sabotage = ("byte flipped",)


class StaleEpoch(Broken):
    sabotage = ("stale epoch",)


class ForeignDelta(Broken):
    sabotage = ("foreign delta",)


class Retention(Broken):
    sabotage = ("retention",)


class MorePartitions(Broken):
    sabotage = ("partitions",)


class MoreOfBoth(Broken):
    sabotage = ("partitions of both",)


class AtLeastOnce(Guards):
    at_least_once = 1.0


# The engine's part.


def _flush_unread(self: Writer) -> Any:
    from worker.engine.commands import Flush

    flushed = yield from self._asker.ask(Flush(self._flush_s))
    return Flushed(flushed.acknowledged, 0, "", flushed.last)


def _no_flush(self: Writer) -> Any:
    return Flushed(0)
    yield


_commit = TransactionalClient.commit


def _commit_as_usual(self: TransactionalClient) -> Iterator[float]:
    yield from _commit(self)
    self.ended = Ended(0.003, 1)


def _done(self: Restore, committed: int) -> str:
    self._tail.in_next = committed
    return "done"


def _feed_any(self: Restore, value: bytes | None) -> None:
    held = changelog.decode(value)
    if isinstance(held, changelog.Claim):
        self._on_claim(held)
    elif isinstance(held, changelog.Delta):
        self._on_delta(held, value or b"")
    else:
        self._on_slice(held)


class _TrustedTable(Restore):
    def feed(self, value: bytes | None) -> None:
        """Leave what others wrote meanwhile unread."""

    def progress(self, committed: int) -> Any:
        return _done(self, committed)


def _agrees_unread(self: ClaimedCount, partitions: int, budget_s: float) -> Any:
    return True
    yield


_new_restore = Restorer._new_restore


def _trust_kept(self: Restorer, table: Any, partitions: int, tail: Any) -> Restore:
    made = _new_restore(self, table, partitions, tail)
    if tail is not None:
        made.__class__ = _TrustedTable
    return made


_delta = StateRecords.delta


def _delta_if_changed(self: StateRecords, owned: Any) -> Any:
    if owned.writer is not None and not owned.table.changed:
        return []
    return _delta(self, owned)


_write = Writer.write


def _offsets_first(
    self: Writer, purpose: Any, outputs: Any, state: Any, offsets: Any, group: Group
) -> Any:
    self._behind |= offsets
    yield from self.settle(group, at_once=True)
    return (yield from _write(self, purpose, outputs, state, offsets, group))


class _EqualsAll:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def _unclaimed(self: StateWriter, slot: str, generation: int, partitions: int, at: int,
               gap: int = 0) -> list[Any]:  # fmt: skip
    self._tail.in_next = at
    return []


MUTATIONS: dict[str, Mutation] = {
    "no_future_check": Mutation(
        "every future is looked at before offsets are sent (R2)",
        "a record that failed late is missing in a committed transaction (F1)",
        (_set(Writer, "_flush", _flush_unread),),
    ),
    "no_flush": Mutation(
        "nothing is in flight when offsets are sent (R2)",
        "the client reports success for a commit that became an abort (F2)",
        (_set(Writer, "_flush", _no_flush),),
    ),
    "late_metadata": Mutation(
        "offsets go under the group's snapshot of their poll (R3)",
        "a process that lost the partition commits under a generation it has just joined",
        guards=LateMetadata,
    ),
    "reset_metadata": Mutation(
        "a snapshot without member or generation is no snapshot (R3)",
        "brokers check nothing (F4)",
        guards=ResetMetadata,
    ),
    "uncounted_rebalances": Mutation(
        "tables are bound to one count of rebalances (R3)",
        "a partition that left and came back is never claimed again",
        guards=UncountedRebalances,
    ),
    "offset_leak": Mutation(
        "any failure ends the process; nothing is aborted in it (R4)",
        "offsets of an aborted transaction travel in the next one (F3)",
        guards=Reuse,
    ),
    "no_reinit": Mutation(
        "a new producer after a slow or repeated EndTxn (R5)",
        "the older request ends a later transaction (KAFKA-17754)",
        (_set(TransactionalClient, "commit", _commit_as_usual),),
    ),
    "read_uncommitted_restore": Mutation(
        "state is read read_committed (R7)",
        "what was aborted is restored",
        guards=UncommittedState,
    ),
    "unstable_offsets": Mutation(
        "an offset that an open transaction holds is asked for again (R8, RS1)",
        "records are decided again that a transaction at its end holds",
        guards=UnstableOffsets,
    ),
    "lso_is_enough": Mutation(
        "a restore ends where state and stable offset agree (RS3)",
        "it ends at the last stable offset, which an older transaction holds back (KAFKA-10167)",
        (_set(Restore, "progress", _done),),
    ),
    "moved_offsets": Mutation(
        "offsets that were reset or deleted stop the stage (RS3)",
        "records are counted twice or never",
        (_set(Restore, "progress", _done),),
        BrokenOffsets,
    ),
    "trusted_tables": Mutation(
        "a kept table reads on from its tag before it is used",
        "it lacks what others wrote meanwhile",
        (_set(Restorer, "_new_restore", _trust_kept),),
    ),
    "no_claim": Mutation(
        "a claim comes before the first decision (RS5)",
        "epochs do not rise",
        (_set(StateWriter, "claim", _unclaimed),),
    ),
    "no_empty_delta": Mutation(
        "every transaction that moves the offset writes a delta",
        "state and offset cannot be compared any more",
        (_set(StateRecords, "delta", _delta_if_changed),),
    ),
    "offsets_apart": Mutation(
        "offsets ride in the transaction",
        "a crash between the two loses or repeats",
        guards=OffsetsApart,
    ),
    "no_snapshots": Mutation(
        "slices are snapshotted within half a ring (invariant W)",
        "compaction removes deltas that are needed",
        (_set(StateWriter, "due", lambda _self: []),),
    ),
    "no_completeness_check": Mutation(
        "a restore that lacks a delta or a chunk is refused",
        "a state with a hole is used",
        (_set(Restore, "_check_complete", lambda _self: None),),
        LostDelta,
    ),
    "no_crc": Mutation(
        "state records carry a CRC-32C",
        "a flipped byte becomes a count",
        (_set(changelog, "crc32c", lambda _data: 0),),
        FlippedByte,
    ),
    "no_epoch_check": Mutation(
        "a record of an older epoch behind a claim is refused (RS2)",
        "what a process wrote that had lost the partition is applied",
        (_set(Restore, "feed", _feed_any),),
        StaleEpoch,
    ),
    "no_chain": Mutation(
        "deltas are chained by hashes (RS2)",
        "a delta that somebody else wrote is applied",
        (_set(restore, "chain_hash", lambda _before, _content: _EqualsAll()),),
        ForeignDelta,
    ),
    "no_retention_check": Mutation(
        "an offset before the beginning of the log stops the stage (RS4)",
        "records are lost in silence",
        (_set(Restorer, "_check_retention", lambda _self: None),),
        Retention,
    ),
    "no_partition_check": Mutation(
        "another number of partitions stops the stage",
        "keys count on where their state is not",
        (_set(Restore, "_check_shape", lambda _self, _claim: None),),
        MorePartitions,
    ),
    "no_claimed_count": Mutation(
        "a new partition is compared with what was claimed of the others",
        "who holds none of the old ones begins it without the state of its keys",
        (_set(ClaimedCount, "agrees", _agrees_unread),),
        MoreOfBoth,
    ),
    "offsets_first": Mutation(
        "at least once: outputs, then state, then offsets",
        "a crash in between loses records",
        (_set(Writer, "write", _offsets_first),),
        AtLeastOnce,
    ),
}
