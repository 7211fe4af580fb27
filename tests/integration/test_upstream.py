"""Each defect of the client that docs/upstream states: the stock client has it, a patched copy not.

A client that has lost a defect fails here too: then a guard may go.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kafka
import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.local.broker import LocalKafka
from tests.support import requirements
from tests.support.deployment import ROOT

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

UPSTREAM = ROOT / "docs" / "upstream"
SCRIPTS = sorted(UPSTREAM.glob("*.py"))
HANG_S = 120  # generous: the longest script gives up after 105 s by itself
ATTEMPTS = 3  # some defects are races: a stock client that wins one shows it at the next try


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalKafka]:
    """Give a broker of their own: one of the scripts stops it for a moment."""
    requirements.require("java")
    requirements.require("mvn")
    started = LocalKafka(heap="512m")
    servers = started.start()
    try:
        admin = KafkaAdminClient(bootstrap_servers=servers)
        admin.create_topics([NewTopic("reproduction", 4, 1)])
        admin.close()
        yield started
    finally:
        started.stop()


def patch_of(script: Path) -> Path:
    return UPSTREAM / f"{script.stem.replace('_', '-')}.patch"


def reproduce(script: Path, broker: LocalKafka, packages: Path) -> subprocess.CompletedProcess[str]:
    assert broker.process is not None
    command = [sys.executable, str(script), broker.bootstrap_servers, str(broker.process.pid)]
    return subprocess.run(
        command,
        cwd=packages,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def copied(folder: Path) -> Path:
    """Copy the installed client, so that both clients are run in the same way."""
    shutil.copytree(Path(kafka.__file__).parent, folder / "kafka")
    return folder


def test_every_script_has_its_patch() -> None:
    assert len(SCRIPTS) == 6
    assert {patch_of(script) for script in SCRIPTS} == set(UPSTREAM.glob("*.patch"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_stock_client_shows_the_defect(
    broker: LocalKafka, tmp_path: Path, script: Path
) -> None:
    packages = copied(tmp_path)
    for _ in range(ATTEMPTS):
        ran = reproduce(script, broker, packages)
        if ran.returncode == 1:
            break
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "DEFECT" in ran.stdout or "Timeout (" in ran.stderr, ran.stdout + ran.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_patched_copy_does_not(broker: LocalKafka, tmp_path: Path, script: Path) -> None:
    packages = copied(tmp_path)
    command = [requirements.require("patch"), "-s", "-p1", "-d", str(packages)]
    subprocess.run([*command, "-i", str(patch_of(script))], check=True)
    ran = reproduce(script, broker, packages)
    assert ran.returncode == 0, ran.stdout + ran.stderr
