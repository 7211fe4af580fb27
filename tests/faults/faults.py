"""Choose the faults of a run, from a seed, and carry them out on the processes of one slot."""

from __future__ import annotations

import contextlib
import random
import re
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from tests.faults.takeover import Return, returned
from tests.support.deployment import Deployment, WorkerProcess, tail, within
from worker.settings import STAGE_NAMES

Kind: TypeAlias = Literal["kill", "away", "random", "stop", "twin", "serve", "starve"]

# How often each point is reached before a fault there: the first ones come once per start.
POINTS: tuple[tuple[str, int], ...] = (
    ("in_assign", 1), ("in_restore[0]", 1), ("in_restore[2]", 1), ("after_claim", 3),
    ("after_poll", 20), ("after_decide", 12), ("after_begin", 12), ("after_send[0]", 12),
    ("after_send[3]", 3), ("after_flush", 12), ("after_offsets", 12), ("before_commit", 12),
    ("after_commit", 12),
)  # fmt: skip
BATCHES = (50, 300, 2_000, 100_000)
JOIN_S = 60.0  # brokers that are gone, and a session that ends first
# A point not reached so long after the first partition is decided on, or twice as long after the
# assignment, is given up: SIGKILL wherever the process stands.
UNREACHED_S = 4.0
AWAY_S = 25.0  # longer than a session and an abort: another slot must have taken over
LASTS_S = 3_600.0  # longer than any run
STOPS_S = (1.0, 12.0)  # below and above the session timeout, whichever the scenario has
LONG_STOPS_S = (20.0, 70.0)  # above a transaction's timeout, and above what a phase may last
STARVED_S = 8.0  # a process that needs nothing more works on, and is killed then
ENDED = frozenset({-signal.SIGKILL, 70, 71})  # what heals by a restart; anything else is wrong
ZOMBIE_S = 15.0  # a fenced process ends with its next write, or once a heartbeat heard of it


class Fault(NamedTuple):
    kind: Kind
    point: str
    times: int
    seconds: float
    batch: int  # records per poll
    fresh: bool = False  # under a slot's name that was never there


def kills(seed: str) -> Iterator[Fault]:
    """Yield kills for ever, fast ones; every point comes up in every round of them."""
    chosen = random.Random(seed)
    while True:
        points = list(POINTS)
        chosen.shuffle(points)
        for point, most in points:
            yield _fault("kill", point, most, chosen)
        yield _fault("random", "", 1, chosen, chosen.uniform(1.0, 6.0))


def pauses(seed: str) -> Iterator[Fault]:
    """Yield faults that take their time, for ever, each of another kind, and kills in between."""
    chosen = random.Random(seed)
    kinds: tuple[Kind, ...] = ("stop", "kill", "twin", "kill", "away", "kill", "stop", "twin")
    while True:
        for kind in kinds:
            point, most = chosen.choice(POINTS)
            yield _fault(kind, point, most, chosen)


def halts(seed: str) -> Iterator[Fault]:
    """Yield stops for ever, longer than a transaction may last; every point comes up."""
    chosen = random.Random(seed)
    lasts = cycle(LONG_STOPS_S)
    while True:
        points = list(POINTS)
        chosen.shuffle(points)
        for point, most in points:
            yield _fault("stop", point, most, chosen, next(lasts))


def starves(seed: str) -> Iterator[Fault]:
    """Yield processes that get no more memory, and such that may open nothing more, in turn."""
    chosen = random.Random(seed)
    for what in cycle(("memory", "files")):
        yield _fault("starve", what, 1, chosen, chosen.choice((0.3, 0.8, 1.5, 4.0)))


def stands(_seed: str) -> Iterator[Fault]:
    """Yield one service that lasts until the run has its ends."""
    while True:
        yield Fault("serve", "", 1, LASTS_S, BATCHES[-1])


