"""One run: a stream of posts, workers that die and stop all along, and the invariants at the end.

The invariants are those of docs/delivery.md. Everything is judged from topics, by a concurrent
reader, an oracle of its own, and the brokers' log files; times are reported, never judged.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from tests.faults import oracle, stream
from tests.faults.brokers import Brokers
from tests.faults.faults import Slot, Tally
from tests.faults.feed import Feed
from tests.faults.reader import Reader
from tests.faults.record import shown
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.segments import Outcomes, outcomes
from tests.faults.state_log import follow
from tests.faults.takeover import Return, Takeover, taken_over
from tests.support.deployment import ROOT, Deployment, wait_for
from worker.settings import STAGE_NAMES
from worker.transport.kafka.loader import Loader
from worker.transport.kafka.topics import WRITES

BUNDLE = ROOT / "deploy" / "example" / "bundle"
INPUTS = {"screen": "posts", "correlate": "sightings", "enforce": "signals"}
PARTITIONS = 6  # of each topic: more than there are slots, so that each has some
DRAIN_S = 300.0  # generous: a bound for hangs after the faults
LIMIT_S = 1_500.0  # the same for the faults themselves
LOAD_S = 0.1  # between two loads of posts
TOLD = 20  # lines about its progress that a run tells


@dataclass
class Report:
    """Say what a run went through and what it found."""

    seed: int
    scenario: str = "usual"
    posts: int = 0
    tally: Tally = field(default_factory=Tally)
    committed: int = 0  # transactions
    aborted: int = 0
    hidden: int = 0  # records of aborted transactions, which no reader saw
    claims: int = 0
    deltas: int = 0
    compacted: int = 0  # records of state that the reader saw and the cleaner took away
    takeovers: list[Takeover] = field(default_factory=list)
    brokers: Counter[str] = field(default_factory=Counter)  # faults of theirs
    drain_s: float = 0.0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.tally.kills.total()

    @property
    def ended(self) -> int:
        """Count the processes that died, were fenced, or stopped when asked."""
        return self.kills + self.tally.exits.total()

    @property
    def counted(self) -> int:
        """Count the ends that the run is as long as: kills, where the scenario has them."""
        return self.kills if SCENARIOS[self.scenario].kills else self.ended

    def document(self) -> dict[str, Any]:
        """Give what the record keeps."""
        tally = self.tally
        return {
            "seed": self.seed,
            "scenario": self.scenario,
            "posts": self.posts,
            "kills": dict(sorted(tally.kills.items())),
            "stops": dict(sorted(tally.stops.items())),
            "restarts": tally.starts,
            "ends": {str(code): count for code, count in sorted(tally.exits.items())},
            "transactions": self.committed,
            "aborted": self.aborted,
            "brokers": dict(sorted(self.brokers.items())),
            "compacted": self.compacted,
            "seconds": {
                "run": round(self.seconds),
                "drain": round(self.drain_s, 1),
                "returns": _worst(tally.returns),
                "takeovers": _worst(self.takeovers),
            },
            "violations": len(self.violations),
        }

    def text(self) -> str:
        """Give the lines that a run ends with."""
        tally = self.tally
        exits = ", ".join(f"{count} x {code}" for code, count in sorted(tally.exits.items()))
        lines = [
            f"{self.scenario}, seed {self.seed}: posts {self.posts}, kills {self.kills}, "
            f"stops {tally.stops.total()}, restarts {tally.starts}, "
            f"transactions {self.committed}, aborted {self.aborted} "
            f"({self.hidden} records hidden), claims {self.claims}, deltas {self.deltas}, "
            f"violations {len(self.violations)}; {self.seconds:.0f} s",
            f"kills by failpoint: {shown(tally.kills)}",
            f"stops by failpoint: {shown(tally.stops)}; idle zombies {tally.idle.total()}; "
            f"other ends: {exits or 'none'}",
            *_parts("back in the same slot", tally.returns),
            *_parts("taken over by another slot", self.takeovers),
        ]
        if self.brokers:
            lines.append(f"faults of brokers: {shown(self.brokers)}")
        for mode in ("cold", "warm"):
            times = [seconds for kind, seconds in tally.restores if kind == mode]
            lines.append(f"restore, {mode}: {_times(times)}")
        lines.append(f"drained {self.drain_s:.1f} s after the last fault")
        return "\n".join([*lines, *(f"VIOLATION {each}" for each in self.violations)])


def run(
    folder: Path,
    *,
    seed: int,
    posts: int,
    wanted: int,
    scenario: str = "usual",
    tell: Callable[[str], None] = lambda _text: None,
) -> Report:
    """Run `posts` through the scenario's slots until `wanted` processes ended, then judge."""
    began = time.monotonic()
    report = Report(seed, scenario)
    chosen = SCENARIOS[scenario]
    brokers = chosen.brokers(f"{seed} brokers")
    try:
        deployment = Deployment(brokers.start(), folder, BUNDLE, PARTITIONS)
        deployment.kafka = {"durability": brokers.durability, **chosen.kafka}
        deployment.create()
        deployment.alter(chosen.state_topics, [f"state.{stage}" for stage in STAGE_NAMES])
        names = {role for stage in STAGE_NAMES for role in WRITES[stage]}
        topics = sorted(deployment.settings().topic(role) for role in names)
        reader = Reader(deployment.servers, topics)
        reader.start()
        try:
            _fault(chosen, brokers, deployment, report, posts, wanted, tell)
            report.brokers = brokers.faults
            if not report.tally.wrong:
                _drain(deployment, report)
                tell("drained; judging")
                ends = {tp: end for topic in topics for tp, end in deployment.ends(topic).items()}
                reader.finish(ends, DRAIN_S)
                report.violations += _judge(deployment, report, reader, topics, brokers.folders())
        finally:
            deployment.close()
        report.violations += report.tally.wrong
    finally:
        brokers.stop()
    if chosen.must_end is not None and not report.tally.exits[chosen.must_end]:
        report.violations.append(f"no worker ended with {chosen.must_end}, so nothing was tried")
    report.seconds = time.monotonic() - began
    return report


