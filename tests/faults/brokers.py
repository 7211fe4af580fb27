"""The brokers of a run: one, one behind a proxy, or three that are killed, stopped and bounced."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid
from base64 import urlsafe_b64encode
from collections import Counter
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from deploy.local.broker import (
    FOLDER,
    HERE,
    PROPERTIES,
    READY,
    START_TIMEOUT_S,
    LocalKafka,
    LocalKafkaError,
    free_ports,
    resolve_jars,
)
from tests.faults.proxy import LASTS_S, TROUBLES, Proxy
from tests.support.deployment import wait_for

_PROXIED = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{front},CONTROLLER://127.0.0.1:{{controller}}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
"""
_THREE = """\
node.id={node}
controller.quorum.voters={voters}
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
min.insync.replicas=2
replica.lag.time.max.ms=6000
broker.session.timeout.ms=6000
"""


class Brokers(Protocol):
    """Serve a run, and be at fault where the scenario wants it."""

    faults: Counter[str]
    quiet: threading.Lock  # held during a fault of a broker, and while posts are loaded
    durability: str

    def start(self) -> str:
        """Return the address for the judges."""

    def for_slot(self, name: str) -> str:
        """Return the address for the workers of one slot."""

    def disturb(self) -> None:
        """Begin with faults of its own."""

    def calm(self) -> None:
        """End them; everything serves again when this returns."""

    def folders(self) -> list[Path]:
        """Give each broker's log folder."""

    def stop(self) -> None: ...


class One(Brokers):
    """One broker without a fault."""

    def __init__(self, _seed: str) -> None:
        self.faults = Counter()
        self.quiet = threading.Lock()
        self.durability = "single_node"
        self.kafka = LocalKafka()

    @override
    def start(self) -> str:
        return self.kafka.start()

    @override
    def for_slot(self, name: str) -> str:
        return self.kafka.bootstrap_servers

    @override
    def disturb(self) -> None:
        pass

    @override
    def calm(self) -> None:
        pass

    @override
    def folders(self) -> list[Path]:
        return [self.kafka.folder / "data"] if self.kafka.folder else []

    @override
    def stop(self) -> None:
        self.kafka.stop()


class Proxied(One):
    """One broker that workers reach through a proxy alone."""

    kinds = TROUBLES
    lasts = LASTS_S
    in_turn = False

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self._front, behind = free_ports(2)
        self.kafka = LocalKafka(more=_PROXIED.format(front=self._front, behind=behind))
        self._proxy = Proxy(self._front, behind, seed, self.kinds, self.lasts, in_turn=self.in_turn)

    @override
    def for_slot(self, name: str) -> str:
        return f"127.0.0.1:{self._front}"

    @override
    def disturb(self) -> None:
        self._proxy.serve()

    @override
    def calm(self) -> None:
        self._proxy.calm()
        self.faults = Counter(self._proxy.troubles)


class Silent(Proxied):
    """One broker that says nothing for longer than a phase may last, and serves, in turn."""

    kinds = ("none", "hold")
    lasts = (55.0,)  # > WATCHDOG_MS
    in_turn = True  # so that workers have begun, and have something open, when it falls silent


