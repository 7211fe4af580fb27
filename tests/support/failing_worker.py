"""Run a worker that ends or stops itself: python -m tests.support.failing_worker POINT[:N[:SIGNAL]]
CONFIG STAGE...

The N-th time (1 by default) a stage reaches the failpoint the process sends itself SIGKILL, or the
signal named (STOP): nothing is flushed, closed or told, but for one line that says where it stood.
Without a point it runs until it is told to stop.
The points are those of `worker.engine.drive.Failpoint`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import cast

from worker import runtime
from worker.domain.errors import WeirError
from worker.settings import StageName
from worker.settings_load import load_settings


class Failure:
    """Count how often one failpoint is reached, by any stage of the process."""

    def __init__(self, spec: str) -> None:
        self._point, _, rest = spec.partition(":")
        times, _, name = rest.partition(":")
        self._left = int(times or 1)
        self._signal = signal.Signals[f"SIG{name or 'KILL'}"]
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                thread = threading.current_thread().name
                told = {"event": "failpoint", "point": point, "thread": thread}
                os.write(sys.stdout.fileno(), json.dumps(told).encode() + b"\n")
                os.kill(os.getpid(), self._signal)


def main(spec: str, config: str, *stages: str) -> int:
    settings = load_settings(Path(config), os.environ, {}).settings
    names = [cast(StageName, stage) for stage in stages]
    try:
        return runtime.run(settings, names, "earliest", exit_on_stop=True, failpoint=Failure(spec))
    except WeirError as error:  # as the command line does
        sys.stdout.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
