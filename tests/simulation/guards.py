"""Hold the rules of the driver that a mutation may take away; the engine's own are patched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.simulation.sabotage import KINDS

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from worker.engine.commands import SendOffsets


class Guards:
    """Do what the production transport does."""

    stable_offsets = True  # committed offsets are asked with require_stable
    read_committed = True  # the state is read so
    at_least_once = 0.05  # share of runs with --delivery at-least-once
    reuses_client = False  # after a failure, in place of ending the process
    counts_rebalances = True
    sabotaged = 0.05  # share of runs in which somebody breaks offsets or state
    sabotage: tuple[str, ...] = KINDS

    def send_offsets(self, process: Process, command: SendOffsets) -> Iterator[float]:
        """Send offsets under the snapshot of the poll."""
        yield from process.producer.send_offsets(dict(command.offsets), command.group)
