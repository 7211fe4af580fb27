"""Define what the engine sees of a stage; plain types, no logic.

A stage is sans-io: `step` reads no clock, draws no random number and does no I/O, and what it
returns does not depend on where batches end: `step(a + b)` equals `step(a)` then `step(b)`.

A table's state leaves it as packed entries (fastpath.changelog): after-images, one per key, the
key being an identity under the deployment key, equal in every process. Nothing ever rolls back:
there is no undo log, because a transaction in doubt ends the process and its successor restores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from fastpath.changelog import SLICES
from fastpath.records import BatchView

# What a stage writes to; the transport maps a role to a topic or a file.
ROLES: tuple[str, ...] = (
    "signals",
    "sightings",
    "campaigns",
    "shadow",
    "dlq",
    "actions.label",
    "actions.limit",
    "actions.remove",
    "actions.warn",
    "actions.lock",
    "actions.suspend",
    "actions.review",
    "actions.restore",
)

# State of one input partition; only the stage that made it looks inside.
Table: TypeAlias = Any
T = TypeVar("T")


class Output(NamedTuple):
    """Carry one record that a stage writes, as bytes."""

    cause: int  # offset of the input record that it stems from
    trigger: int  # origin offset of the post whose arrival caused it
    topic: str  # a role of ROLES
    key: bytes | None
    value: bytes | None
    partition: int | None = None  # None: by the key
    headers: tuple[tuple[str, bytes], ...] = ()
    rules: tuple[str, ...] = ()  # that a signal or action rests on, for whoever counts them


class Stage(Protocol):
    """Turn records of one partition, in order, into outputs and changed state.

    Called by the engine's one thread; never blocks.
    """

    counters: Counter[str]  # monotonic, never labelled with accounts or text

    @property
    def name(self) -> str:
        """Name the stage: screen, correlate or enforce."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Name the roles it reads; inputs[0] is the one whose partitions own the state."""

    def new_table(self, partition: int, partitions: int) -> Table:
        """Make the empty state of one partition of `inputs[0]`, which has `partitions` of them."""

    def step(self, table: Table, view: BatchView) -> list[Output]:
        """Apply the records of `view`; outputs come in the order of their causes.

        A view of another input than `inputs[0]` is told by its topic and needs no table (None).
        """

    def entries(self, table: Table) -> Mapping[str, int]:
        """Count what a table holds in memory, by kind of entry; for gauges."""


class StatefulStage(Stage, Protocol):
    """Keep each table's state in a changelog too; called by the engine's one thread."""

    def changes(self, table: Table) -> bytes:
        """Drain what changed since the last call (or since the table was made): packed entries.

        One after-image per changed key, explicit deletes. Applied in order to a copy that had
        every earlier drain, they make it equal to `table`. Called once per transaction and table.
        """

    def snapshot(self, table: Table, slice_: int) -> bytes:
        """Pack every live entry of a slice: the keys whose first byte is `slice_`.

        Called after `changes` was drained; the entries are as of that drain. SLICES slices
        (fastpath.changelog) make the whole table. Changes nothing.
        """

    def restore(self, table: Table, stream_time: int, entries: bytes) -> None:
        """Apply packed entries of a delta or a slice; `stream_time` is that of their record.

        Entries come in log order and need not be consistent before the last one. What is applied
        here does not come out of `changes`. CorruptImage where an entry is malformed; the table
        is then worthless. Called from threads of a restore, while others fill and decide on other
        tables: it touches this one alone, and so does `clear`.
        """

    def clear(self, table: Table, slice_: int) -> None:
        """Forget every entry of a slice: a newer snapshot of it follows. For restore alone."""

    def stream_time(self, table: Table) -> int:
        """Return the greatest origin time that the table has seen, ms; NO_TIME before any."""

    def adopt(self, table: Table, older: StatefulStage) -> Table:
        """Take over a table of `older`, the same stage under another bundle or the same one.

        Called between two transactions, with `changes` drained. What comes back goes on as a table
        that this stage restored would; `older` and its table are not used again. It costs nothing
        where both bundles count alike, else a copy of the table.
        """


def copied(older: StatefulStage, table: T, stage: StatefulStage, empty: T) -> T:
    """Fill a stage's empty table with what another stage's table holds, as a restore would."""
    time = older.stream_time(table)
    for slice_ in range(SLICES):
        stage.restore(empty, time, older.snapshot(table, slice_))
    return empty
