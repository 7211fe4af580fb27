"""Screen posts in process, with all that a policy asks of a post; no broker, one thread.

Records as they come from Kafka go through the compiled screen of a bundle, 500 at a time:
everything that is done for a post that nothing flags, and the rows of those that are flagged.
Rules' conditions, signals and sending are in `drain-screen`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import bundles, corpora
from benchmarks.definition import Definition
from benchmarks.measured import Engine, Measured, Stopwatch, quantile
from fastpath.columns import Columns
from fastpath.records import BatchView
from worker.policy.bundle import load_bundle

BROKER = False
FRESH = False
BATCH_POSTS = 500
BUNDLE = "bundle"
POSTS = "posts"  # names the file of posts
KEY = b"benchmark deployment key, 32 B.."


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write the bundle and the posts."""
    bundles.write(folder / BUNDLE, definition.patterns)
    words = corpora.patterns(definition.patterns["seed"], definition.patterns["words"])
    posts = corpora.post_file(definition.corpus, words)
    (folder / POSTS).write_text(str(posts), encoding="utf-8")
    yield {"posts": corpora.digest_of(posts)}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Build the screen; `reference` is the twin."""
    del definition
    return Screening(name, folder)


class Screening:
    """Screen all posts, batch after batch, from an empty state."""

    def __init__(self, name: str, folder: Path) -> None:
        spec = load_bundle(folder / BUNDLE).screen_spec(deployment_key=KEY)
        self._screen = _screen(name, spec)
        self._rules = [rule.name for rule in load_bundle(folder / BUNDLE).post_rules]
        self._posts = (folder / POSTS).read_text(encoding="utf-8")
        self._views = list(views(Path(self._posts)))
        self._bytes = sum(
            len(view.value(place) or b"") for view in self._views for place in range(len(view))
        )

    def measure(self) -> Measured:
        """Time every batch."""
        state = self._screen.new_state(0)
        columns: list[Columns] = []
        seconds: list[float] = []
        step, now = self._screen.step, time.perf_counter
        with Stopwatch() as watch:
            for view in self._views:
                began = now()
                columns.append(step(view, state))
                seconds.append(now() - began)
        rows = [row for batch in columns for row in batch.rows]
        posts = sum(batch.count for batch in columns)
        hits: Counter[str] = Counter()
        for row in rows:
            hits.update(name for bit, name in enumerate(self._rules) if row.gates >> bit & 1)
        sightings = sum(part.count for batch in columns for part in batch.sightings)
        counts = {"posts": posts, "flagged": len(rows), "sightings": sightings, **hits}
        return Measured(
            posts,
            watch.seconds,
            watch.cpu_seconds,
            counts,
            (f"{row.offset} {row.gates:x} {row.flags:x} {row.windows} {row.matches} {row.hits}"
             for row in rows),
            self._bytes,
            quantile(seconds, 0.99) * 1000,
        )  # fmt: skip

    def close(self) -> None:
        """Hold nothing but memory."""


def views(posts: Path) -> Iterator[BatchView]:
    """Yield the posts as batches of records, keyed and timed as Kafka would."""
    lines = posts.read_bytes().splitlines()
    for first in range(0, len(lines), BATCH_POSTS):
        values = lines[first : first + BATCH_POSTS]
        read = [json.loads(value) for value in values]
        yield BatchView.from_records(
            "posts",
            0,
            [post["account"]["id"].encode() for post in read],
            values,
            [post["created_at"] for post in read],
            list(range(first, first + len(values))),
        )


def _screen(name: str, spec: Any) -> Any:
    if name == "reference":
        from fastpath.reference.screen import Screen as Twin

        return Twin(spec)
    from fastpath.screen import Screen

    return Screen(spec)
