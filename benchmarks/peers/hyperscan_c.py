"""Match with Hyperscan from C (Debian libhyperscan-dev): caseless literals, boundaries tested."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.jobs import PeerMissingError
from benchmarks.measured import Measured
from benchmarks.micro.match import PATTERNS, TEXTS, measured, read_lines

PACKAGES = ()
SOURCE = Path(__file__).with_suffix(".c")
HEADERS = "/usr/include/hs"


class Engine:
    """Drive the compiled driver; it takes its own time, without the pipe."""

    def __init__(self, folder: Path) -> None:
        driver = folder / "hyperscan_c"
        if shutil.which("cc") is None or not Path(HEADERS).is_dir():
            raise PeerMissingError("the peer hyperscan-c needs cc and apt install libhyperscan-dev")
        subprocess.run(
            ["cc", "-O3", f"-I{HEADERS}", str(SOURCE), "-o", str(driver), "-lhs"], check=True
        )
        self._outputs = folder / "hyperscan_c.txt"
        inputs = [folder / PATTERNS, folder / TEXTS, self._outputs]
        self._texts = read_lines(folder / TEXTS)
        self._process = subprocess.Popen(
            [str(driver), *map(str, inputs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self) -> Measured:
        """Scan every text once."""
        assert self._process.stdin is not None  # noqa: S101  # both are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write("scan\n")
        self._process.stdin.flush()
        seconds, cpu = map(float, self._process.stdout.readline().split())
        found = [
            (int(text), int(pattern), int(start))
            for text, pattern, start in map(str.split, read_lines(self._outputs))
        ]
        size = sum(map(len, self._texts))
        return measured(found, len(self._texts), size, seconds, cpu, {})

    def close(self) -> None:
        """End the driver."""
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.close()
        self._process.wait()


def engine(folder: Path) -> Engine:
    """Make the engine."""
    return Engine(folder)
