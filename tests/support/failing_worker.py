"""Run a worker that kills itself: python -m tests.support.failing_worker POINT[:N] CONFIG STAGE...

The N-th time (1 by default) a stage reaches the failpoint the process gets SIGKILL: nothing is
flushed, closed or told. The points are those of `worker.engine.drive.Failpoint`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import cast

from worker import runtime
from worker.settings import StageName
from worker.settings_load import load_settings


class Killer:
    """Count how often one failpoint is reached, by any stage of the process."""

    def __init__(self, spec: str) -> None:
        self._point, _, times = spec.partition(":")
        self._left = int(times or 1)
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(spec: str, config: str, *stages: str) -> int:
    settings = load_settings(Path(config), os.environ, {}).settings
    names = [cast(StageName, stage) for stage in stages]
    return runtime.run(settings, names, "earliest", exit_on_stop=True, failpoint=Killer(spec))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
