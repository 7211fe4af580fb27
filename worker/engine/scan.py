"""Run the three stages over one input in one process, in the reference order.

The stages are the production ones, each with one partition; between them travel the bytes that
Kafka would carry. What is decided does not depend on where blocks end
(docs/time-and-identity.md, rule 4).
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Protocol

import orjson

from fastpath.records import BatchView
from worker.domain.errors import WeirError
from worker.stages.protocols import Output, Stage
from worker.transport.protocols import Polled, Quarantined, Sink

# The results of a scan: a role writes to the file of its first part (`actions.warn` to actions).
RESULTS = ("actions", "signals", "campaigns", "shadow", "dlq")
# Records stepped at once: bounds what one step holds in Python when every post is flagged, and is
# long against the cost of a step. Blocks of the input are about as long.
MAX_RECORDS = 8_192
Progress = Callable[[int, int], None]
"""Called after each block with bytes read from disk and records judged so far."""


class PipelineError(WeirError):
    """Report a stage that wrote to a role nothing takes: the composition is wrong."""


class Posts(Protocol):
    """Hand out an input from its beginning to its end; `transport.files.PostFile` does."""

    name: str
    size: int | None
    at_end: bool

    @property
    def position(self) -> int:
        """Return how many of `size` bytes were read."""

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Return the next records in order; nothing once `at_end` is set."""

    def close(self, timeout_s: float) -> None:
        """Release the input."""


class Results(Sink, Protocol):
    """Take result records and show them all at once; `transport.files.ResultFolder` does."""

    def publish(self, summary: bytes) -> None:
        """Make everything sent visible together with the summary."""

    def path(self, name: str) -> Path:
        """Return where the records of a topic stand once published."""


@dataclass(slots=True)
class Tally:
    """Count what a scan wrote."""

    posts: int = 0  # records read, whatever became of them
    signals: Counter[str] = field(default_factory=Counter)  # by policy/rule
    actions: Counter[str] = field(default_factory=Counter)  # by kind
    shadow: Counter[str] = field(default_factory=Counter)  # by policy/rule
    reasons: Counter[str] = field(default_factory=Counter)  # dead letters by reason
    campaigns: int = 0

    @property
    def dead_letters(self) -> int:
        """Return how many records were refused."""
        return self.reasons.total()