class Three(threading.Thread, Brokers):
    """Three brokers, each a controller too; a majority of controllers is lost now and then."""

    def __init__(self, seed: str) -> None:
        super().__init__(name="brokers", daemon=True)
        self.faults = Counter()
        self.quiet = threading.Lock()
        self.durability = "production"
        self._chosen = random.Random(seed)
        self._end = threading.Event()
        self._folder = Path(tempfile.gettempdir())
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._ports = free_ports(6)

    @override
    def start(self) -> str:  # of the brokers; the thread starts with `disturb`
        jars = resolve_jars()
        self._java = ["java", "-cp", f"{jars}/*"]
        self._java += [f"-Dlog4j2.configurationFile={HERE}/log4j2.properties"]
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER))
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for node in (1, 2, 3):
            self._format(node, cluster)
        for node in (1, 2, 3):
            self._serve(node)
        for node in (1, 2, 3):
            self._await(node)
        return self.for_slot("")

    @override
    def for_slot(self, name: str) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self._ports[:3])

    def _format(self, node: int, cluster: str) -> None:
        voters = ",".join(f"{n}@127.0.0.1:{self._ports[2 + n]}" for n in (1, 2, 3))
        lines = PROPERTIES.replace(
            "controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n", ""
        )
        text = (lines + _THREE + self._more(node)).format(
            port=self._ports[node - 1],
            controller=self._ports[node + 2],
            logs=self._folder / f"data-{node}",
            node=node,
            voters=voters,
        )
        self._properties(node).write_text(text)
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster]
        command += ["-c", str(self._properties(node))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LocalKafkaError(f"formatting storage failed:\n{done.stdout}{done.stderr}")

    def _more(self, _node: int) -> str:
        return ""

    def _properties(self, node: int) -> Path:
        return self._folder / f"server-{node}.properties"

    def _serve(self, node: int) -> None:
        command = [*self._java, "-Xmx512m", "-XX:+UseSerialGC", "kafka.Kafka"]
        with (self._folder / f"broker-{node}.log").open("wb") as log:
            self._processes[node] = subprocess.Popen(
                [*command, str(self._properties(node))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _await(self, node: int) -> None:
        log = self._folder / f"broker-{node}.log"

        def serves() -> bool:
            text = log.read_text(errors="replace")
            assert self._processes[node].poll() is None, f"broker {node} ended:\n{text[-2000:]}"
            return READY in text

        wait_for(serves, f"broker {node} serves", 3 * START_TIMEOUT_S, 0.1)

    @override
    def disturb(self) -> None:
        super().start()

    @override
    def run(self) -> None:
        kinds = ("kill", "kill", "bounce", "stop", "below the minimum")
        while not self._end.wait(self._chosen.uniform(2.0, 6.0)):
            kind = self._chosen.choice(kinds)
            nodes = self._chosen.sample((1, 2, 3), 2 if kind == "below the minimum" else 1)
            self.faults[kind] += 1
            with self.quiet:
                self._fault(kind, nodes)

    def _fault(self, kind: str, nodes: list[int]) -> None:
        if kind in ("kill", "bounce"):
            self._restart(nodes[0], signal.SIGKILL if kind == "kill" else signal.SIGTERM)
        else:
            self._pause(nodes)

    def _restart(self, node: int, how: signal.Signals) -> None:
        process = self._processes[node]
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        self._end.wait(self._chosen.choice((0.0, 8.0)))  # below and above the brokers' session
        self._serve(node)
        self._await(node)

    def _pause(self, nodes: list[int]) -> None:
        for node in nodes:
            self._processes[node].send_signal(signal.SIGSTOP)
        self._end.wait(self._chosen.choice((3.0, 14.0)))
        for node in nodes:
            self._processes[node].send_signal(signal.SIGCONT)

    @override
    def calm(self) -> None:
        self._end.set()
        if self.ident is not None:
            self.join()

    @override
    def folders(self) -> list[Path]:
        return [self._folder / f"data-{node}" for node in (1, 2, 3)]

    @override
    def stop(self) -> None:
        self._end.set()
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class Parted(Three):
    """Three brokers without a fault; one slot reaches each through a proxy with its own troubles.

    So that slot loses the group's or the transactions' coordinator, or leaders of partitions, and
    not the others; its neighbours lose nothing.
    """

    SLOT = "c"

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        ports = free_ports(6)
        self._fronts, self._behind = ports[:3], ports[3:]
        self._proxies = [
            Proxy(front, behind, f"{seed} {node}")
            for node, (front, behind) in enumerate(zip(self._fronts, self._behind, strict=True))
        ]

    @override
    def for_slot(self, name: str) -> str:
        if name != self.SLOT:
            return super().for_slot(name)
        return ",".join(f"127.0.0.1:{port}" for port in self._fronts)

    @override
    def _more(self, node: int) -> str:
        return _PROXIED.format(front=self._fronts[node - 1], behind=self._behind[node - 1]).format(
            port=self._ports[node - 1], controller=self._ports[node + 2]
        )

    @override
    def disturb(self) -> None:
        for proxy in self._proxies:
            proxy.serve()

    @override
    def calm(self) -> None:
        for proxy in self._proxies:
            proxy.calm()
            self.faults.update(proxy.troubles)
