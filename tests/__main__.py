"""Run every test: `python -m tests`, with options of pytest's for both of its processes.

What talks to brokers waits most of its time and runs in one process, since brokers and benchmarks
there are shared and large; all other folders run beside it on workers of their own, and are shown
when the first has ended.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
ALONE = ("contract", "deploy", "faults", "integration")
WORKERS = 2
PYTEST = [sys.executable, "-m", "pytest"]


def folders() -> tuple[list[str], list[str]]:
    """Divide the folders that hold tests into those with brokers and the rest."""
    found = sorted({path.relative_to(HERE).parts[0] for path in HERE.rglob("test_*.py")})
    return [f"tests/{name}" for name in found if name in ALONE], [
        f"tests/{name}" for name in found if name not in ALONE
    ]


def main() -> int:
    """Run both processes to their end; return the worse exit status."""
    alone, rest = folders()
    spread = ["-q", "-n", str(WORKERS), "--dist", "worksteal", "-p", "no:cacheprovider"]
    with tempfile.TemporaryFile("w+") as output:
        beside = subprocess.Popen(
            # Behind what talks to brokers: that has deadlines, this has only work.
            ["nice", "-n", "15", *PYTEST, *spread, *sys.argv[1:], *rest],
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
        try:
            status = subprocess.call([*PYTEST, *sys.argv[1:], *alone], cwd=ROOT)
            status = max(status, beside.wait())
        finally:
            beside.terminate()
        output.seek(0)
        sys.stdout.write(output.read())
    return status


if __name__ == "__main__":
    sys.exit(main())
