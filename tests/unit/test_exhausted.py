"""A process without file descriptors: nobody's setting is at fault, and a restart may mend it."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import write_bundle
from tests.support.deployment import ROOT
from worker.policy.bundle import load_bundle
from worker.settings import Settings

RUN = """
import json, os, resource, sys
from worker import runtime
from worker.settings import Settings
settings = Settings(**json.loads(sys.argv[1]))
most = len(os.listdir("/proc/self/fd")) - 1  # without the one that listing takes
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
sys.exit(runtime.run(settings, ["screen"]))
"""


@contextlib.contextmanager
def no_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_secret_that_cannot_be_opened_for_want_of_files_is_no_setting(tmp_path: Path) -> None:
    file = tmp_path / "deployment.key"
    file.write_text("5a" * 32)
    settings = Settings(deployment_key_file=file)
    with no_files(), pytest.raises(OSError, match="Too many open files"):
        settings.deployment_key()


def test_a_bundle_that_cannot_be_opened_for_want_of_files_is_not_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    load_bundle(folder)
    with no_files(), pytest.raises(OSError, match="Too many open files"):
        load_bundle(folder)


def test_a_worker_without_files_ends_with_70_and_says_where(tmp_path: Path) -> None:
    settings = f'{{"bundle": "{tmp_path}", "health": {{"port": 0}}}}'
    done = subprocess.run(
        [sys.executable, "-c", RUN, settings],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 70, done.stderr
    assert '"event": "failed"' in done.stdout
    assert "OSError at" in done.stdout
    assert not done.stderr
