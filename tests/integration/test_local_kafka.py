"""The development broker leaves nothing behind and disturbs no other."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from deploy.local.broker import FOLDER, serving
from tests.support import requirements
from tests.support.deployment import ROOT, wait_for

pytestmark = pytest.mark.broker


@pytest.fixture(autouse=True)
def _tools() -> None:
    requirements.require("java")
    requirements.require("mvn")


def start(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "deploy.local", "--heap", "384m", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if line.startswith("{"):
        servers = json.loads(line)["bootstrap_servers"]
    else:
        servers = line.split(" at ")[1].split(";")[0]
    return process, int(servers.rsplit(":", 1)[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def folders(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"{FOLDER}{pid}-*"))


def close(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()


def test_a_signal_stops_it_and_removes_its_data() -> None:
    process, port = start()
    assert listens(port)
    assert len(folders(process.pid)) == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not listens(port)
    assert folders(process.pid) == []
    close(process)


def test_the_end_of_its_parent_stops_it() -> None:
    process, port = start("--with-parent")
    assert process.stdin is not None
    process.stdin.close()  # what the kernel does when the parent is killed
    assert process.wait(60) == 0
    assert not listens(port)
    assert folders(process.pid) == []
    assert process.stdout is not None
    process.stdout.close()


def test_a_kill_leaves_no_broker_and_the_next_start_sweeps() -> None:
    process, port = start()
    (broker,) = [
        child for child in psutil.Process(process.pid).children() if "java" in child.name()
    ]
    process.kill()
    process.wait()
    close(process)
    gone = lambda: not broker.is_running() or broker.status() == "zombie"  # noqa: E731
    wait_for(gone, "the broker ends")
    wait_for(lambda: not listens(port), "its port is free")
    assert len(folders(process.pid)) == 1
    with serving("384m") as servers:
        assert listens(int(servers.rsplit(":", 1)[1]))
        assert folders(process.pid) == []


def test_two_run_side_by_side() -> None:
    with serving("384m") as one, serving("384m") as two:
        assert one != two
        assert all(listens(int(each.rsplit(":", 1)[1])) for each in (one, two))
