"""Measure the time from post to action over two stages, at half the rate that can be sustained.

Posts are offered open loop (`benchmarks.open_loop`) to one `weir run` process per stage; latency is
the time at which a `read_committed` reader has the removal of a post, minus the time at which the
post was due. The sustainable rate is found first, once, with the engine named first: the greatest
of the rates tried at which latency does not grow over a window. Rates double until one fails,
then the gap is halved `bisections` times.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic

import orjson
import psutil
from hdrh.histogram import HdrHistogram
from kafka import KafkaConsumer, TopicPartition

from benchmarks import bundles, corpora, kafka_posts
from benchmarks.definition import Definition
from benchmarks.measured import Engine, Measured
from benchmarks.open_loop import FIRST_ID, Generator, Schedule, histogram
from tests.support.deployment import Deployment, wait_for
from worker.settings import StageName

BROKER = True
FRESH = True
BUNDLE = "bundle"
RATE_FILE = "rate.txt"
STAGES: tuple[StageName, ...] = ("screen", "enforce")
LATE_MS = 1.0  # p99 of the generator's own lag; above it a run says nothing
TRIES = 3  # runs that may be void before the measurement is given up
GROWTH_S = 0.25  # more latency in the last fifth of a window than in its second: not sustained
START_S = 1.0  # from the order to the first post
END_S = 60.0  # after the last post was due; what is not there then is lost
POLL_MS = 100
PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_9_ms": 99.9, "max_ms": 100.0}


class VoidRunError(Exception):
    """Report a machine too busy to measure on: the generator could not keep its schedule."""


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write the bundle, start a broker, and find the rate to measure at."""
    bundles.write(folder / BUNDLE, definition.patterns)
    with kafka_posts.broker(folder):
        rate = definition.options.get("rate") or sustainable(definition, folder) / 2
        (folder / RATE_FILE).write_text(f"{rate:.1f}", encoding="ascii")
        yield {"rate": f"{rate:.1f}"}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Start both stages."""
    return Stages(name, definition, folder)


def sustainable(definition: Definition, folder: Path) -> float:
    """Return the greatest rate tried that was sustained."""
    options = definition.options
    with closing(Stages(definition.engines[0], definition, folder)) as stages:
        good, rate = 0.0, float(options["first_rate"])
        while stages.sustains(rate, options["search_s"]):
            good, rate = rate, rate * 2
        if not good:
            raise VoidRunError(f"{rate:.0f} posts/s are not sustained; lower options.first_rate")
        bad = rate
        for _ in range(options["bisections"]):
            rate = (good + bad) / 2
            if stages.sustains(rate, options["search_s"]):
                good = rate
            else:
                bad = rate
    return good


def bodies(definition: Definition) -> tuple[list[bytes], list[bool]]:
    """Make the posts without id, time and account, and say which hold a listed word."""
    words = corpora.patterns(definition.patterns["seed"], definition.patterns["words"])
    corpus = definition.corpus
    chance = random.Random(corpus["seed"])
    plain = islice(corpora.spliced(corpus["seed"]), corpus["bodies"])
    made, listed = [], []
    for number, text in enumerate(plain):
        hit = number % corpus["one_in"] == 0
        full = f"{text} {chance.choice(words)}" if hit else text
        made.append(orjson.dumps({"text": full, "lang": "en"})[1:])
        listed.append(hit)
    return made, listed


@dataclass(slots=True)
class Window:
    """Hold what came of one schedule."""

    latency: HdrHistogram
    lag_ms: float  # of the generator, p99
    cpu_seconds: float  # of the workers
    generator_cpu: float
    seen: set[int] = field(default_factory=set)  # numbers of the posts that were removed
    fifths: list[HdrHistogram] = field(default_factory=lambda: [histogram() for _ in range(5)])


class Stages:
    """Own both stages, the generator and the reader of one deployment."""

    def __init__(self, name: str, definition: Definition, folder: Path) -> None:
        self._definition = definition
        self._options = definition.options
        self._folder = folder
        self._next = 0  # number of the next post
        made, self._listed = bodies(definition)
        partitions = self._options["partitions"]
        servers = kafka_posts.servers_of(folder)
        delivery = "at-least-once" if name == "at-least-once" else "exactly-once"
        self._deployment = Deployment(
            servers,
            folder / name,
            folder / BUNDLE,
            partitions,
            options={"delivery": delivery},
        )
        settings = self._deployment.settings()
        self._deployment.create()
        workers = [self._deployment.start(stage, stages=(stage,)) for stage in STAGES]
        try:
            wait_for(lambda: all(w.saw("partition_restored") for w in workers), "the stages start")
        except AssertionError:
            self._deployment.close()
            raise
        self._workers = [psutil.Process(worker.process.pid) for worker in workers]
        self._reader = _reader(servers, settings.topic("actions.remove"))
        self._generator = Generator(
            servers, settings.topic("posts"), partitions, self._options["linger_ms"], made
        )

    def measure(self) -> Measured:
        """Offer the posts of the definition at the rate that was found, behind a warm-up."""
        rate = float((self._folder / RATE_FILE).read_text(encoding="ascii"))
        warm, count = int(rate * self._options["warm_s"]), int(self._options["posts"])
        for _ in range(TRIES):
            window = self._offer(rate, warm, count)
            if window.lag_ms <= LATE_MS or self._definition.is_quick:  # that counts, no more
                break
        else:
            raise VoidRunError(
                f"the generator was {window.lag_ms:.1f} ms late at p99 in each of {TRIES} runs; "
                f"at most {LATE_MS:.0f} ms: the machine is too busy to measure latency on"
            )
        latency = window.latency
        figures = {name: ms(latency, at) for name, at in PERCENTILES.items()}
        figures |= {
            "rate": rate,
            "generator_lag_p99_ms": window.lag_ms,
            "generator_cpu_us_per_post": window.generator_cpu / (warm + count) * 1e6,
        }
        first = self._next - count
        return Measured(
            count,
            count / rate,
            window.cpu_seconds * count / (warm + count),
            {"posts": count, "removed": len(window.seen)},
            [str(number - first) for number in window.seen],
            p99_ms=ms(latency, 99.0),
            figures=figures,
        )

    def sustains(self, rate: float, seconds: float) -> bool:
        """Tell whether latency stays where it is over a window at a rate."""
        window = self._offer(rate, int(rate * self._options["warm_s"]), int(rate * seconds))
        early, late = window.fifths[1], window.fifths[4]
        grown = (ms(late, 50.0) - ms(early, 50.0)) / 1000
        return grown <= GROWTH_S and window.lag_ms <= GROWTH_S * 1000

    def _offer(self, rate: float, warm: int, count: int) -> Window:
        """Offer `warm` posts and `count` that are measured; return when all actions are there."""
        size = len(self._listed)
        first = -(-self._next // size) * size - warm % size + size  # `count` begins with body 0
        self._next = first + warm + count
        schedule = Schedule(first, warm + count, rate, monotonic() + START_S)
        due = {n for n in range(first, self._next) if self._listed[n % size]}
        before = self._cpu()
        self._generator.offer(schedule)
        window = self._read(schedule, warm, due)
        offered = self._generator.offered()
        window.lag_ms = ms(offered.lag, 99.0)
        window.generator_cpu = offered.cpu_seconds
        window.cpu_seconds = self._cpu() - before
        return window

    def _read(self, schedule: Schedule, warm: int, due: set[int]) -> Window:
        window = Window(histogram(), 0.0, 0.0, 0.0)
        measured = schedule.first + warm
        fifth = max((schedule.count - warm) / 5, 1)
        while due and monotonic() < schedule.end + END_S:
            polled = self._reader.poll(timeout_ms=POLL_MS, max_records=10_000)
            now = monotonic()
            for record in (each for records in polled.values() for each in records):
                number = int(orjson.loads(record.value)["post"]["id"]) - FIRST_ID
                if number not in due:
                    continue  # a text that holds a listed word by chance
                due.discard(number)
                if number < measured:
                    continue
                late = max(int((now - schedule.due(number)) * 1e6), 1)
                window.latency.record_value(late)
                window.fifths[min(int((number - measured) / fifth), 4)].record_value(late)
                window.seen.add(number)
        return window

    def _cpu(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._workers)

    def close(self) -> None:
        """End everything."""
        self._generator.close()
        self._reader.close()
        for worker in self._deployment.workers:
            worker.stop()
        self._deployment.close()


def ms(values: HdrHistogram, percentile: float) -> float:
    """Return a percentile of a histogram of microseconds in milliseconds."""
    return float(values.get_value_at_percentile(percentile)) / 1000


def _reader(servers: str, topic: str) -> KafkaConsumer:
    reader = KafkaConsumer(
        bootstrap_servers=servers, isolation_level="read_committed", metrics_enabled=False
    )
    places = [TopicPartition(topic, number) for number in reader.partitions_for_topic(topic)]
    reader.assign(places)
    reader.seek_to_beginning()
    for place in places:
        reader.position(place)
    return reader
