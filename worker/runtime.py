"""Compose everything: the only place that knows every concrete class; imported by `cli` alone."""

from __future__ import annotations

import logging
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastpath.records import BatchView
from fastpath.spec import ScreenSpec
from worker.domain.errors import (
    BrokerUnavailable,
    ConfigError,
    FailStop,
    Fatal,
    PolicyError,
    WeirError,
)
from worker.domain.identity import SCAN_DEPLOYMENT_KEY
from worker.engine.loop import Engine
from worker.engine.recorder import StageRecorder
from worker.engine.scan import RESULTS, Pipeline, Scan
from worker.engine.watchdog import Phase, Watchdog
from worker.obs import logs
from worker.obs.collector import Exposition, WorkerCollector
from worker.obs.facts import Build, state_build, state_policy, state_topics
from worker.obs.health import Health, HealthServer
from worker.obs.instruments import Instruments
from worker.policy.bundle import Bundle, load_bundle
from worker.settings import WATCHDOG_MS, Settings, StageName, Start
from worker.stages.correlate import CorrelateStage
from worker.stages.enforce import EnforceStage
from worker.stages.protocols import Stage
from worker.stages.screen import Screen, ScreenStage
from worker.transport.files import PostFile, ResultFolder
from worker.transport.kafka.consumer import KafkaSource
from worker.transport.kafka.loader import Loaded, Loader
from worker.transport.kafka.producer import KafkaSink
from worker.transport.kafka.topics import READS, WRITES, Finding, Topics
from worker.transport.protocols import Sink, Source

VERSION = version("weir")
LOAD_RECORDS = 10_000  # posts between two reports of progress
SEED_BYTES = 16  # of the secret that keeps hash tables from being crowded; never in a decision
# A stop for a person: restarting without one would loop for ever, so the process waits.
_FOR_A_PERSON = (FailStop, ConfigError, PolicyError)
_WARNINGS = frozenset({"commit_refused", "records_quarantined", "broker_unavailable"})


@dataclass(frozen=True, slots=True)
class BuiltStage:
    """Hold a stage and every counter it keeps, its compiled core's included."""

    stage: Stage
    counters: Callable[[], Mapping[str, int]]


def read_bundle(settings: Settings) -> Bundle:
    """Load the policy bundle named in the settings.

    Raises:
        ConfigError: none is named.
        PolicyError: it is refused, with every diagnostic.
    """
    if settings.bundle is None:
        raise ConfigError("bundle is not set: name the directory of a policy bundle (--bundle DIR)")
    return load_bundle(settings.bundle)


def build_screen(
    settings: Settings,
    bundle: Bundle,
    deployment_key: bytes,
    *,
    topic: str,
    from_file: bool,
    sighting_partitions: int,
) -> Any:
    """Build the screen, compiled or, only where the settings say so, its slow twin."""
    spec = bundle.screen_spec(
        deployment_key=deployment_key,
        topic=topic,
        time_source="created_at" if from_file else "record",
        check_key=not from_file,
        field_map=settings.input.field_map,
        preset=settings.input.preset,
        sighting_partitions=sighting_partitions,
        max_window_keys=settings.screen.max_window_keys,
    )
    return new_screen(settings, spec)


def new_screen(settings: Settings, spec: ScreenSpec) -> Any:
    """Build a screen from its specification with the backend that the settings name."""
    if settings.screen.backend == "reference":
        from fastpath.reference.screen import Screen as TwinScreen

        return TwinScreen(spec)
    from fastpath.screen import Screen as CompiledScreen

    return CompiledScreen(spec)


def build_stage(
    settings: Settings,
    name: StageName,
    bundle: Bundle,
    deployment_key: bytes,
    screen: Screen | None = None,
) -> BuiltStage:
    """Build one stage; `screen` is needed for the stage of that name."""
    stage: Stage
    if name == "screen":
        assert screen is not None  # noqa: S101  # held by the callers below
        stage = ScreenStage(
            bundle,
            screen,
            placement_seed=secrets.token_bytes(SEED_BYTES),
            reviews_topic=settings.topic("reviews"),
            receipts_topic=settings.topic("receipts"),
        )
        core: Any = screen
        return BuiltStage(stage, lambda: {**core.counters(), **stage.counters})
    if name == "correlate":
        stage = CorrelateStage(bundle, settings.correlate.lateness, deployment_key)
    else:
        stage = EnforceStage(bundle, settings.deployment, deployment_key, act_after(settings))
    return BuiltStage(stage, lambda: stage.counters)