class _Hop:
    """Number the records between two stages as a topic of one partition would."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._next = 0

    def view(self, outputs: list[Output]) -> BatchView:
        first = self._next
        self._next += len(outputs)
        return BatchView.from_records(
            self._topic,
            0,
            [output.key for output in outputs],
            [output.value for output in outputs],
            [0] * len(outputs),  # stages never read the timestamp of Weir's own topics
            list(range(first, self._next)),
        )


class Pipeline:
    """Feed posts to screen, sightings to correlate, signals of both to enforce; write the rest.

    Signals reach enforce ordered by the post behind them, screen's before correlate's.
    """

    def __init__(
        self, name: str, *, screen: Stage, correlate: Stage, enforce: Stage, results: Results
    ) -> None:
        self.tally = Tally()
        self._name = name
        self._results = results
        self._screen, self._screen_table = screen, screen.new_table(0, 1)
        self._correlate, self._correlate_table = correlate, correlate.new_table(0, 1)
        self._enforce, self._enforce_table = enforce, enforce.new_table(0, 1)
        self._sightings = _Hop(correlate.inputs[0])
        self._signals = _Hop(enforce.inputs[0])

    def step(self, view: BatchView) -> None:
        """Take one block of posts through all stages; nothing of it is held afterwards."""
        self.tally.posts += len(view)
        passed = self._settle(self._screen.step(self._screen_table, view))
        signals, sightings = passed["signals"], passed["sightings"]
        if sightings:
            outputs = self._correlate.step(self._correlate_table, self._sightings.view(sightings))
            signals += self._settle(outputs)["signals"]
            signals.sort(key=attrgetter("trigger"))  # stable: screen's stay before correlate's
        if signals:
            for output in signals:
                for rule in output.rules:
                    self.tally.signals[rule] += 1
                self._write("signals", _value(output))
            self._settle(self._enforce.step(self._enforce_table, self._signals.view(signals)))

    def _settle(self, outputs: list[Output]) -> dict[str, list[Output]]:
        """Write what ends here; return what the next stages read, by role, in order."""
        passed: dict[str, list[Output]] = {"signals": [], "sightings": []}
        for output in outputs:
            role = output.topic
            if role in passed:
                passed[role].append(output)
            elif role.startswith("actions."):
                self.tally.actions[role.removeprefix("actions.")] += 1
                self._write("actions", _value(output))
            elif role == "shadow":
                for rule in output.rules:
                    self.tally.shadow[rule] += 1
                self._write("shadow", _value(output))
            elif role == "campaigns":
                self.tally.campaigns += 1
                self._write("campaigns", _value(output))
            elif role == "dlq":
                self._write_dead_letter(output)
            else:
                raise PipelineError(f"a stage wrote to {role!r}, which a scan does not take")
        return passed

    def _write(self, name: str, line: bytes) -> None:
        self._results.send(name, None, line)

    def _write_dead_letter(self, output: Output) -> None:
        headers = dict(output.headers)
        reason = headers["weir.dlq.reason"].decode()
        self.tally.reasons[reason] += 1
        letter = {
            "reason": reason,
            "raw": base64.b64encode(_value(output)).decode(),
            "origin": {"file": self._name, "line": output.trigger},
        }
        self._write("dlq", orjson.dumps(letter))


def _value(output: Output) -> bytes:
    if output.value is None:
        raise PipelineError(f"a stage wrote to {output.topic!r} without a value")
    return output.value


@dataclass(frozen=True, slots=True)
class Summary:
    """Say what a scan did; the form of summary.json."""

    tally: Tally
    seconds: float
    bundle: str  # digest
    version: str

    @property
    def posts_per_s(self) -> int:
        """Return the rate over the whole scan, reading and writing included."""
        return round(self.tally.posts / self.seconds) if self.seconds else 0

    def as_dict(self) -> dict[str, object]:
        """Return the summary in the order of docs/records.md, counts sorted by name."""
        tally = self.tally
        return {
            "posts": tally.posts,
            "dead_letters": tally.dead_letters,
            "signals": _sorted(tally.signals),
            "actions": _sorted(tally.actions),
            "shadow": _sorted(tally.shadow),
            "campaigns": tally.campaigns,
            "seconds": round(self.seconds, 3),
            "posts_per_s": self.posts_per_s,
            "bundle": self.bundle,
            "version": self.version,
        }


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


@dataclass(frozen=True, slots=True)
class Scan:
    """Hold everything one scan needs; made by the composition root, run once."""

    posts: Posts
    pipeline: Pipeline
    results: Results
    clock: Callable[[], float]  # seconds, monotonic
    bundle: str
    version: str

    def run(self, progress: Progress | None = None) -> Summary:
        """Judge the whole input and publish the results; an error leaves no new result behind."""
        started = self.clock()
        try:
            while not self.posts.at_end:
                for item in self.posts.poll(0, MAX_RECORDS).items:
                    if isinstance(item, Quarantined):
                        raise PipelineError(f"records {item.first} to {item.next} are unreadable")
                    self.pipeline.step(item)
                if progress is not None:
                    progress(self.posts.position, self.pipeline.tally.posts)
            summary = Summary(
                self.pipeline.tally, self.clock() - started, self.bundle, self.version
            )
            self.results.publish(
                orjson.dumps(summary.as_dict(), option=orjson.OPT_INDENT_2) + b"\n"
            )
        finally:
            self.posts.close(0)
            self.results.close(0)  # takes back what was not published
        return summary
