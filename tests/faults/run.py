"""One run: a stream of posts, workers that die and stop all along, and the invariants at the end.

The invariants are those of docs/delivery.md. Everything is judged from topics, by a concurrent
reader, an oracle of its own, and the brokers' log files; times are reported, never judged.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults import stream
from tests.faults.brokers import Brokers
from tests.faults.faults import Slot
from tests.faults.feed import Feed
from tests.faults.judge import judge
from tests.faults.reader import Watch
from tests.faults.report import Report
from tests.faults.scenarios import SCENARIOS, Scenario, renew
from tests.faults.takeover import taken_over
from tests.support.deployment import ROOT, Deployment, wait_for
from worker.settings import STAGE_NAMES
from worker.transport.kafka.loader import Loader

BUNDLE = ROOT / "deploy" / "example" / "bundle"
PARTITIONS = 6  # of each topic: more than there are slots, so that each has some
DRAIN_S = 300.0  # generous: a bound for hangs after the faults
LIMIT_S = 3_600.0  # the same for the faults themselves, on a machine that others use
LOAD_S = 0.1  # between two loads of posts
TOLD = 20  # lines about its progress that a run tells


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
        watch = Watch(deployment)
        try:
            _fault(chosen, brokers, deployment, watch, report, posts, wanted, tell)
            report.brokers = brokers.faults
            if not report.tally.wrong:
                _drain(deployment, report)
                tell("drained; judging")
                watch.finish(DRAIN_S)
                report.violations += judge(deployment, report, watch, brokers.folders())
        finally:
            deployment.close()
        report.violations += report.tally.wrong
    finally:
        brokers.stop()
    if chosen.must_end and chosen.must_end.isdisjoint(report.tally.exits):
        report.untried.append(f"no worker ended with {sorted(chosen.must_end)}")
    if chosen.starves and not report.tally.starved.total():
        report.untried.append("nothing ended for lack of memory or files")
    if chosen.must_see and not report.brokers[chosen.must_see]:
        report.untried.append(f"no broker {chosen.must_see}")
    if chosen.renews and not report.tally.renewed:
        report.untried.append("no bundle was swapped")
    if chosen.state_topics and not report.compacted:
        report.untried.append("nothing was compacted")
    report.seconds = time.monotonic() - began
    return report


def _fault(
    scenario: Scenario,
    brokers: Brokers,
    deployment: Deployment,
    watch: Watch,
    report: Report,
    posts: int,
    wanted: int,
    tell: Callable[[str], None],
) -> None:
    """Load the stream part by part while the slots go from fault to fault."""
    shutil.copytree(deployment.bundle, deployment.folder / "bundle")
    loader = Loader(deployment.patient())
    feed = Feed(loader, stream.posts(report.seed, posts), posts, wanted)
    told = 0

    def over(wanted_now: int) -> bool:
        nonlocal told
        with brokers.quiet:
            feed.load(report.counted)
        if feed.loaded * TOLD // posts > told or report.counted * TOLD // wanted > told:
            told += 1
            tell(f"{feed.loaded} posts loaded, {report.counted} processes ended")
        awaited = bool(scenario.must_end) and scenario.must_end.isdisjoint(report.tally.exits)
        return (report.counted >= wanted_now and not awaited) or bool(report.tally.wrong)

    over(wanted)
    parts = (wanted,) if scenario.between is None else (wanted // 2, wanted)
    for part, wanted_now in enumerate(parts):
        if part and scenario.between is not None and not report.tally.wrong:
            tell("all slots are stopped")
            scenario.between(deployment, watch)
        slots = _slots(scenario, brokers, deployment, report, part)
        try:
            for slot in slots:
                slot.start()
            if part == 0:
                brokers.disturb()
            wait_for(partial(over, wanted_now), f"{wanted_now} processes end", LIMIT_S, LOAD_S)
        except AssertionError as error:
            report.untried.append(f"{error}; {report.counted} did")
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


def _slots(
    scenario: Scenario, brokers: Brokers, deployment: Deployment, report: Report, part: int
) -> list[Slot]:
    return [
        Slot(
            name,
            deployment,
            plan(f"{report.seed} {name} {part}" if part else f"{report.seed} {name}"),
            report.tally,
            partial(scenario.start, deployment.folder / "bundle"),
            brokers.for_slot(name),
            scenario.heals,
            partial(renew, deployment.folder / "bundle") if scenario.renews else None,
        )
        for name, plan in scenario.plans.items()
    ]


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