def leaves(seed: str) -> Iterator[Fault]:
    """Yield kills, with and without a transaction open; after every other one the slot stays away.

    So both are seen: how another slot takes over, and how the same slot comes back.
    """
    chosen = random.Random(seed)
    kinds: Iterator[Kind] = cycle(("away", "kill"))
    while True:
        points = list(POINTS[3:])
        chosen.shuffle(points)
        for point, most in points:
            yield _fault(next(kinds), point, most, chosen)


def stays(seed: str) -> Iterator[Fault]:
    """Yield long services, ended by a kill."""
    chosen = random.Random(seed)
    while True:
        yield _fault("random", "", 1, chosen, chosen.uniform(8.0, 20.0))


def storms(seed: str) -> Iterator[Fault]:
    """Yield members that come and go: each start, and each end of a session, is a rebalance."""
    chosen = random.Random(seed)
    points = (("in_revoke", 2), ("in_assign", 3), ("in_restore[1]", 1), ("after_claim", 2))
    while True:
        for point, most in points:
            yield _fault("kill", point, most, chosen)._replace(fresh=chosen.random() < 0.5)
        yield _fault("serve", "", 1, chosen, chosen.uniform(1.0, 4.0))._replace(fresh=True)


def steps(seed: str) -> Iterator[Fault]:
    """Yield clean stops, as a rolling upgrade makes them."""
    chosen = random.Random(seed)
    while True:
        yield _fault("serve", "", 1, chosen, chosen.uniform(2.0, 8.0))


def _fault(
    kind: Kind, point: str, most: int, chosen: random.Random, seconds: float | None = None
) -> Fault:
    waits = chosen.choice(STOPS_S) if seconds is None else seconds
    return Fault(kind, point, chosen.randint(1, most), waits, chosen.choice(BATCHES))


@dataclass
class Tally:
    """Count what happened, over all slots of a run."""

    kills: Counter[str] = field(default_factory=Counter)  # by failpoint; "anywhere" at random
    stops: Counter[str] = field(default_factory=Counter)
    idle: Counter[str] = field(default_factory=Counter)  # zombies that did not end in time
    starved: Counter[str] = field(default_factory=Counter)  # ended for lack of it, by themselves
    exits: Counter[int] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)  # lines of Python that called what crashed
    stages: Counter[str] = field(default_factory=Counter)  # whose thread was at the failpoint
    starts: int = 0
    renewed: int = 0  # stages that went on with another bundle, in place
    wrong: list[str] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)  # into the same slot
    absences: list[tuple[float, float]] = field(default_factory=list)  # wall seconds, from and to
    restores: list[tuple[str, float]] = field(default_factory=list)  # warm or cold, seconds
    lock: threading.Lock = field(default_factory=threading.Lock)


