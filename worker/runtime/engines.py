"""Compose the engine of a stage on Kafka, with its instruments, probes and log."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple, NoReturn

from worker.domain.errors import Fatal, WeirError
from worker.engine.drive import Crash, Driver, Failpoint, passing
from worker.engine.loop import Engine, Successor
from worker.engine.recorder import StageRecorder
from worker.engine.watchdog import Phase
from worker.obs import logs
from worker.obs.facts import Build, state_build, state_policy, state_topics
from worker.obs.health import Health
from worker.obs.instruments import Instruments
from worker.policy.bundle import Bundle
from worker.runtime.stages import VERSION, BuiltStage, build_screen, build_stage
from worker.settings import Settings, StageName, Start
from worker.transport.kafka.consumer import KafkaSource
from worker.transport.kafka.state import KafkaStateReader
from worker.transport.kafka.topics import READS, WRITES
from worker.transport.kafka.transactions import StageProducer
from worker.transport.protocols import Producer, Source, StateReader

# Of a restore: one partition each, while the core works without the interpreter. One fetch of the
# state holds two partitions, and the other cores read posts and answer brokers.
RESTORE_THREADS = 2

_WARNINGS = frozenset({"commit_refused", "records_quarantined", "offsets_unknown"})


@dataclass(slots=True)
class StageRun:
    """Hold one stage of this process: its driver once built, and how it ended."""

    name: StageName
    instruments: Instruments
    health: Health
    phase: Phase
    log: logs.Log
    driver: Driver | None = None
    error: BaseException | None = None
    thread: threading.Thread | None = None
    engine: Engine | None = None
    sighting_partitions: int = 0  # of the topic that screen writes to; 0 for the other stages


class Clients(NamedTuple):
    """Hold what a stage reads and writes through."""

    source: Source
    producer: Producer
    state: StateReader


def connect(settings: Settings, run: StageRun, failpoint: Failpoint = passing) -> Clients:
    """Connect a stage to Kafka; blocks until a broker answered.

    The producer comes first: it fences the slot's older process and ends what that left open.

    Raises:
        BrokerUnavailable: no broker answered in time.
        ConfigError: something is not granted, or a file of TLS or SASL cannot be used.
    """
    producer = StageProducer(settings, run.name)
    state = KafkaStateReader(settings, run.name)
    topics = [settings.topic(role) for role in READS[run.name]]
    source = KafkaSource(settings, run.name, topics, failpoint)
    _show_fast_path(run, source)
    return Clients(source, producer, state)


def build_engine(
    settings: Settings,
    bundle: Bundle,
    run: StageRun,
    *,
    start: Start | None = None,
    accept_gap: int | None = None,
) -> Engine:
    """Compose the engine of one stage, without any client.

    Raises:
        UserError: a setting or the bundle is refused.
    """
    built = _build(settings, bundle, run)
    _describe(settings, run, bundle)
    return Engine(
        built.stage,
        settings,
        meter=run.instruments,
        vitals=run.health,
        recorder=StageRecorder(run.name, built.counters, run.instruments),
        tell=_teller(run.log),
        bundle_digest=bundle.digest,
        start=start,
        accept_gap=accept_gap,
        wall=time.time,
        spread=ThreadPoolExecutor(RESTORE_THREADS, f"restore-{run.name}").map,
    )


def build_successor(settings: Settings, bundle: Bundle, run: StageRun) -> Successor:
    """Build what an engine goes on with under another bundle; on a thread of its own.

    Raises:
        UserError: the bundle is refused.
    """
    built = _build(settings, bundle, run)
    recorder = StageRecorder(run.name, built.counters, run.instruments)

    def taken() -> None:
        _activate(run, bundle)
        run.instruments.add("weir_policy_reloads_total", ("taken",))

    return Successor(built.stage, recorder, bundle.digest, taken)


def _build(settings: Settings, bundle: Bundle, run: StageRun) -> BuiltStage:
    key = settings.deployment_key()
    screen = None
    if run.name == "screen":
        screen = build_screen(
            settings,
            bundle,
            key,
            topic=settings.topic("posts"),
            from_file=False,
            sighting_partitions=run.sighting_partitions,
        )
    return build_stage(settings, run.name, bundle, key, screen)


def crash_of(run: StageRun) -> Crash:
    """Give the end of a process whose transaction has an unknown outcome: told, then gone.

    Nothing is closed: a client that is closed would try to finish what must not be finished.
    """

    def crash(error: BaseException) -> NoReturn:
        run.log.error("crashed", code=Fatal.exit_code, message=message_of(error))
        sys.stdout.flush()
        os._exit(Fatal.exit_code)

    return crash


def message_of(error: BaseException) -> str:
    """Describe an error; one that is not ours may quote a record, so its kind and place must do."""
    if isinstance(error, WeirError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-3:]]
    return f"{type(error).__name__} at {' > '.join(places)}"


def new_run(settings: Settings, name: StageName) -> StageRun:
    """Make the instruments, probes and log of one stage."""
    instruments = Instruments(name)
    return StageRun(
        name,
        instruments,
        Health(instruments),
        Phase(name),
        logs.Log(stage=name, slot=settings.slot),
    )


def _describe(settings: Settings, run: StageRun, bundle: Bundle) -> None:
    """Show what runs and what decides, so that pods that disagree are visible."""
    build = Build(VERSION, settings.screen.backend, f"kafka-python {version('kafka-python')}")
    state_build(run.instruments, build, settings)
    inputs = [settings.topic(role) for role in READS[run.name]]
    state_topics(run.instruments, inputs, [settings.topic(role) for role in WRITES[run.name]])
    _activate(run, bundle)


def _activate(run: StageRun, bundle: Bundle) -> None:
    """Show which bundle decides from now on."""
    state_policy(run.instruments, bundle)
    run.log.info(
        "policy_activated",
        policy=bundle.name,
        revision=bundle.revision,
        digest=bundle.digest,
        enforcement=bundle.enforcement,
    )


def _show_fast_path(run: StageRun, source: KafkaSource) -> None:
    """Say which path reads: a slow one is never taken in silence."""
    for part, off in source.fast_path_off.items():
        run.instruments.set("weir_fast_path", off is None, (part,))
        if off is not None:
            run.log.error("fast_path_off", reason=part, message=off)


def _teller(log: logs.Log) -> Callable[..., None]:
    def tell(event: Any, **fields: object) -> None:
        (log.warning if event in _WARNINGS else log.info)(event, **fields)

    return tell
