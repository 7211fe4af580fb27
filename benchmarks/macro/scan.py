"""Scan a file of posts with the example bundle: three stages, one process, no broker.

The same as `weir scan POSTS --bundle deploy/example/bundle`, reading and writing included; loading
the bundle is not timed, as `summary.json` does not.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks import corpora
from benchmarks.definition import Definition
from benchmarks.measured import Engine, Measured, Stopwatch
from worker import runtime
from worker.cli.main import COLLECT_AFTER
from worker.settings import Settings

BROKER = False
FRESH = True
BUNDLE = corpora.ROOT / "deploy" / "example" / "bundle"
POSTS = "posts"  # names the file of posts
RESULT = "scanned"


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write the posts."""
    posts = corpora.post_file(definition.corpus, phrases())
    (folder / POSTS).write_text(str(posts), encoding="utf-8")
    yield {"posts": corpora.digest_of(posts)}


def phrases() -> list[str]:
    """Return the entries of the example's lists of calls for violence and of insults."""
    return [
        line
        for name in ("incitement", "harassment")
        for line in (BUNDLE / "lists" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Make the one engine."""
    del name, definition
    return Scanning(folder)


class Scanning:
    """Scan the posts into a folder that is made anew."""

    def __init__(self, folder: Path) -> None:
        self._posts = (folder / POSTS).read_text(encoding="utf-8")
        self._out = folder / RESULT

    def measure(self) -> Measured:
        """Time one scan, the sending of its last line included."""
        shutil.rmtree(self._out, ignore_errors=True)
        settings = Settings(bundle=BUNDLE, enforce={"act_after": "none"})  # type: ignore[arg-type]
        gc.set_threshold(*COLLECT_AFTER)  # as the command line does
        job = runtime.build_scan(settings, self._posts, self._out)
        with Stopwatch() as watch:
            summary = job.run()
        tally = summary.tally
        return Measured(
            tally.posts,
            watch.seconds,
            watch.cpu_seconds,
            {
                "posts": tally.posts,
                "dead_letters": tally.dead_letters,
                "signals": tally.signals.total(),
                "campaigns": tally.campaigns,
                "actions": tally.actions.total(),
            },
            _ids(job.results.path("actions")),
            Path(self._posts).stat().st_size,
        )

    def close(self) -> None:
        """Hold nothing; the results go with the folder."""


def _ids(actions: Path) -> Iterator[str]:
    with actions.open("rb") as lines:
        for line in lines:
            yield str(orjson.loads(line)["action_id"])
