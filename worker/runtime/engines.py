"""Compose the engine of a stage on Kafka, with its instruments, probes and log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from worker.engine.loop import Engine
from worker.engine.recorder import StageRecorder
from worker.engine.watchdog import Phase
from worker.obs import logs
from worker.obs.facts import Build, state_build, state_policy, state_topics
from worker.obs.health import Health
from worker.obs.instruments import Instruments
from worker.policy.bundle import Bundle
from worker.runtime.stages import VERSION, build_screen, build_stage, read_bundle
from worker.settings import Settings, StageName, Start
from worker.transport.kafka.consumer import KafkaSource
from worker.transport.kafka.producer import KafkaSink
from worker.transport.kafka.topics import READS, WRITES
from worker.transport.protocols import Sink, Source

_WARNINGS = frozenset({"commit_refused", "records_quarantined", "broker_unavailable"})


@dataclass(slots=True)
class StageRun:
    """Hold one stage of this process: its engine once built, and how it ended."""

    name: StageName
    instruments: Instruments
    health: Health
    phase: Phase
    log: logs.Log
    engine: Engine | None = None
    error: BaseException | None = None
    thread: threading.Thread | None = None


def build_engine(
    settings: Settings,
    name: StageName,
    *,
    bundle: Bundle | None = None,
    source: Source | None = None,
    sink: Sink | None = None,
    start: Start | None = None,
    accept_gap: int | None = None,
    run: StageRun | None = None,
) -> Engine:
    """Compose the engine of one stage; blocks until a broker answered.

    `source` and `sink` stand in for the Kafka ones in tests.

    Raises:
        UserError: a setting or the bundle is refused.
        BrokerUnavailable: no broker answered in time.
    """
    run = run or new_run(settings, name)
    bundle = bundle or read_bundle(settings)
    key = settings.deployment_key()
    topics = [settings.topic(role) for role in READS[name]]
    if source is None:
        source = KafkaSource(settings, name, topics)
        _show_fast_path(run, source)
    screen = None
    if name == "screen":
        screen = build_screen(
            settings,
            bundle,
            key,
            topic=settings.topic("posts"),
            from_file=False,
            sighting_partitions=source.partition_count(settings.topic("sightings")),
        )
    built = build_stage(settings, name, bundle, key, screen)
    _describe(settings, run, bundle)
    return Engine(
        built.stage,
        source,
        sink or KafkaSink(settings, name),
        settings,
        meter=run.instruments,
        vitals=run.health,
        recorder=StageRecorder(name, built.counters, run.instruments),
        tell=_teller(run.log),
        phase=run.phase,
        bundle_digest=bundle.digest,
        start=start,
        accept_gap=accept_gap,
    )


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
    state_policy(run.instruments, bundle)
    inputs = [settings.topic(role) for role in READS[run.name]]
    state_topics(run.instruments, inputs, [settings.topic(role) for role in WRITES[run.name]])
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
