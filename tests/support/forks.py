"""Fork workers from a process that has imported them already.

An interpreter and its imports cost a second of processor time per start, more than the start itself
costs; a fork of the standard library's fork server costs some milliseconds. Each worker is a
process of its own all the same: it connects, fails and dies like any other.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing import connection
from pathlib import Path
from typing import Protocol

from typing_extensions import override

_SERVER = multiprocessing.get_context("forkserver")
# With what a child would import anew: its parent's main module, and pytest where that is the main.
_SERVER.set_forkserver_preload(
    ["tests.support.failing_worker", "tests.support.warm_client", "tests.faults.run", "pytest"]
)
# A start looks at every child that may have ended, and an end can be read once alone: by two
# threads at once, one of them takes it for 255.
_LOCK = threading.Lock()


class Process(Protocol):
    """Hold what `subprocess.Popen` and a forked worker have in common."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


class ForkedWorker(Process):
    """Run `tests.support.failing_worker` in a fork; its output goes to a log."""

    def __init__(self, arguments: tuple[str, ...], log: Path, clock_s: float = 0.0) -> None:
        """Start it, with its wall clock `clock_s` seconds ahead, or jumping by as much."""
        log.touch()  # whoever looks before the worker has begun finds nothing
        wanted = (arguments, str(log), clock_s)
        with _LOCK:
            self._process = _SERVER.Process(target=_work, args=wanted, daemon=True)
            self._process.start()

    @property
    @override
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    @override
    def returncode(self) -> int | None:
        return self.poll()

    @override
    def poll(self) -> int | None:
        with _LOCK:
            return self._process.exitcode

    @override
    def wait(self, timeout: float | None = None) -> int:
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise TimeoutError(f"process {self.pid} runs on after {timeout} s")
        return code

    @override
    def send_signal(self, sig: int, /) -> None:
        with contextlib.suppress(ProcessLookupError):  # ended, and nobody has told us yet
            if self.poll() is None:
                os.kill(self.pid, sig)

    @override
    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _work(arguments: tuple[str, ...], log: str, clock_s: float) -> None:
    with Path(log).open("ab") as out:
        for stream in (1, 2):
            os.dup2(out.fileno(), stream)
    faulthandler.enable()  # SIGABRT dumps every stack
    if "tests.support.failing_worker" not in sys.modules:
        raise ImportError("the fork server has not imported the worker")
    from tests.support.failing_worker import main  # never in the parent

    if clock_s:
        _shift(clock_s)
    sys.exit(main(*arguments))


def _shift(seconds: float) -> None:
    """Let the wall clock be ahead, and back at the right time in every other five seconds."""
    right = time.time

    def shifted() -> float:
        now = right()
        return now + seconds if int(now / 5) % 2 else now

    time.time = shifted
