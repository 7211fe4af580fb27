"""Screen hostile posts one at a time: what the worst of them costs.

The posts are the named hostile cases of the tests, each as long as a record or text may be. Every
post is a batch of its own against an empty state; the least CPU time of three tries counts, since
the machine may take the processor away in one of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import bundles
from benchmarks.definition import Definition
from benchmarks.measured import Engine, Measured, Stopwatch
from fastpath.records import BatchView
from fastpath.screen import Screen
from fastpath.spec import MAX_RECORD_BYTES, MAX_TEXT_BYTES, ScreenSpec, Status
from tests.support.hostile_posts import hostile_posts
from tests.support.hostile_units import MEMBERS, TEXTS, post_of
from worker.policy.bundle import load_bundle

BROKER = False
FRESH = False
TRIES = 3
BUNDLE = "bundle"
KEY = b"benchmark deployment key, 32 B.."


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write the bundle."""
    bundles.write(folder / BUNDLE, definition.patterns)
    yield {}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Build a screen for each preset that the posts are written in."""
    del name
    spec = replace(load_bundle(folder / BUNDLE).screen_spec(deployment_key=KEY), check_key=False)
    return _Hostile(spec, definition.corpus["share"])


def _posts(share: float) -> Iterator[tuple[str, str, bytes]]:
    """Yield (family, preset, value); `share` of the greatest length, 1 for all of it."""
    for unit in TEXTS.values():
        text = unit * int(share * (MAX_TEXT_BYTES - 100) / len(unit.encode()))
        post = {"id": "1", "account": {"id": "u"}, "text": text}
        yield "texts", "generic", json.dumps(post, ensure_ascii=False).encode()
    for name in MEMBERS:
        once, twice = len(post_of(name, 1)), len(post_of(name, 2))
        repeats = 1 + int(share * (MAX_RECORD_BYTES - once) / (twice - once))
        yield "members", "generic", post_of(name, repeats)
    if share == 1:
        for _, preset, value in hostile_posts():
            yield "records", preset, value


class _Hostile:
    """Screen each post alone."""

    def __init__(self, spec: ScreenSpec, share: float) -> None:
        self._posts = list(_posts(share))
        self._screens = {
            preset: Screen(replace(spec, preset=preset))
            for preset in sorted({preset for _, preset, _ in self._posts})
        }

    def measure(self) -> Measured:
        """Time every post; a row or a count stands for each, or it went unjudged."""
        worst: dict[str, float] = {}
        outputs, unjudged, size = [], 0, 0
        with Stopwatch() as watch:
            for place, (family, preset, value) in enumerate(self._posts):
                spent, outcome = self._judge(self._screens[preset], value)
                worst[family] = max(spent, worst.get(family, 0.0))
                outputs.append(f"{place} {outcome}")
                unjudged += not outcome
                size += TRIES * len(value)
        figures = {f"worst_of_{family}_ms": 1e3 * spent for family, spent in worst.items()}
        return Measured(
            TRIES * len(self._posts),
            watch.seconds,
            watch.cpu_seconds,
            {"unjudged": unjudged},
            outputs,
            bytes=size,
            figures={"worst_ms": 1e3 * max(worst.values()), **figures},
        )

    def _judge(self, screen: Screen, value: bytes) -> tuple[float, str]:
        """Return the seconds that a post took, and what became of it; "" for nothing."""
        view = BatchView.from_records("posts", 0, [None], [value], [0], [0])
        least = float("inf")
        for _ in range(TRIES):
            before = screen.counters()
            state = screen.new_state(0)
            began = time.process_time()
            columns = screen.step(view, state)
            least = min(least, time.process_time() - began)
        if columns.rows:
            row = columns.rows[0]
            return least, row.reason if row.status == Status.REJECT else "flagged"
        return least, "harmless" if screen.counters()["posts"] > before["posts"] else ""

    def close(self) -> None:
        """Hold nothing that must be closed."""
