"""Three brokers whose volumes fill up: each has a small one of its own, made by mount(8)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from typing_extensions import override

from deploy.local.broker import LocalKafkaError
from tests.faults.brokers import Three

VOLUME_MIB = 256  # some times what a run of tens of thousands of posts writes
FILLER = "filler"
SPARE_BYTES = (0, 20_000)  # none, or so little that a batch of records is cut off
NO_ROOM = "ended for lack of room"
FULL_S = 15.0  # a broker that must write ends at once; one that need not goes on


class Full(Three):
    """Three brokers; now and then the volume of one, or of two, has no room left.

    A broker whose only log folder fails ends itself. It is started again when there is room.
    """

    @override
    def _format(self, node: int, cluster: str) -> None:
        folder = self._folder / f"data-{node}"
        folder.mkdir()
        size = f"size={VOLUME_MIB}m"
        command = ["mount", "-t", "tmpfs", "-o", size, "weir-faults", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LocalKafkaError(
                f"a small volume cannot be mounted, be root: {done.stderr.strip()}"
            )
        super()._format(node, cluster)

    @override
    def run(self) -> None:
        while not self._end.wait(self._chosen.uniform(2.0, 6.0)):
            nodes = self._chosen.sample((1, 2, 3), self._chosen.choice((1, 1, 2)))
            with self.quiet:
                self._fill(nodes)

    def _fill(self, nodes: list[int]) -> None:
        """Take the room of some volumes, wait for their brokers to end, and give it back."""
        for node in nodes:
            fill(self._folder / f"data-{node}", self._chosen.choice(SPARE_BYTES))
        self._end.wait(FULL_S)
        for node in nodes:
            process = self._processes[node]
            ended = process.poll() is not None
            self.faults[NO_ROOM if ended else "went on without room"] += 1
            process.send_signal(signal.SIGKILL)
            process.wait()
            (self._folder / f"data-{node}" / FILLER).unlink()
        for node in nodes:
            self._serve(node)
        for node in nodes:
            self._await(node)

    @override
    def stop(self) -> None:
        for folder in self.folders():
            if folder.is_mount():  # out of sight at once, gone with the brokers
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
        super().stop()


def fill(folder: Path, spare_bytes: int) -> None:
    """Take all room of a volume, but for some bytes."""
    filler = os.open(folder / FILLER, os.O_CREAT | os.O_WRONLY)
    try:
        at = 0
        for step in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):  # until no such piece is left
                while True:
                    os.posix_fallocate(filler, at, step)
                    at += step
        os.ftruncate(filler, max(at - spare_bytes, 0))
    finally:
        os.close(filler)
