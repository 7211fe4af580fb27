"""Stop a stage whose records die by our own fault, before it moves the stream to the dead letters.

What senders write (`poison`) never opens the fuse: one account could stop a stage.
"""

from __future__ import annotations

from collections import deque

from worker.domain.errors import FuseOpen

IN_A_ROW = 10  # systemic dead letters of one partition without a good record in between
WINDOW = 10_000  # records of one partition that the share is taken over
SHARE = 0.05  # of WINDOW; tens of times what a rollout with a bug in one preset would make


class Fuse:
    """Count the systemic dead letters of one partition."""

    def __init__(self, topic: str, partition: int) -> None:
        self._where = f"{topic}-{partition}"
        self._in_a_row = 0
        self._seen = 0  # records so far
        self._died: deque[int] = deque()  # places in the count of records that died by our fault

    def passed(self, records: int) -> None:
        """Note records that were judged, or died by their sender's fault."""
        if records > 0:
            self._seen += records
            self._in_a_row = 0

    def died(self) -> None:
        """Note one record that died by our fault.

        Raises:
            FuseOpen: IN_A_ROW in a row, or more than SHARE of the last WINDOW records.
        """
        self._seen += 1
        self._in_a_row += 1
        self._died.append(self._seen)
        while self._died and self._died[0] <= self._seen - WINDOW:
            self._died.popleft()
        if self._in_a_row >= IN_A_ROW:
            raise FuseOpen(
                f"{self._where}: {self._in_a_row} records in a row died by our own fault; the "
                "dead letters say why. Fix that, then restart"
            )
        if len(self._died) > SHARE * WINDOW:
            raise FuseOpen(
                f"{self._where}: {len(self._died)} of the last {WINDOW} records died by our own "
                f"fault, limit {SHARE:.0%}; the dead letters say why. Fix that, then restart"
            )