def act_after(settings: Settings) -> int | None:
    """Return when decisions begin to act, epoch ms; None where they always do.

    Raises:
        ConfigError: it was not said.
    """
    value = settings.enforce.act_after
    if value is None:
        raise ConfigError(
            "enforce.act_after is not set: give a time (2026-01-31T12:00:00Z), so that decisions "
            "on older posts become reviews, or none; it must be equal on all workers"
        )
    return None if value == "none" else value


def build_scan(settings: Settings, posts: str, out: Path) -> Scan:
    """Compose `weir scan`: three stages over one file, results in a folder.

    Raises:
        UserError: input, output or bundle cannot be used.
    """
    bundle = read_bundle(settings)
    key = settings.deployment_key() if settings.deployment_key_file else SCAN_DEPLOYMENT_KEY
    source = PostFile(posts)
    screen = build_screen(
        settings, bundle, key, topic=source.name, from_file=True, sighting_partitions=1
    )
    stages = {
        name: build_stage(settings, name, bundle, key, screen if name == "screen" else None).stage
        for name in ("screen", "correlate", "enforce")
    }
    results = ResultFolder(out, RESULTS)
    pipeline = Pipeline(source.name, results=results, **stages)
    return Scan(source, pipeline, results, time.perf_counter, bundle.digest, VERSION)


def load_posts(
    settings: Settings, posts: str, progress: Callable[[int, int], None] | None = None
) -> Loaded:
    """Put a file of posts into the input topic; `progress` hears bytes on disk and records.

    Raises:
        UserError: the file or a setting cannot be used.
        BrokerUnavailable: no broker answered in time.
        Fatal: a record was not acknowledged.
    """
    source = PostFile(posts)
    try:
        loader = Loader(settings)
        try:
            report = None if progress is None else partial(_tell_position, source, progress)
            return loader.load(_views(source), report)
        finally:
            loader.close()
    finally:
        source.close()


def _views(source: PostFile) -> Iterator[BatchView]:
    while not source.at_end:
        for item in source.poll(0, LOAD_RECORDS).items:
            if isinstance(item, BatchView):
                yield item


