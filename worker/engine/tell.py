"""Say how the engine reports what happens."""

from __future__ import annotations

from typing import Protocol


class Tell(Protocol):
    """Report an event of the closed list of `worker.obs.logs`; never post text."""

    def __call__(self, event: str, **fields: object) -> None:
        """Write one event; never blocks longer than standard output does."""
