"""Run stages as threads of one process until a signal, an error or a stop for a person."""

from __future__ import annotations

import logging
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from worker.domain.errors import (
    BrokerUnavailable,
    ConfigError,
    FailStop,
    Fatal,
    FuseOpen,
    PolicyError,
    WeirError,
)
from worker.engine.drive import Driver, Failpoint, passing
from worker.engine.watchdog import Watchdog
from worker.obs import logs
from worker.obs.collector import Exposition, WorkerCollector
from worker.obs.health import HealthServer
from worker.policy.bundle import Bundle
from worker.runtime.engines import (
    StageRun,
    build_engine,
    connect,
    crash_of,
    message_of,
    new_run,
)
from worker.runtime.reload import Reloader
from worker.runtime.stages import VERSION, act_after, keep_built, read_bundle
from worker.settings import WATCHDOG_MS, Settings, StageName, Start
from worker.transport.kafka.topics import Finding, Topics

# After a broker went away while topics were checked: what the others need to elect its successors.
LOOK_AGAIN_S = 1.0  # < kafka.unavailable_after_ms
# A stop for a person: restarting without one would loop for ever, so the process waits.
_FOR_A_PERSON = (FailStop, ConfigError, PolicyError)


@dataclass(slots=True)
class Worker:
    """Run stages as threads of this process until a signal, an error or a stop for a person."""

    settings: Settings
    runs: list[StageRun]
    start: Start | None
    accept_gap: int | None
    exit_on_stop: bool
    failpoint: Failpoint = passing
    stop: threading.Event = field(default_factory=threading.Event)
    changed: threading.Event = field(default_factory=threading.Event)
    reloader: Reloader = field(init=False)

    def __post_init__(self) -> None:
        self.reloader = Reloader(self.settings, self.runs)

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
            return self.fail(failed)
        self._drain()
        if failed is not None:
            return self._stop_for_a_person(failed)
        late = next((run.error for run in self.runs if run.error is not None), None)
        return 0 if late is None else self.fail(late)

    def _begin(self) -> None:
        names = [run.name for run in self.runs]
        bundle = read_bundle(self.settings)
        self.settings.deployment_key()
        if "enforce" in names:
            act_after(self.settings)
        for finding in self._check_topics(names):
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
        self.reloader.start(bundle.digest)

    def _check_topics(self, names: Sequence[StageName]) -> list[Finding]:
        """Look until no broker goes away meanwhile: one that is lost is no reason not to start."""
        until = time.monotonic() + self.settings.kafka.unavailable_after_ms / 1000
        while True:
            try:
                with Topics(self.settings) as topics:
                    return topics.refuse(names)
            except BrokerUnavailable:
                if time.monotonic() >= until or self.stop.wait(LOOK_AGAIN_S):
                    raise

    def _drive(self, run: StageRun, bundle: Bundle) -> None:
        try:
            clients = connect(self.settings, run, self.failpoint)
            if run.name == "screen":
                sightings = self.settings.topic("sightings")
                run.sighting_partitions = clients.source.partition_count(sightings)
            engine = build_engine(
                self.settings, bundle, run, start=self.start, accept_gap=self.accept_gap
            )
            keep_built()
            run.engine = engine
            run.driver = Driver(*clients, run.phase, crash=crash_of(run), failpoint=self.failpoint)
            if self.stop.is_set():
                run.driver.stop()
            run.driver.run(engine.steps())
        except Exception as error:  # noqa: BLE001  # whatever it is, the process decides
            run.error = error
            if run.driver is not None and isinstance(error, _FOR_A_PERSON):
                run.driver.close(self.settings.shutdown.close_ms / 1000)
            run.phase.enter("idle")
        self.changed.set()

    def _drain(self) -> None:
        for run in self.runs:
            if run.driver is not None:
                run.driver.stop()
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
            if code == FuseOpen.exit_code and run.error is error:
                run.instruments.set("weir_fuse_open", 1)
            run.log.error("stopped_for_a_person", code=code, message=str(error))
        if not self.exit_on_stop:
            self.stop.wait()  # restarting the process is the acknowledgement
        return code

    def fail(self, error: BaseException) -> int:
        """Say why the process ends, and return its exit code."""
        code = _code(error)
        for run in self.runs:
            run.log.error("failed", code=code, message=message_of(error))
        return code


def _code(error: BaseException) -> int:
    return error.exit_code if isinstance(error, WeirError) else Fatal.exit_code


@contextmanager
def _signals(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """Take SIGTERM and SIGINT as a wish to stop, SIGHUP as one to read the bundle anew.

    Elsewhere than on the main thread do nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wishes = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {
        number: signal.signal(number, lambda *_, wish=wish: wish())
        for number, wish in wishes.items()
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
    failpoint: Failpoint = passing,
) -> int:
    """Run stages of this process until SIGTERM or SIGINT; return the exit code.

    SIGHUP has the bundle read anew; the stages go on with it between two transactions.

    Every stage has its own consumer, producer and thread. A stop for a person (72, 73, 78) keeps
    the process up, live and not ready, unless `exit_on_stop`. `failpoint` is for fault suites,
    which have an entry point of their own; no setting and no flag reaches it.

    Raises:
        BrokerUnavailable: no broker answered at start-up.
        ConfigError: health.port cannot be listened on.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold posts
    if configure_logs:
        logs.configure(getattr(logging, settings.log.level.upper()))
    runs = [new_run(settings, name) for name in stages]
    worker = Worker(settings, runs, start, accept_gap, exit_on_stop, failpoint)
    try:
        code = _serve(worker)
    except WeirError:
        raise
    except Exception as error:  # noqa: BLE001  # no memory, no files: a restart may have more
        return worker.fail(error)
    for each in runs:
        each.log.info("worker_stopped", code=code)
    return code


def _serve(worker: Worker) -> int:
    """Let a worker work, with its health, metrics and watchdog; return the exit code."""
    settings, runs = worker.settings, worker.runs

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
    with _signals(wish, worker.reloader.ask):
        server.start()
        watchdog.start()
        for each in runs:
            each.log.info("worker_started", version=VERSION, port=server.port)
        try:
            return worker.work()
        finally:
            watchdog.stop()
            server.close()
