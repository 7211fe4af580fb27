"""Run one combined KRaft node of Apache Kafka on free loopback ports, in a temporary folder.

Standard library alone. `python -m deploy.local` (the `make kafka` target) runs a broker in the
foreground; `serving()` is what the test fixture uses: the same command as a child whose standard
input is a pipe, so that the broker ends when the parent does, however it ends.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
JARS = ROOT / "build" / "kafka-4.3.0" / "lib"
START_TIMEOUT_S = 240.0  # measured 3 s on two idle cores, above 60 s where a dozen share them
STOP_TIMEOUT_S = 120.0  # a bound for hangs: removing the logs of some hundred topics takes time
ATTEMPTS = 3  # another process may take a port between choosing and binding it
FOLDER = "weir-kafka-"
READY = "Kafka Server started"
PR_SET_PDEATHSIG = 1  # prctl(2)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.retention.minutes=43200
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
unclean.leader.election.enable=false
num.network.threads=2
num.io.threads=4
log.flush.interval.messages=9223372036854775807
log.cleaner.backoff.ms=1000
"""


class LocalKafkaError(RuntimeError):
    """Report why no broker could be started, with what to install or where to look."""


def missing_tools() -> list[str]:
    """Name what a person must install before a broker can run; empty when all is there."""
    return [name for name in ("java", "mvn") if shutil.which(name) is None]


def resolve_jars(target: Path = JARS) -> Path:
    """Let Maven copy the jars named in pom.xml into `target` once; return the folder.

    Blocks for some seconds on the first call (54 MB), not afterwards. The copy goes to a folder
    of its own and is renamed, so that two first runs cannot see half a folder.

    Raises:
        LocalKafkaError: Java or Maven is missing, or Maven could not resolve the jars.
    """
    missing = missing_tools()
    if missing:
        raise LocalKafkaError(
            f"not found on the PATH: {', '.join(missing)}; install JDK 17 and Maven "
            "(Debian: apt-get install openjdk-17-jdk-headless maven)"
        )
    pom = HERE / "pom.xml"
    marker = target / ".complete"
    if marker.exists() and marker.stat().st_mtime >= pom.stat().st_mtime:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix="jars-", dir=target.parent))
    try:
        command = ["mvn", "-B", "-q", "-f", str(pom)]
        command += ["dependency:copy-dependencies", f"-DoutputDirectory={staging}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise LocalKafkaError(f"Maven could not bring the jars of {pom}:\n{tail}")
        (staging / ".complete").touch()
        if target.exists():
            shutil.rmtree(target)
        with contextlib.suppress(OSError):  # another run renamed its complete folder first
            staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def free_ports(count: int) -> list[int]:
    """Choose `count` different loopback ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [int(held.getsockname()[1]) for held in sockets]


def _die_with_parent() -> None:
    """Ask the kernel to kill this child when its parent goes (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class LocalKafka:
    """Own one broker process and its temporary folder; one thread, start and stop block.

    Attributes:
        bootstrap_servers: `127.0.0.1:PORT`, once `start` has returned.
    """

    def __init__(self, port: int | None = None, heap: str = "1g", more: str = "") -> None:
        """Keep what `start` needs; `more` are lines of properties, like those of this module."""
        self.wanted_port = port
        self.more = more
        self.heap = heap
        self.bootstrap_servers = ""
        self.folder: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Return the file that the broker writes its log to."""
        if self.folder is None:
            raise LocalKafkaError("the broker has not been started")
        return self.folder / "broker.log"

    def start(self) -> str:
        """Format storage, start the broker, wait until it serves; return its address.

        Raises:
            LocalKafkaError: tools or jars are missing, or the broker ended or did not serve
                within START_TIMEOUT_S; the message carries the end of its log.
        """
        jars = resolve_jars()
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._start_once(jars)
            except LocalKafkaError as error:
                self._kill()
                slow = "did not serve" in str(error)
                if slow or self.wanted_port is not None or attempt == ATTEMPTS:
                    self.stop()
                    raise
            else:
                return self.bootstrap_servers
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _start_once(self, jars: Path) -> None:
        assert self.folder is not None  # noqa: S101  # set by start
        port, controller = free_ports(2)
        port = self.wanted_port or port
        logs = self.folder / "data"
        shutil.rmtree(logs, ignore_errors=True)
        properties = self.folder / "server.properties"
        lines = PROPERTIES + self.more  # of two lines for one property the last counts
        properties.write_text(lines.format(port=port, controller=controller, logs=logs))
        java = ["java", "-cp", f"{jars}/*", f"-Dlog4j2.configurationFile={HERE}/log4j2.properties"]
        format_command = [*java, "kafka.tools.StorageTool", "format", "--standalone"]
        format_command += ["-t", _cluster_id(), "-c", str(properties)]
        done = subprocess.run(format_command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LocalKafkaError(f"formatting storage failed:\n{done.stdout}{done.stderr}")
        serve = [*java, f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*serve, "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone; we stop the broker
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # no threads run here yet
            )
        self._wait_until_serving(port)
        self.bootstrap_servers = f"127.0.0.1:{port}"

    def _wait_until_serving(self, port: int) -> None:
        assert self.process is not None  # noqa: S101  # set by _start_once
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            text = self.log.read_text(errors="replace")
            if self.process.poll() is not None:
                raise LocalKafkaError(
                    f"the broker ended with code {self.process.returncode}:\n{_tail(text)}"
                )
            if READY in text and _accepts(port):
                return
            time.sleep(0.1)
        raise LocalKafkaError(
            f"the broker did not serve within {START_TIMEOUT_S:.0f} s:\n"
            f"{_tail(self.log.read_text(errors='replace'))}"
        )

    def stop(self) -> None:
        """Kill the broker and remove its folder; safe to call twice.

        A clean stop would only write what makes the next start on the same data faster.
        """
        self._kill()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None


def _cluster_id() -> str:
    """Make a cluster id: 22 characters of URL-safe base64 over 16 random bytes."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _tail(text: str, lines: int = 25) -> str:
    return "\n".join(text.splitlines()[-lines:])


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def sweep() -> None:
    """Remove folders of runs whose process was killed; a folder's name carries its process id."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        owner = re.match(rf"{FOLDER}(\d+)-", folder.name)
        if owner and not Path(f"/proc/{owner[1]}").exists() and sys.platform == "linux":
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(heap: str = "1g") -> Iterator[str]:
    """Yield the bootstrap servers of a broker that ends with this process, even when killed.

    Blocks until the broker serves; on exit until it has stopped.

    Raises:
        LocalKafkaError: the broker could not be started; the message says why.
    """
    command = [sys.executable, "-m", "deploy.local", "--with-parent", "--heap", heap]
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None  # noqa: S101  # asked for by PIPE
    assert child.stdout is not None  # noqa: S101
    try:
        line = child.stdout.readline()
        if not line:
            raise LocalKafkaError(f"no broker: deploy.local ended with code {child.wait()}")
        yield str(json.loads(line)["bootstrap_servers"])
    finally:
        child.stdin.close()  # the child stops the broker when its standard input ends
        child.wait(STOP_TIMEOUT_S)
        child.stdout.close()
