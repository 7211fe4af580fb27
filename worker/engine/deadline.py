"""Split the time between a signal to stop and the end, with a floor for the commit."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]  # monotonic seconds


class Deadline:
    """Hold one moment that several steps share; no step can take what is reserved for another."""

    def __init__(self, at: float, clock: Clock) -> None:
        self._at = at
        self._clock = clock

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> Deadline:
        """Begin a budget now."""
        return cls(clock() + seconds, clock)

    @property
    def remaining_s(self) -> float:
        """Return what is left; never negative."""
        return max(self._at - self._clock(), 0.0)

    def share(self, *, at_most_s: float, reserve_s: float = 0.0, at_least_s: float = 0.0) -> float:
        """Give a step its time: at most its share, leaving `reserve_s`, never below its floor.

        The floor holds even when earlier steps overran: a commit that is not tried is a batch
        that the next owner decides again.
        """
        return max(min(at_most_s, self.remaining_s - reserve_s), at_least_s)
