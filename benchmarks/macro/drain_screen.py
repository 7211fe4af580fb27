"""Drain a backlog through `screen` as `weir run` does it: engine, policy, signals, sightings.

The engine is the one that `weir run --stage screen` composes, on a real Kafka; only its clients
tell when the first posts came and when the offsets behind the last one were committed. An engine
called `exactly-once` or `at-least-once` delivers so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from benchmarks import bundles, corpora, kafka_posts
from benchmarks.definition import Definition
from benchmarks.measured import Engine, Measured, Stopwatch
from worker import runtime
from worker.engine.drive import Driver
from worker.engine.loop import Engine as StageEngine
from worker.runtime.engines import StageRun, build_engine, new_run
from worker.runtime.stages import keep_built
from worker.settings import Settings
from worker.transport.kafka.consumer import KafkaSource
from worker.transport.kafka.state import KafkaStateReader
from worker.transport.kafka.transactions import StageProducer
from worker.transport.protocols import Ended, Group, Partition, Polled

BROKER = True
FRESH = True
TOPIC = "posts"
BUNDLE = "bundle"
KEY = "deployment.key"
MAX_RECORDS = 20_000


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write the bundle, start a broker and load the posts."""
    bundles.write(folder / BUNDLE, definition.patterns)
    (folder / KEY).write_text("5a" * 32, encoding="utf-8")
    words = corpora.patterns(definition.patterns["seed"], definition.patterns["words"])
    posts = corpora.post_file(definition.corpus, words)
    with kafka_posts.broker(folder) as servers:
        kafka_posts.load(servers, TOPIC, definition.options["partitions"], posts)
        yield {"posts": corpora.digest_of(posts)}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Compose the engine under settings of its own."""
    return Draining(name, definition, folder)


def settings_of(name: str, definition: Definition, folder: Path, namespace: str) -> Settings:
    """Give the settings of an engine, its name the slot and its delivery."""
    partitions = definition.options["partitions"]
    return Settings(
        bundle=folder / BUNDLE,
        deployment_key_file=folder / KEY,
        input={"topic": TOPIC, "time": "create"},  # type: ignore[arg-type]
        slot=name,
        delivery="at-least-once" if name == "at-least-once" else "exactly-once",
        kafka={  # type: ignore[arg-type]
            "bootstrap_servers": kafka_posts.servers_of(folder),
            "namespace": namespace,
            "durability": "single_node",
            "max_poll_records": MAX_RECORDS,
            "partitions": dict.fromkeys(("posts", "sightings", "signals"), partitions),
        },
    )


def engine_of(settings: Settings, run: StageRun) -> StageEngine:
    """Compose the engine of screen as `weir run` does."""
    run.sighting_partitions = settings.kafka.partitions.sightings
    return build_engine(settings, runtime.read_bundle(settings), run, start="earliest")


class Draining:
    """Let the engine of `weir run` do the whole once, and read back what it wrote."""

    def __init__(
        self, name: str, definition: Definition, folder: Path, namespace: str | None = None
    ) -> None:
        self._folder = folder
        self._posts = definition.corpus["posts"]
        self._settings = settings_of(
            name, definition, folder, namespace or f"{name}-{uuid4().hex[:8]}"
        )
        runtime.create_topics(self._settings)
        run = new_run(self._settings, "screen")
        clock = self._clock = Stopwatch()
        watch = Watch(clock, self._posts)
        producer = WatchedProducer(self._settings, watch)
        state = KafkaStateReader(self._settings, "screen")
        source = WatchedSource(self._settings, watch)
        self.engine = engine_of(self._settings, run)
        self._driver = watch.driver = Driver(source, producer, state, run.phase)

    def measure(self) -> Measured:
        """Time the loop from the first posts to the commit behind the last."""
        keep_built()  # as `weir run` does
        broker = kafka_posts.broker_cpu(self._folder)
        self._driver.run(self.engine.steps())
        broker = kafka_posts.broker_cpu(self._folder) - broker
        signals = list(
            kafka_posts.read_all(
                kafka_posts.servers_of(self._folder), self._settings.topic("signals")
            )
        )
        outputs = [f"{each['policy']}/{each['rule']} {each['post']['id']}" for each in signals]
        rules = Counter(output.split(" ")[0] for output in outputs)
        return Measured(
            self._posts,
            self._clock.seconds,
            self._clock.cpu_seconds,
            {"posts": self._posts, "signals": len(signals), **rules},
            outputs,
            figures={"broker_cpu_us_per_post": broker / self._posts * 1e6},
        )

    def close(self) -> None:
        """Hold nothing: the driver has let go of its clients."""


class Watch:
    """Stop the clock, and the driver, when every post is behind the committed offsets."""

    def __init__(self, clock: Stopwatch, posts: int) -> None:
        self.clock = clock
        self.driver: Driver | None = None
        self.polled = 0
        self._posts = posts
        self._at: dict[Partition, int] = {}

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Note offsets that count now."""
        self._at.update(offsets)
        if sum(self._at.values()) == self._posts and self.driver is not None:
            self.clock.__exit__(None, None, None)
            self.driver.stop()


class WatchedSource(KafkaSource):
    """Tell when the posts began and, at least once, when offsets count."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        super().__init__(settings, "screen", [settings.topic("posts")])
        self._watch = watch

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Start the clock anew until posts came."""
        if not self._watch.polled:
            self._watch.clock.__enter__()
        polled: Polled = super().poll(timeout_s, max_records)
        self._watch.polled += sum(len(view) for view in polled.items)  # type: ignore[misc]
        return polled

    def commit(self, offsets: Mapping[Partition, int], group: Group, timeout_s: float) -> None:
        """Commit, and tell the watch."""
        super().commit(offsets, group, timeout_s)
        self._watch.committed(offsets)


class WatchedProducer(StageProducer):
    """Tell, exactly once, when offsets count: with their transaction."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        super().__init__(settings, "screen")
        self._watch = watch
        self._offsets: Mapping[Partition, int] = {}

    def send_offsets(self, offsets: Mapping[Partition, int], group: Group) -> None:
        """Remember what the transaction carries."""
        super().send_offsets(offsets, group)
        self._offsets = offsets

    def commit(self) -> Ended:
        """Commit, and tell the watch."""
        ended = super().commit()
        self._watch.committed(self._offsets)
        return ended
