"""Run weir on a real broker: topics of its own, worker processes, waits with a deadline."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from tests.support.forks import ForkedWorker, Process
from worker import runtime
from worker.settings import STAGE_NAMES, Settings, StageName

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 90.0  # generous: a bound for hangs, not a measurement
STEP_S = 0.05
INPUTS: dict[StageName, str] = {"screen": "posts", "correlate": "sightings", "enforce": "signals"}


def within(condition: Callable[[], bool], deadline_s: float, step_s: float = STEP_S) -> bool:
    """Wait until a condition holds, at most until the deadline; tell whether it does."""
    end = time.monotonic() + deadline_s
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(step_s)
    return held


def wait_for(
    condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S, step_s: float = STEP_S
) -> None:
    """Wait until a condition holds; fail with `what` after the deadline."""
    assert within(condition, deadline_s, step_s), f"{what}: not within {deadline_s:.0f} s"


class Read(NamedTuple):
    """Hold a record of a topic."""

    partition: int
    offset: int
    time: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def json(self) -> Any:
        assert self.value is not None
        return json.loads(self.value)

    def header(self, name: str) -> str:
        return dict(self.headers)[name].decode()


@dataclass
class WorkerProcess:
    """Hold one `weir run` of its own process."""

    process: Process
    log: Path

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def saw(self, event: str) -> bool:
        return self.told(f'"event": "{event}"')

    def told(self, text: str) -> bool:
        return text in self.log.read_text(errors="replace")

    def stop(self, budget_s: float = DEADLINE_S) -> int:
        """Ask it to drain; return its exit code, or raise when the budget has run out."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(budget_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Deployment:
    """Own the topics, groups and processes of one test."""

    servers: str
    folder: Path
    bundle: Path
    partitions: int = 4
    fast_path: bool = True
    name: str = field(default_factory=lambda: f"t{uuid4().hex[:12]}")
    options: dict[str, Any] = field(default_factory=dict)
    kafka: dict[str, Any] = field(default_factory=dict)
    workers: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key_file = self.folder / "deployment.key"
        self.key_file.write_text("5a" * 32)

    def document(self, **kafka: Any) -> dict[str, Any]:
        """Give the settings as the file that a worker reads."""
        return {
            "bundle": str(self.bundle),
            "deployment_key_file": str(self.key_file),
            "input": {"topic": f"{self.name}-posts", "time": "create"},
            "enforce": {"act_after": "none"},
            "correlate": {"lateness": "90d"},
            "health": {"port": 0},
            "kafka": {
                "bootstrap_servers": self.servers,
                "namespace": self.name,
                "durability": "single_node",
                "session_timeout_ms": 6_500,
                "heartbeat_interval_ms": 1_000,
                "fast_path": self.fast_path,
                "partitions": {
                    "posts": self.partitions,
                    "sightings": self.partitions,
                    "signals": self.partitions,
                    "dlq": 1,
                },
                **self.kafka,
                **kafka,
            },
            **self.options,
        }

    def settings(self, **kafka: Any) -> Settings:
        return Settings(**self.document(**kafka))

    def patient(self) -> Settings:
        """Give settings for a loader that waits for minutes: what it could not count is lost."""
        kafka = {
            "request_timeout_ms": 20_000,
            "delivery_timeout_ms": 200_000,
            "transaction_timeout_ms": 210_000,
            "max_poll_interval_ms": 220_000,
        }
        return Settings(
            **self.document(**kafka), shutdown={"flush_ms": 200_000, "grace_ms": 300_000}
        )

    def create(self) -> None:
        runtime.create_topics(self.settings())

    def alter(self, values: Mapping[str, str], roles: Sequence[str]) -> None:
        """Give topics other settings than Weir would."""
        if not values:
            return
        names = [self.settings().topic(role) for role in roles]
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            kind = ConfigResourceType.TOPIC
            admin.alter_configs([ConfigResource(kind, name, dict(values)) for name in names])

    def load(self, posts: Path) -> Any:
        return runtime.load_posts(self.settings(), str(posts))

    def start(
        self,
        slot: str = "a",
        *,
        stages: Sequence[StageName] = STAGE_NAMES,
        start: str | None = "earliest",
        arguments: Sequence[str] = ("--exit-on-stop",),
        failpoint: str | None = None,
        forked: bool = False,
        hash_seed: str = "random",
        clock_s: float = 0.0,
        bundle: Path | None = None,
        **kafka: Any,
    ) -> WorkerProcess:
        """Start `weir run` as a process; with a failpoint one that kills itself there.

        Forked it starts in a fraction of the time, at the earliest record, and shares its hash
        seed with every other fork, and its clock may be `clock_s` ahead; `hash_seed` is for a
        process of its own interpreter.
        """
        number = len(self.workers)
        config = self.folder / f"weir-{slot}-{number}.yaml"  # JSON is YAML
        document = self.document(**kafka)
        document |= {"slot": slot} if bundle is None else {"slot": slot, "bundle": str(bundle)}
        config.write_text(json.dumps(document))
        stage = "all" if tuple(stages) == STAGE_NAMES else stages[0]
        command = [sys.executable, "-m", "worker.cli.main", "run", "--stage", stage]
        command += ["--config", str(config), *arguments]
        if start is not None:
            command += ["--start", start]
        if failpoint is not None:
            command = [sys.executable, "-m", "tests.support.failing_worker", failpoint]
            command += [str(config), *stages]
        log = self.folder / f"{slot}-{stage}-{number}.log"
        if forked:
            process = ForkedWorker((failpoint or "", str(config), *stages), log, clock_s)
            self.workers.append(WorkerProcess(process, log))
            return self.workers[-1]
        with log.open("wb") as out:
            # SIGABRT then dumps every stack: what a worker that hangs is asked for.
            environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "PYTHONHASHSEED": hash_seed}
            started = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
            )
        self.workers.append(WorkerProcess(started, log))
        return self.workers[-1]

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()

    def ends(self, topic: str, isolation: str = "read_committed") -> dict[TopicPartition, int]:
        with self._consumer(isolation=isolation) as consumer:
            tps = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
            return dict(consumer.end_offsets(tps))

    def caught_up(self, stage: StageName) -> bool:
        """Tell whether a stage has committed everything that its main input holds.

        That includes what only a marker yet to be written commits: offsets may count before
        the outputs of their transaction can be read.
        """
        settings = self.settings()
        ends = self.ends(settings.topic(INPUTS[stage]), "read_uncommitted")
        with self._consumer(settings.group(stage)) as consumer:
            return all(end == 0 or consumer.committed(tp) == end for tp, end in ends.items())

    def drained(self) -> bool:
        """Tell whether all that was loaded went through, every stage in turn."""
        for worker in self.workers:
            code = worker.process.poll()
            assert code in (None, 0), f"a worker ended with {code}: {tail(worker.log)}"
        return all(self.caught_up(stage) for stage in STAGE_NAMES)

    def read(self, role: str) -> list[Read]:
        """Read everything a topic holds, ordered by partition and offset."""
        topic = self.settings().topic(role)
        ends = {tp: end for tp, end in self.ends(topic).items() if end}
        found: list[Read] = []
        if not ends:
            return found
        with self._consumer() as consumer:
            consumer.assign(list(ends))
            consumer.seek_to_beginning(*ends)
            limit = time.monotonic() + DEADLINE_S
            while any(consumer.position(tp) < end for tp, end in ends.items()):
                assert time.monotonic() < limit, f"{topic} was not read in time"
                for records in consumer.poll(timeout_ms=200).values():
                    found += [
                        Read(r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
                        for r in records
                    ]
        return sorted(found, key=lambda read: (read.partition, read.offset))

    def actions(self) -> list[Read]:
        kinds = ("label", "limit", "remove", "warn", "lock", "suspend", "review", "restore")
        return [read for kind in kinds for read in self.read(f"actions.{kind}")]

    @contextlib.contextmanager
    def _consumer(
        self, group: str | None = None, isolation: str = "read_committed"
    ) -> Iterator[KafkaConsumer]:
        consumer = KafkaConsumer(
            bootstrap_servers=self.servers,
            group_id=group,
            enable_auto_commit=False,
            isolation_level=isolation,
            allow_auto_create_topics=False,
        )
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)


def tail(log: Path) -> str:
    lines = [line for line in log.read_text().splitlines() if '"logger": "kafka' not in line]
    return "\n".join(lines[-15:])
