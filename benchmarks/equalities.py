"""Check that `scan` and `run` decide the same at scale, and say what `run` cost.

`python -m benchmarks.equalities` sends 200,000 posts (the shipped sample, repeated with the same
accounts and shifted times) through a real broker on 4 partitions with two `weir run` processes
per stage, twice: with rules on posts alone (equal action ids), and with the whole example bundle
(equal signals and campaigns; enforce fed with the recorded signals writes the run's actions).
Exits 1 when an equality does not hold. CPU is that of the worker processes, start-up included.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from deploy.local.broker import serving
from tests.support.deployment import ROOT, Deployment, wait_for
from tests.support.equalities import (
    action_ids,
    campaign_set,
    decide_again,
    ndjson,
    post_rules_alone,
    scan_into,
    signal_set,
)
from worker.domain.times import parse_time
from worker.settings import STAGE_NAMES

EXAMPLE = ROOT / "deploy" / "example"
DAY_MS = 86_400_000
DEADLINE_S = 3_600.0
LOOK_EVERY_S = 1.0  # looking costs connections to the broker


def repeated(sample: Path, count: int) -> Iterator[bytes]:
    """Yield `count` posts: the sample over and over, ids suffixed, times after the copy before."""
    with gzip.open(sample, "rb") as file:
        lines = file.readlines()
    times = [_time(line) for line in lines]
    known = [time for time in times if time is not None]
    step = (max(known) - min(known)) // DAY_MS * DAY_MS + 2 * DAY_MS
    for number in range(count):
        copy, index = divmod(number, len(lines))
        moment = times[index]
        if copy and moment is not None:
            post = json.loads(lines[index])
            post["id"] = f"{post['id']}-{copy}"
            post["created_at"] = moment + copy * step
            yield json.dumps(post, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        else:
            yield lines[index]


def _time(line: bytes) -> int | None:
    try:
        post = json.loads(line)
        return parse_time(post["created_at"]) if isinstance(post["id"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def run_through(deployment: Deployment, posts: Path, workers: int) -> tuple[float, float]:
    """Load, run to the end with `workers` processes per stage; return seconds and CPU seconds."""
    deployment.create()
    began = time.monotonic()
    deployment.load(posts)
    print(f"  loaded in {time.monotonic() - began:.1f} s", flush=True)
    began = time.monotonic()
    for stage in STAGE_NAMES:
        for number in range(workers):
            deployment.start(f"{stage}-{number}", stages=(stage,))
    wait_for(deployment.drained, "the stream goes through", DEADLINE_S, LOOK_EVERY_S)
    elapsed = time.monotonic() - began
    cpu = sum(
        sum(psutil.Process(worker.process.pid).cpu_times()[:2]) for worker in deployment.workers
    )
    codes = [worker.stop() for worker in deployment.workers]
    if any(codes):
        raise SystemExit(f"workers ended with {codes}")
    return elapsed, cpu


def main() -> int:
    """Run both checks and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2, help="processes per stage")
    options = parser.parse_args()
    verdicts: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as name, serving() as servers:
        folder = Path(name)
        posts = folder / "posts.ndjson"
        with posts.open("wb") as out:
            out.writelines(repeated(EXAMPLE / "posts.ndjson.gz", options.posts))
        alone = post_rules_alone(EXAMPLE / "bundle", folder / "bundle")
        for title, bundle in (("rules on posts", alone), ("whole bundle", EXAMPLE / "bundle")):
            print(f"{title}: {options.posts} posts, {options.partitions} partitions, "
                  f"{options.workers} processes per stage", flush=True)  # fmt: skip
            deployment = Deployment(
                servers,
                folder / title.replace(" ", "-"),
                bundle,
                options.partitions,
                options={"correlate": {"lateness": "5000d"}},
            )
            try:
                elapsed, cpu = run_through(deployment, posts, options.workers)
                print(
                    f"  {elapsed:.1f} s, {options.posts / elapsed:,.0f} posts/s, "
                    f"{cpu / options.posts * 1e6:.1f} us CPU per post over all stages",
                    flush=True,
                )
                out = scan_into(deployment, posts, folder / "out" / title.replace(" ", "-"))
                verdicts |= compare(deployment, out, whole=bundle != alone)
            finally:
                deployment.close()
    for what, holds in verdicts.items():
        print(f"{'equal' if holds else 'DIFFERENT'}: {what}")
    return 0 if all(verdicts.values()) else 1


def compare(deployment: Deployment, out: Path, *, whole: bool) -> dict[str, bool]:
    """Compare a run with the scan of the same posts."""
    actions = {read.json["action_id"]: read.value for read in deployment.actions()}
    if not whole:
        letters = len(deployment.read("dlq"))
        ids = action_ids(read.json for read in deployment.actions())
        return {
            f"{len(ids)} action ids": ids == action_ids(out / "actions.ndjson"),
            f"{letters} dead letters": letters == len(ndjson(out / "dlq.ndjson")),
        }
    signals = signal_set(read.json for read in deployment.read("signals"))
    campaigns = campaign_set(read.json for read in deployment.read("campaigns"))
    return {
        f"{len(signals)} signals": signals == signal_set(out / "signals.ndjson"),
        f"{len(campaigns)} campaigns": campaigns == campaign_set(out / "campaigns.ndjson"),
        f"{len(actions)} actions decided again": decide_again(deployment) == actions,
    }


if __name__ == "__main__":
    sys.exit(main())
