"""Run the simulator.

    python -m tests.simulation --seeds 0:10000             # all of them
    python -m tests.simulation --seconds 360 --jobs 2      # as many as the time allows
    python -m tests.simulation --seeds 4711 --trace        # one, with every step told
    python -m tests.simulation --seeds 0:500 --mutation no_future_check
    python -m tests.simulation --mutations > docs/mutations.md
    python -m tests.simulation --seeds 0:1000000 --jobs 2 --record tests/simulation/record.json

With --record a run goes on behind the seeds that the record holds for this code, and adds to it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.simulation import record, runs
from tests.simulation.mutations import MUTATIONS
from tests.simulation.world import World

PROGRESS_S = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 1 where a promise was broken."""
    options = _options(arguments)
    if options.mutations:
        from tests.simulation import table

        print(table.markdown(table.measured(options.limit)))
        return 0
    if options.trace:
        return _trace(options.seeds[0], options.mutation)
    first, last = options.seeds
    held = record.read(options.record) if options.record else None
    if held is not None:
        first = max(first, held.next_seed)
        held = held._replace(next_seed=first)
    totals = _run(first, last, options, held)
    print(runs.summary(totals))
    return 1 if totals.failures else 0


def _run(
    first: int, last: int, options: argparse.Namespace, held: record.Held | None
) -> runs.Totals:
    totals, told = runs.NOTHING, time.monotonic()
    for part in runs.run_chunks(first, last, options.mutation, options.jobs, options.seconds):
        totals = runs.added(totals, part)
        for seed, problems in part.failures[:3]:
            _tell_failure(seed, problems, options.mutation)
        if held is not None:
            record.write(options.record, held, totals)
        if time.monotonic() - told > PROGRESS_S:
            told = time.monotonic()
            print(f"seed {first + totals.seeds:,}: {runs.summary(totals)}", flush=True)
    return totals


def _tell_failure(seed: int, problems: list[str], mutation: str | None) -> None:
    print(f"seed {seed}:")
    for problem in problems[:5]:
        print(f"  {problem}")
    extra = f" --mutation {mutation}" if mutation else ""
    print(f"  replay: python -m tests.simulation --seeds {seed} --trace{extra}", flush=True)


def _trace(seed: int, mutation: str | None) -> int:
    if mutation is None:
        return _told(World(seed))
    with MUTATIONS[mutation].removed() as guards:
        return _told(World(seed, guards=guards))


def _told(world: World) -> int:
    world.trace = []
    problems = world.run()
    print("\n".join(world.trace))
    print("\n".join(problems) or "nothing was violated")
    return 1 if problems else 0


def _seeds(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    return int(first or 0), int(last) if colon else int(first) + 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=_seeds, default=(0, 10**9), metavar="A:B")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), help="take one guard away")
    parser.add_argument("--mutations", action="store_true", help="print the table of all of them")
    parser.add_argument("--limit", type=int, default=3_000, help="seeds to try per mutation")
    parser.add_argument("--trace", action="store_true", help="tell every step of the first seed")
    parser.add_argument("--record", type=Path, help="go on behind what this file holds")
    options = parser.parse_args(arguments)
    if options.seeds[1] >= 10**9 and options.seconds == float("inf") and not options.mutations:
        parser.error("say --seeds A:B or --seconds N")
    return options


if __name__ == "__main__":
    sys.exit(main())
