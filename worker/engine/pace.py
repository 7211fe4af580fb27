"""Say when the next turn begins: what waits longer gathers more, and each turn costs requests."""

from __future__ import annotations

from collections import deque

# A transaction costs the same for one record as for a thousand: turns begin at least so many times
# the last write apart, so that writing takes a third of a quiet loop; transaction_interval_ms caps.
GATHER = 3.0
# The faster of so many counts: one that a busy machine held up says nothing of what writing costs,
# and would make the records behind it wait three times as long again.
WRITES = 2


class Pace:
    """Keep what the next turn waits for; times are monotonic seconds."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._began = float("-inf")  # when the last poll with records ended
        self._full = False  # the last poll: more waits behind it
        self._writes: deque[float] = deque(maxlen=WRITES)

    def polled(self, now: float, *, records: bool, full: bool) -> None:
        """Note a poll: whether it brought records, and whether more wait."""
        self._full = full
        if records:
            self._began = now

    def wrote(self, seconds: float) -> None:
        """Note how long the work of a turn took to write."""
        self._writes.append(seconds)

    def wait_s(self, now: float) -> float:
        """Return how long to gather records; nothing where some wait already."""
        if self._full:
            return 0.0
        apart = min(self._interval_s, GATHER * min(self._writes, default=0.0))
        return max(self._began + apart - now, 0.0)