def _fault(
    scenario: Scenario,
    brokers: Brokers,
    deployment: Deployment,
    report: Report,
    posts: int,
    wanted: int,
    tell: Callable[[str], None],
) -> None:
    """Load the stream part by part while the slots go from fault to fault."""
    bundle = deployment.folder / "bundle"
    shutil.copytree(deployment.bundle, bundle)
    slots = [
        Slot(
            name,
            deployment,
            plan(f"{report.seed} {name}"),
            report.tally,
            partial(scenario.start, bundle),
            brokers.for_slot(name),
            scenario.heals,
        )
        for name, plan in scenario.plans.items()
    ]
    loader = Loader(deployment.settings())
    feed = Feed(loader, stream.posts(report.seed, posts), posts, wanted)
    told = 0

    def over() -> bool:
        nonlocal told
        with brokers.quiet:
            feed.load(report.counted)
        if feed.loaded * TOLD // posts > told or report.counted * TOLD // wanted > told:
            told += 1
            tell(f"{feed.loaded} posts loaded, {report.counted} processes ended")
        return report.counted >= wanted or bool(report.tally.wrong)

    try:
        over()
        for slot in slots:
            slot.start()
        brokers.disturb()
        wait_for(over, f"{wanted} processes end", LIMIT_S, LOAD_S)
    except AssertionError as error:
        report.violations.append(f"{error}; {report.counted} did")
    finally:
        for slot in slots:
            slot.done.set()
    for slot in slots:
        slot.join()
    brokers.calm()
    if scenario.stands:
        report.takeovers = [
            each
            for worker in slots[0].workers
            for ended, until in report.tally.absences
            for each in taken_over(worker.events, ended, until)
        ]
    if not report.tally.wrong:
        feed.load_rest()
    loader.close()
    report.posts = feed.written


def _drain(deployment: Deployment, report: Report) -> None:
    """I8: two workers without faults bring everything to its end."""
    deployment.workers.clear()
    began = time.monotonic()
    for name in ("a", "b"):
        deployment.start(name)  # at the earliest, where no process lived to commit
    try:
        # Faults may have left nothing to do: a worker that still starts cannot be asked to stop.
        wait_for(
            lambda: all(each.saw("partitions_assigned") for each in deployment.workers),
            "the last workers join",
            DRAIN_S,
        )
        wait_for(deployment.drained, "the rest goes through", DRAIN_S, 0.5)
    except AssertionError as error:
        report.violations.append(f"I8: {error}")
    report.drain_s = time.monotonic() - began
    codes = [worker.stop() for worker in deployment.workers]
    if codes != [0, 0]:
        report.violations.append(f"I8: the last workers ended with {codes}")


