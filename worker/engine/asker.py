"""Ask commands and remember the time and the wish to stop that came with the newest reply."""

from __future__ import annotations

from worker.engine.commands import Command, Reply, Steps, V


class Asker:
    """Be the one place where the engine yields; its parts share one."""

    def __init__(self) -> None:
        self.now = 0.0  # monotonic seconds, of the newest reply
        self.stopping = False

    def ask(self, command: Command[V]) -> Steps[V]:
        """Yield a command and return the value of its reply."""
        reply: Reply[V] = yield command
        self.now = reply.now
        self.stopping |= reply.stopping
        return reply.value
