"""The pieces of the fault suite: what they plan, how they fork, what their proxy does."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.broker import free_ports
from fastpath.records import BatchView
from tests.faults import record
from tests.faults.faults import (
    LONG_STOPS_S,
    POINTS,
    halts,
    kills,
    leaves,
    pauses,
    place_of_crash,
    stands,
    starves,
    steps,
    storms,
)
from tests.faults.feed import AHEAD, LEAST, MOST, Feed
from tests.faults.proxy import TROUBLES, Proxy
from tests.faults.scenarios import SCENARIOS, renew
from tests.faults.takeover import Return, Takeover, returned, taken_over
from tests.support.deployment import ROOT
from tests.support.forks import ForkedWorker
from worker.policy.bundle import load_bundle
from worker.transport.kafka.loader import Loaded

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
    assert {fault.kind for fault in itertools.islice(stands("1 a"), 2)} == {"serve"}
    assert {fault.kind for fault in itertools.islice(leaves("1 b"), 20)} == {"away", "kill"}
    halted = list(itertools.islice(halts("1 b"), len(POINTS)))
    assert {fault.point for fault in halted} == {point for point, _ in POINTS}
    assert {fault.seconds for fault in halted} == {*LONG_STOPS_S}
    assert {fault.point for fault in itertools.islice(starves("1 b"), 2)} == {"memory", "files"}


def test_a_crash_is_told_by_the_line_of_python_that_led_to_it(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    lines = "import faulthandler", "def cite(): faulthandler._sigsegv()", "cite()"
    with log.open("wb") as out:
        command = [sys.executable, "-X", "faulthandler", "-c", "\n".join(lines)]
        done = subprocess.run(command, stdout=out, stderr=out, check=False)
    assert done.returncode == -signal.SIGSEGV
    assert place_of_crash(log) == "<string>:2 in cite"


def test_another_bundle_has_another_digest_and_the_same_rules(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    start = SCENARIOS["bundles"].start
    assert start(bundle, 0) == {}
    first, other = load_bundle(bundle), load_bundle(start(bundle, 1)["bundle"])
    assert first.digest != other.digest
    assert first.policies == other.policies


def test_a_bundle_is_renewed_in_place_again_and_again(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    loaded = [load_bundle(bundle)]
    for number in (1, 2):
        renew(bundle, number)
        loaded.append(load_bundle(bundle))
    assert len({each.digest for each in loaded}) == 3
    assert loaded[0].policies == loaded[1].policies == loaded[2].policies
    assert sorted(BUNDLE.rglob("*")) == [
        BUNDLE / path.relative_to(bundle) for path in sorted(bundle.rglob("*"))
    ]


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


EVENTS: list[dict[str, object]] = [
    {"event": "partitions_revoked", "stage": "screen", "time": "2026-01-01T00:00:05Z"},
    {"event": "partitions_revoked", "stage": "screen", "time": "2026-01-01T00:00:20Z"},
    {
        "event": "partitions_assigned", "stage": "screen", "time": "2026-01-01T00:00:21Z",
        "seconds": 1.0,
    },
    {
        "event": "partition_restored", "stage": "screen", "time": "2026-01-01T00:00:22Z",
        "mode": "warm", "seconds": 1.0, "waited": 0.0,
    },
    {
        "event": "partition_restored", "stage": "screen", "time": "2026-01-01T00:00:27Z",
        "mode": "cold", "seconds": 6.0, "waited": 4.5,
    },
    {
        "event": "partition_restored", "stage": "screen", "time": "2026-01-01T00:00:59Z",
        "mode": "cold", "seconds": 6.0, "waited": 4.5,
    },
]  # fmt: skip


def test_a_takeover_is_split_into_its_parts() -> None:
    ended = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC).timestamp()
    assert taken_over(EVENTS, ended, ended + 30) == [Takeover(10.0, 1.0, 4.5, 14.5, 1.5, 17.0)]
    assert returned(EVENTS, ended) == Return(11.0, 1.0)
    assert returned(EVENTS[:2], ended) is None


def test_the_documentation_says_which_scenarios_have_passed() -> None:
    text = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"has been seen to pass: (.*?)\. ", text)
    passed = {run.get("scenario", "usual") for run in record.read() if not run["violations"]}
    assert set(re.findall(r"`([a-z-]+)`", told)) == passed


class FakeLoader:
    """Take what a feed loads."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def load(self, views: Iterable[BatchView]) -> Loaded:
        self.sizes += map(len, views)
        return Loaded(self.sizes[-1])


def test_a_feed_goes_as_fast_as_processes_end_and_loads_every_line() -> None:
    loader = FakeLoader()
    feed = Feed(loader, iter([b"{}"] * 10_000), posts=10_000, wanted=7)
    feed.load(0)
    feed.load(0)
    assert loader.sizes == [MOST, 10_000 * AHEAD // (7 + AHEAD) - MOST]
    feed.load(0)
    assert loader.sizes[-1] == LEAST, "nothing is due, and nobody shall be without work"
    for _ in range(10):
        feed.load(7 - 1)
    assert not feed.empty, "the last end finds work as well"
    feed.load_rest()
    assert feed.empty
    assert feed.written == sum(loader.sizes) == 10_000


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