class Slot(threading.Thread):
    """Start a slot's worker over and over, each time with another fault, until told to stop."""

    def __init__(
        self,
        name: str,
        deployment: Deployment,
        faults: Iterator[Fault],
        tally: Tally,
        start: Callable[[int], dict[str, Any]],
        servers: str,
        heals: frozenset[int],
        renew: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(name=f"slot-{name}", daemon=True)
        self.slot = name
        self.done = threading.Event()
        self.workers: list[WorkerProcess] = []
        self._deployment = deployment
        self._faults = faults
        self._tally = tally
        self._how = start
        self._servers = servers
        self._renew = renew  # the bundle that its processes read
        self._right = ENDED | heals
        self._ended: float | None = None  # when the slot's last process ended, wall seconds

    def run(self) -> None:
        try:
            while not self.done.is_set() and not self._tally.wrong:
                self._one(next(self._faults))
        except Exception as error:  # noqa: BLE001  # a thread's error would be lost
            self._tally.wrong.append(f"slot {self.slot}: {error!r}")

    def _one(self, fault: Fault) -> None:
        if fault.kind == "random":
            worker = self._start(fault, None)
            self._sleep_or_end(worker, fault.seconds)
            self._kill(worker, "anywhere")
        elif fault.kind in ("kill", "away"):
            worker = self._start(fault, f"{fault.point}:{fault.times}")
            self._reach(worker)
            self._kill(worker, "anywhere")
            if fault.kind == "away":
                self._stay_away()
        elif fault.kind == "serve":
            self._serve(fault)
        elif fault.kind == "starve":
            self._starve(fault)
        else:
            self._halt(fault)

    def _stay_away(self) -> None:
        ended = time.time()
        self.done.wait(AWAY_S)
        self._ended = None  # what follows is no return at once
        with self._tally.lock:
            self._tally.absences.append((ended, time.time()))

    def _start(self, fault: Fault | None, failpoint: str | None) -> WorkerProcess:
        batch = 100_000 if fault is None else fault.batch
        with self._tally.lock:  # a deployment numbers its workers
            # Those that die anywhere have an interpreter of their own, hence another hash seed.
            forked = fault is None or fault.kind != "random"
            name = self.slot
            if fault is not None and fault.fresh:
                name = f"{name}{self._tally.starts}"
            how = {"bootstrap_servers": self._servers, "forked": forked}
            how |= self._how(self._tally.starts)
            worker = self._deployment.start(
                name, failpoint=failpoint, max_poll_records=batch, **how
            )
            self._tally.starts += 1
        self.workers.append(worker)
        return worker

    def _serve(self, fault: Fault) -> None:
        """Let a process work and ask it to stop: it must, with nothing left open."""
        worker = self._start(fault, None)
        if not self._joined(worker):  # it cannot be asked while it starts
            self._kill(worker, "anywhere")
            return
        self._sleep_or_end(worker, fault.seconds)
        ended = worker.process.poll()
        code = worker.stop()
        if ended is None and code != 0 and code not in self._right:
            self._tally.wrong.append(f"a clean stop ended with {code}: {tail(worker.log)}")
        self._ended = time.time()
        with self._tally.lock:
            self._tally.exits[code] += 1

    def _joined(self, worker: WorkerProcess) -> bool:
        """Wait until a process was given partitions, or ends; tell whether it was."""
        return self._saw(worker, "partitions_assigned", JOIN_S)

    def _reach(self, worker: WorkerProcess) -> None:
        """Wait until a process ends or stops itself, or has had partitions for long enough."""
        if not self._saw(worker, "partitions_assigned", JOIN_S):
            return
        if not self._saw(worker, "partition_restored", 2 * UNREACHED_S):
            return
        if self._renew is not None:
            self._renew(self._tally.starts)
            worker.process.send_signal(signal.SIGHUP)  # its handler is there by now
        within(lambda: self._is_over(worker), UNREACHED_S)

    def _saw(self, worker: WorkerProcess, event: str, seconds: float) -> bool:
        """Wait for an event of a process that neither ends nor stops; tell whether it came."""
        within(lambda: worker.saw(event) or self._is_over(worker), seconds)
        return not self._is_over(worker) and worker.saw(event)

    def _is_over(self, worker: WorkerProcess) -> bool:
        return self.done.is_set() or worker.process.poll() is not None or _is_stopped(worker)

    def _sleep_or_end(self, worker: WorkerProcess, seconds: float) -> None:
        within(lambda: self.done.is_set() or worker.process.poll() is not None, seconds)

    def _kill(self, worker: WorkerProcess, otherwise: str) -> None:
        """End a process that has not ended yet, and count how it ended."""
        point = otherwise
        if worker.process.poll() is None:
            worker.kill()
        elif worker.process.returncode == -signal.SIGKILL:
            point = self._note_point(worker)
        self._note_end(worker, point)

    def _note_end(self, worker: WorkerProcess, point: str) -> None:
        code = worker.process.wait()
        began, self._ended = self._ended, time.time()
        with self._tally.lock:
            if code == -signal.SIGKILL:
                self._tally.kills[point] += 1
            else:
                self._tally.exits[code] += 1
            if code in (-signal.SIGSEGV, -signal.SIGABRT):
                self._tally.crashes.append(place_of_crash(worker.log))
            if code not in self._right:
                self._tally.wrong.append(f"a worker ended with {code}: {tail(worker.log)}")
            self._note_restores(worker, began)

    def _note_point(self, worker: WorkerProcess) -> str:
        told = [each for each in worker.events if each["event"] == "failpoint"]
        with self._tally.lock:
            self._tally.stages[told[-1]["thread"]] += 1
        return str(told[-1]["point"])

    def _note_restores(self, worker: WorkerProcess, ended: float | None) -> None:
        """Report, never judge: how long after the slot's last end a partition was back."""
        restored = [each for each in worker.events if each["event"] == "partition_restored"]
        for each in restored:
            self._tally.restores.append((each["mode"], each["seconds"]))
        activated = sum(each["event"] == "policy_activated" for each in worker.events)
        self._tally.renewed += max(activated - len(STAGE_NAMES), 0)
        parts = None if ended is None else returned(worker.events, ended)
        if parts is not None:
            self._tally.returns.append(parts)

    def _halt(self, fault: Fault) -> None:
        """Let a process stop itself, and resume it after its slot, or its session, has gone on."""
        worker = self._start(fault, f"{fault.point}:{fault.times}:STOP")
        self._reach(worker)
        if not _is_stopped(worker):
            self._kill(worker, "anywhere")
            return
        point = self._note_point(worker)
        with self._tally.lock:
            self._tally.stops[point] += 1
        if fault.kind == "twin":
            self._ended = time.time()
            twin = self._start(fault, None)
            self._sleep_or_end(twin, 6.0)
            worker.process.send_signal(signal.SIGCONT)
            self._await_end_of_zombie(worker, point)
            self._kill(twin, "anywhere")
            return
        self.done.wait(fault.seconds)
        worker.process.send_signal(signal.SIGCONT)
        self._sleep_or_end(worker, 5.0)
        self._kill(worker, "anywhere")

    def _starve(self, fault: Fault) -> None:
        """Leave a process what it has, from some moment on; it ends, or needs nothing more."""
        worker = self._start(fault, None)
        self._sleep_or_end(worker, fault.seconds)
        if worker.process.poll() is None:
            _limit(worker.process.pid, fault.point)
            self._sleep_or_end(worker, STARVED_S)
            with self._tally.lock:
                self._tally.starved[fault.point] += worker.process.poll() is not None
        self._kill(worker, "anywhere")

    def _await_end_of_zombie(self, worker: WorkerProcess, point: str) -> None:
        """A fenced process ends by itself with its next write, or once a heartbeat heard of it."""
        if not within(lambda: worker.process.poll() is not None, ZOMBIE_S):
            with self._tally.lock:
                self._tally.idle[point] += 1
            worker.kill()
        self._note_end(worker, "anywhere")


def _is_stopped(worker: WorkerProcess) -> bool:
    try:
        stat = Path(f"/proc/{worker.process.pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or read
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


def place_of_crash(log: Path) -> str:
    """Give the innermost line of Python that faulthandler wrote of the thread that crashed."""
    text = log.read_text(errors="replace")
    found = re.search(r'Current thread .*\n +File "(.+)", line (\d+) in (\S+)', text)
    return "unknown" if found is None else f"{Path(found[1]).name}:{found[2]} in {found[3]}"


def _limit(pid: int, what: str) -> None:
    """Let a process have no more memory, or no more open files, than it has now (prlimit(2))."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        if what == "memory":
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            kind, most = resource.RLIMIT_AS, pages * resource.getpagesize()
        else:
            kind, most = resource.RLIMIT_NOFILE, len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, kind, (most, resource.prlimit(pid, kind)[1]))