def _tell_position(source: PostFile, progress: Callable[[int, int], None], records: int) -> None:
    progress(source.position, records)


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; return their names."""
    with Topics(settings) as topics:
        return topics.create()


def check_topics(settings: Settings) -> list[Finding]:
    """Compare every topic and the brokers with what the stages rely on."""
    with Topics(settings) as topics:
        return topics.check()


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
    source = source or KafkaSource(settings, name, topics)
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


def _teller(log: logs.Log) -> Callable[..., None]:
    def tell(event: Any, **fields: object) -> None:
        (log.warning if event in _WARNINGS else log.info)(event, **fields)

    return tell


@dataclass(slots=True)
class Worker:
    """Run stages as threads of this process until a signal, an error or a stop for a person."""

    settings: Settings
    runs: list[StageRun]
    start: Start | None
    accept_gap: int | None
    exit_on_stop: bool
    stop: threading.Event = field(default_factory=threading.Event)
    changed: threading.Event = field(default_factory=threading.Event)

    def work(self) -> int:
        """Return the exit code: 0 after a drain; blocks until then.

        Raises:
            BrokerUnavailable: no broker answered at start-up.
        """
        try:
            self._begin()
        except _FOR_A_PERSON as error:
            return self._stop_for_a_person(error)
        while not self.stop.is_set():
            self.changed.wait(1.0)
            self.changed.clear()
            if any(run.error is not None for run in self.runs):
                break
        failed = next((run.error for run in self.runs if run.error is not None), None)
        if isinstance(failed, BrokerUnavailable):
            raise failed
        if failed is not None and not isinstance(failed, _FOR_A_PERSON):
            return self._fail(failed)
        self._drain()
        if failed is not None:
            return self._stop_for_a_person(failed)
        late = next((run.error for run in self.runs if run.error is not None), None)
        return 0 if late is None else self._fail(late)

    def _begin(self) -> None:
        names = [run.name for run in self.runs]
        bundle = read_bundle(self.settings)
        self.settings.deployment_key()
        if "enforce" in names:
            act_after(self.settings)
        with Topics(self.settings) as topics:
            for finding in topics.refuse(names):
                self.runs[0].log.warning("worker_started", message=str(finding))
        if self.settings.kafka.durability == "single_node":
            self.runs[0].log.warning(
                "not_durable", durability="single_node", message="NOT DURABLE: one copy of all data"
            )
        for run in self.runs:
            run.thread = threading.Thread(
                target=self._drive, args=(run, bundle), name=f"weir-{run.name}", daemon=True
            )
            run.thread.start()

    def _drive(self, run: StageRun, bundle: Bundle) -> None:
        try:
            run.engine = build_engine(
                self.settings,
                run.name,
                bundle=bundle,
                start=self.start,
                accept_gap=self.accept_gap,
                run=run,
            )
            if self.stop.is_set():
                run.engine.stop()
            run.engine.run()
        except Exception as error:  # noqa: BLE001  # whatever it is, the process decides
            run.error = error
            if run.engine is not None and isinstance(error, _FOR_A_PERSON):
                run.engine.close()
            run.phase.enter("idle")
        self.changed.set()

    def _drain(self) -> None:
        for run in self.runs:
            if run.engine is not None:
                run.engine.stop()
            run.log.info("worker_stopping")
        until = time.monotonic() + self.settings.shutdown.total_ms / 1000
        for run in self.runs:
            if run.thread is not None:
                run.thread.join(max(until - time.monotonic(), 0))
                if run.thread.is_alive() and run.error is None:
                    run.error = Fatal(
                        f"{run.name} did not stop within {self.settings.shutdown.total_ms} ms, "
                        f"it is in {run.phase.name}"
                    )

    def _stop_for_a_person(self, error: BaseException) -> int:
        # A refused policy exits 78 here as a setting does; `weir check` has its own code for it.
        code = ConfigError.exit_code if isinstance(error, PolicyError) else _code(error)
        for run in self.runs:
            run.health.stopped(code, str(error))
            if code == 72:
                run.instruments.set("weir_fuse_open", 1)
            run.log.error("stopped_for_a_person", code=code, message=str(error))
        if not self.exit_on_stop:
            self.stop.wait()  # restarting the process is the acknowledgement
        return code

    def _fail(self, error: BaseException) -> int:
        code = _code(error)
        for run in self.runs:
            run.log.error("failed", code=code, message=_message(error))
        return code


def _code(error: BaseException) -> int:
    return error.exit_code if isinstance(error, WeirError) else Fatal.exit_code


def _message(error: BaseException) -> str:
    """Describe an error; one that is not ours may quote a record, so its kind must do."""
    return str(error) if isinstance(error, WeirError) else type(error).__name__


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Take SIGTERM and SIGINT as a wish to stop; elsewhere than on the main thread do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: stop())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    settings: Settings,
    stages: Sequence[StageName],
    start: Start | None = None,
    *,
    accept_gap: int | None = None,
    exit_on_stop: bool = False,
    configure_logs: bool = True,
) -> int:
    """Run stages of this process until SIGTERM or SIGINT; return the exit code.

    Every stage has its own consumer, producer and thread. A stop for a person (72, 73, 78) keeps
    the process up, live and not ready, unless `exit_on_stop`.

    Raises:
        BrokerUnavailable: no broker answered at start-up.
    """
    if configure_logs:
        logs.configure(getattr(logging, settings.log.level.upper()))
    runs = [new_run(settings, name) for name in stages]
    worker = Worker(settings, runs, start, accept_gap, exit_on_stop)

    def wish() -> None:
        worker.stop.set()
        worker.changed.set()

    server = HealthServer(
        settings.health.host,
        settings.health.port,
        [run.health for run in runs],
        Exposition(WorkerCollector([run.instruments for run in runs])),
    )
    watchdog = Watchdog(tuple(run.phase for run in runs), WATCHDOG_MS / 1000)
    with _signals(wish):
        server.start()
        watchdog.start()
        for each in runs:
            each.log.info("worker_started", version=VERSION, port=server.port)
        try:
            code = worker.work()
        finally:
            watchdog.stop()
            server.close()
    for each in runs:
        each.log.info("worker_stopped", code=code)
    return code