def _judge(
    deployment: Deployment, report: Report, reader: Reader, topics: list[str], data: list[Path]
) -> list[str]:
    topic = deployment.settings().topic
    posts = deployment.read("posts")
    signals = reader.of(topic("signals"))
    actions = [r for role in WRITES["enforce"] if "action" in role for r in reader.of(topic(role))]
    actions += reader.of(topic("shadow"))
    expected = oracle.Expected(posts, deployment.bundle)
    wrong = [f"I6: {each}" for each in reader.broken]
    if expected.inputs != report.posts:
        wrong.append(f"I10: {report.posts} posts were loaded, {expected.inputs} are there")
    letters = reader.of(topic("dlq"))
    checks = {
        "posts": oracle.check_screen(expected, signals, letters),
        "campaigns": oracle.check_campaigns(expected, signals, reader.of(topic("sightings"))),
        "actions": oracle.check_actions(
            signals, actions, deployment.bundle, bytes.fromhex("5a" * 32), deployment.partitions
        ),
    }
    wrong += [f"{name}: {each}" for name, found in checks.items() for each in found]
    wrong += _judge_state(deployment, report, reader)
    return wrong + _judge_segments(report, reader, topics, data)


def _judge_state(deployment: Deployment, report: Report, reader: Reader) -> list[str]:
    """I5: every state partition is one unbroken chain that ends at the committed offset."""
    wrong = []
    settings = deployment.settings()
    for stage in STAGE_NAMES:
        topic, source = settings.topic(f"state.{stage}"), settings.topic(INPUTS[stage])
        consumer = KafkaConsumer(
            bootstrap_servers=deployment.servers,
            group_id=settings.group(stage),
            enable_auto_commit=False,
        )
        for number in range(deployment.partitions):
            held = reader.records[TopicPartition(topic, number)]
            log = follow((read.offset, read.value) for read in held)
            committed = consumer.committed(TopicPartition(source, number))
            where = f"I5: {topic}-{number}"
            wrong += [f"{where}: {each}" for each in log.broken[:3]]
            if log.in_next != committed:
                wrong.append(f"{where} ends at {log.in_next}, the group at {committed}")
            report.claims += log.claims
            report.deltas += log.deltas
        consumer.close(autocommit=False)
    return wrong


def _judge_segments(
    report: Report, reader: Reader, topics: list[str], data: list[Path]
) -> list[str]:
    """I6, I7: the reader saw what transactions committed, all of it, and nothing else."""
    wrong = []
    aborts: set[tuple[int, int]] = set()
    for folder in _whole(data):
        name, _, number = folder.name.rpartition("-")
        if name == "__consumer_offsets":
            report.committed += outcomes(folder).commits
        if name not in topics:
            continue
        found: Outcomes = outcomes(folder)
        aborts |= found.aborts
        report.hidden += len(found.aborted)
        seen = {read.offset for read in reader.records[TopicPartition(name, int(number))]}
        where = f"{name}-{number}"
        if seen & found.aborted:
            wrong.append(
                f"I6: {where}: aborted records were read: {sorted(seen & found.aborted)[:3]}"
            )
        if seen & found.open:
            wrong.append(
                f"I6: {where}: records of open transactions: {sorted(seen & found.open)[:3]}"
            )
        if found.committed - seen:
            lost = sorted(found.committed - seen)
            wrong.append(f"I6: {where}: {len(lost)} committed records unread: {lost[:3]}")
        compacted = ".state." in name  # what the reader saw before may be gone from the log
        if compacted:
            report.compacted += len(seen - found.committed)
        elif seen - found.committed:
            wrong.append(
                f"I7: {where}: read, but never committed: {sorted(seen - found.committed)[:3]}"
            )
    report.aborted = len(aborts)
    if SCENARIOS[report.scenario].state_topics and not report.compacted:
        wrong.append("nothing was compacted, so nothing was tried")
    return wrong


def _whole(data: list[Path]) -> list[Path]:
    """Give each partition's folder, of several brokers' the one that holds most."""
    held: dict[str, list[Path]] = defaultdict(list)
    for folder in (each for broker in data for each in broker.iterdir() if each.is_dir()):
        held[folder.name].append(folder)
    size = {
        each: sum(file.stat().st_size for file in each.glob("*.log"))
        for folders in held.values()
        for each in folders
    }
    return [max(folders, key=lambda each: size[each]) for _, folders in sorted(held.items())]


def _parts(what: str, found: Sequence[Return] | Sequence[Takeover]) -> list[str]:
    if not found:
        return []
    named = zip(found[0]._fields, zip(*found, strict=True), strict=True)
    return [f"{what}, {part}: {_times(list(seconds))}" for part, seconds in named]


def _worst(found: Sequence[Return] | Sequence[Takeover]) -> dict[str, list[float]]:
    """Give median and maximum of each part, and of how many."""
    if not found:
        return {}
    named = zip(found[0]._fields, zip(*found, strict=True), strict=True)
    parts = {
        part: [round(statistics.median(seconds), 2), round(max(seconds), 2)]
        for part, seconds in named
    }
    return {"count": [len(found)], **parts}


def _times(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    most = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{len(ordered)}, p50 {statistics.median(ordered):.2f} s, p99 {most:.2f} s"
