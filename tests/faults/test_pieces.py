"""The pieces of the fault suite: what they plan, how they fork, what their proxy does."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import threading
from pathlib import Path

import pytest

from deploy.local.broker import free_ports
from tests.faults.faults import POINTS, kills, pauses, steps, storms
from tests.faults.proxy import TROUBLES, Proxy
from tests.faults.scenarios import SCENARIOS
from tests.support.deployment import ROOT
from tests.support.forks import ForkedWorker
from worker.policy.bundle import load_bundle

BUNDLE = ROOT / "deploy" / "example" / "bundle"


def test_every_point_comes_up_in_every_round_of_kills() -> None:
    chosen = list(itertools.islice(kills("1 a"), 2 * (len(POINTS) + 1)))
    assert {fault.point for fault in chosen} == {"", *(point for point, _ in POINTS)}
    assert chosen == list(itertools.islice(kills("1 a"), len(chosen)))
    assert chosen != list(itertools.islice(kills("2 a"), len(chosen)))


def test_the_plans_hold_what_they_are_named_for() -> None:
    assert {"stop", "twin", "away"} < {f.kind for f in itertools.islice(pauses("1 c"), 8)}
    stormy = list(itertools.islice(storms("1 b"), 20))
    assert "in_revoke" in {fault.point for fault in stormy}
    assert any(fault.fresh for fault in stormy)
    assert {fault.kind for fault in itertools.islice(steps("1 a"), 5)} == {"serve"}


def test_another_bundle_has_another_digest_and_the_same_rules(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    start = SCENARIOS["bundles"].start
    assert start(bundle, 0) == {}
    first, other = load_bundle(bundle), load_bundle(start(bundle, 1)["bundle"])
    assert first.digest != other.digest
    assert first.policies == other.policies


def test_a_fork_is_a_process_of_its_own_and_tells_how_it_ended(tmp_path: Path) -> None:
    missing = ForkedWorker(("", str(tmp_path / "none.yaml"), "screen"), tmp_path / "log")
    assert missing.pid != os.getpid()
    assert missing.wait(60) == 1
    assert "none.yaml" in (tmp_path / "log").read_text()
    killed = ForkedWorker(("", str(tmp_path / "none.yaml"), "screen"), tmp_path / "log")
    killed.send_signal(signal.SIGSTOP)
    killed.kill()
    assert killed.wait(60) in (-signal.SIGKILL, 1)  # it may have been faster
    assert killed.poll() == killed.returncode is not None


class Echo(threading.Thread):
    """Send back what one connection after the other sends."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])

    def run(self) -> None:
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(4_096):
                connection.sendall(data)


@pytest.mark.parametrize("trouble", ["none", "slow", "sliced"])
def test_a_proxy_forwards_every_byte(trouble: str) -> None:
    echo = Echo()
    echo.start()
    (port,) = free_ports(1)
    proxy = Proxy(port, echo.port, "1", (trouble,))
    proxy.serve()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        one.sendall(bytes(range(250)))
        got = b""
        while len(got) < 250:
            got += one.recv(4_096)
    assert got == bytes(range(250))
    assert proxy.troubles[trouble] >= 1
    proxy.calm()


def test_a_proxy_cuts_what_stands() -> None:
    echo = Echo()
    echo.start()
    (port,) = free_ports(1)
    proxy = Proxy(port, echo.port, "1", ("cut",))
    proxy.serve()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as one:
        one.sendall(b"x")
        assert one.recv(1) == b"x"
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(1) == b"", "the next trouble cuts the connection"
    proxy.calm()
    assert set(TROUBLES) >= {"cut", "hold", "one way"}
