"""Run tests again at the instruction sets below this process's own."""

from __future__ import annotations

import os
import subprocess
import sys

from fastpath import isa

_LEVELS = ("scalar", "avx2", "avx512")
LOWER = _LEVELS[: _LEVELS.index(isa.ISA)]


def pass_at(level: str, file: str, chosen: str) -> None:
    """Run the tests of a file that `chosen` selects (`-k`) in a process of that level."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file]
    environment = {**os.environ, "FASTPATH_ISA": level}
    done = subprocess.run(
        [*command, "-k", chosen], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3_000:]
