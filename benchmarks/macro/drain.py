"""Drain a backlog from a real Kafka: the one job that every engine does, end to end.

Consume all posts, parse the JSON, match the keywords at word boundaries on case-folded text, and
write one action record for each post that hits; offsets are committed when all actions are
acknowledged. The texts are ASCII, where every engine means the same by a word boundary and by
case folding. The clock starts with the poll that brings the first posts, so that joining a group
counts for nobody, and stops when the last action is acknowledged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import orjson

from benchmarks import corpora, kafka_posts
from benchmarks.definition import OWN_ENGINE, Definition
from benchmarks.jobs import peer
from benchmarks.measured import Engine, Measured, Stopwatch
from fastpath.screen import Screen
from fastpath.spec import Atom, Gate, KeywordList, ScreenSpec
from worker.runtime.stages import keep_built
from worker.settings import Settings
from worker.transport.kafka.consumer import KafkaSource
from worker.transport.kafka.producer import KafkaSink
from worker.transport.protocols import Group, Partition

BROKER = True
FRESH = True
TOPIC = "posts"
PATTERNS = "patterns.json"
POLL_S = 0.1
MAX_RECORDS = 20_000
FLUSH_S = 60.0


@dataclass(slots=True)
class Task:
    """Say what an engine has to do."""

    servers: str
    posts_topic: str
    actions_topic: str
    group: str  # not used before
    posts: int
    patterns: list[str]
    clock: Stopwatch = field(default_factory=Stopwatch)

    def waiting(self) -> None:
        """Start the clock anew; to be called before every poll until one brought posts."""
        self.clock.__enter__()


class Drain(Protocol):
    """Do the task; what `Drain(task)` of a peer's module makes."""

    def run(self) -> None:
        """Consume `task.posts` posts, write an action for each that hits, commit."""

    def close(self) -> None:
        """Let go of the clients."""


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Start a broker and load the posts."""
    words = corpora.patterns(definition.patterns["seed"], definition.patterns["words"])
    posts = corpora.post_file(definition.corpus, words)
    (folder / PATTERNS).write_text(json.dumps(words), encoding="utf-8")
    with kafka_posts.broker(folder) as servers:
        kafka_posts.load(servers, TOPIC, definition.options["partitions"], posts)
        yield {"posts": corpora.digest_of(posts)}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Connect an engine to the broker."""
    return Draining(name, definition, folder)


class Draining:
    """Let one engine do the task once, and read back what it wrote."""

    def __init__(self, name: str, definition: Definition, folder: Path) -> None:
        self._folder = folder
        run = f"{name}-{uuid4().hex[:8]}"
        self._task = Task(
            servers=kafka_posts.servers_of(folder),
            posts_topic=TOPIC,
            actions_topic=f"actions-{run}",
            group=run,
            posts=definition.corpus["posts"],
            patterns=json.loads((folder / PATTERNS).read_text(encoding="utf-8")),
        )
        kafka_posts.create_topic(
            self._task.servers, self._task.actions_topic, definition.options["partitions"]
        )
        made: Any = WeirDrain if name == OWN_ENGINE else peer(name).Drain  # type: ignore[attr-defined]
        self._drain: Drain = made(self._task)

    def measure(self) -> Measured:
        """Time the task."""
        task = self._task
        broker = kafka_posts.broker_cpu(self._folder)
        self._drain.run()
        task.clock.__exit__(None, None, None)
        broker = kafka_posts.broker_cpu(self._folder) - broker
        actions = list(kafka_posts.read_all(task.servers, task.actions_topic))
        outputs = [
            f"{action['post']} {match['pattern']} {match['start']}"
            for action in actions
            for match in action["matches"]
        ]
        counts = {"posts": task.posts, "posts_hit": len(actions), "matches": len(outputs)}
        return Measured(
            task.posts,
            task.clock.seconds,
            task.clock.cpu_seconds,
            counts,
            outputs,
            figures={"broker_cpu_us_per_post": broker / task.posts * 1e6},
        )

    def close(self) -> None:
        """Let go of the clients."""
        self._drain.close()


def action(post: str, account: str, matches: list[dict[str, Any]]) -> bytes:
    """Write the action record of a post that hit; every engine uses this."""
    return orjson.dumps({"post": post, "account": account, "matches": matches})


class WeirDrain:
    """Do the task with Weir's source, screen and sink."""

    def __init__(self, task: Task) -> None:
        self._task = task
        settings = Settings(
            kafka={
                "bootstrap_servers": task.servers,
                "namespace": task.group,
                "durability": "single_node",
                "max_poll_records": MAX_RECORDS,
            },
            slot="drain",
        )  # type: ignore[arg-type]  # validated by pydantic
        self._source = KafkaSource(settings, "screen", [task.posts_topic])
        self._sink = KafkaSink(settings, "drain")
        any_word = Gate("atom", Atom("match", "words", ">=", 1))
        self._screen = Screen(
            ScreenSpec(
                keyword_lists=(KeywordList("words", tuple(task.patterns)),), gates=(any_word,)
            )
        )

    def run(self) -> None:
        """Poll, screen, send; then flush and commit."""
        task, source, sink, screen = self._task, self._source, self._sink, self._screen
        group = self._joined()
        keep_built()  # as `weir run` does
        states = {p: screen.new_state(p.number) for p in group.assigned}
        positions: dict[Partition, int] = {}
        done = 0
        while done < task.posts:
            if not done:
                task.waiting()
            polled = source.poll(POLL_S, MAX_RECORDS)
            if not done and source.group() != group:
                group = self._joined()  # the topics' metadata came late: joined once more
                continue
            positions.update(polled.positions)
            for view in polled.items:
                done += len(view)
                columns = screen.step(view, states[Partition(view.topic, view.partition)])
                for row in columns.rows:
                    matches = [{"pattern": m.pattern, "start": m.start} for m in row.matches]
                    value = action(row.id, row.account, matches)
                    sink.send(task.actions_topic, row.account.encode(), value)
        sink.flush(FLUSH_S)
        source.commit(positions, group, FLUSH_S)

    def _joined(self) -> Group:
        while not ((group := self._source.group()).trusted and group.assigned):
            self._source.poll(POLL_S, MAX_RECORDS)
        for partition in group.assigned:
            self._source.seek(partition, 0)
        self._source.resume(group.assigned)
        return group

    def close(self) -> None:
        """Let go of the clients."""
        self._source.close(5)
        self._sink.close(5)
