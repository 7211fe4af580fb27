"""Run faults on a real broker and keep a record of them.

python -m tests.faults --seed 1 --posts 200000 --kills 60
python -m tests.faults --scenario brokers --posts 20000 --kills 20
python -m tests.faults --rounds 10 --record
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from tests.faults import record
from tests.faults.run import run
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Run seeds in turn; stop with 1 at the first that violates an invariant or tries nothing."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="of the first run; the next one on record if left")
    parser.add_argument("--rounds", type=int, default=1, help="how many runs, each with a new seed")
    parser.add_argument(
        "--scenario",
        choices=list(SCENARIOS),
        action="append",
        help="one of "
        + "; ".join(f"{name}: {each.what}" for name, each in SCENARIOS.items())
        + ". May be repeated; all in turn, where none is named",
    )
    parser.add_argument("--posts", type=int, default=200_000, help="per run")
    parser.add_argument("--kills", type=int, default=60, help="per run, at least")
    parser.add_argument("--record", action="store_true", help="append each run to record.json")
    parser.add_argument("--folder", type=Path, help="keep the workers' logs here")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # brokers and workers end with it
    seeds = [each["seed"] for each in record.read()]
    first = max(seeds, default=0) + 1 if options.seed is None else options.seed
    names = list(options.scenario or SCENARIOS)
    for seed in range(first, first + options.rounds):
        name = names[(seed - first) % len(names)]
        with contextlib.ExitStack() as stack:
            folder = options.folder and options.folder / str(seed)
            if folder is None:
                temporary = tempfile.TemporaryDirectory(prefix="weir-faults-")
                folder = Path(stack.enter_context(temporary))
            report = run(
                folder,
                seed=seed,
                posts=options.posts,
                wanted=options.kills,
                scenario=name,
                tell=_tell,
            )
        sys.stdout.write(f"{report.text()}\n")
        sys.stdout.flush()
        if options.record and not report.untried:  # it proves nothing, whatever it found right
            record.add(report.document())
        if report.violations or report.untried:
            return 1
    if options.record:
        sys.stdout.write(f"{record.totals(record.read())}\n")
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
