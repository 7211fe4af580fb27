"""The short form of the fault suite: kills and stops all along, then the invariants."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.run import run
from tests.support import requirements

pytestmark = [pytest.mark.broker, pytest.mark.timeout(1_800)]

POSTS, KILLS = 200_000, 60


def test_kills_and_stops_lose_and_repeat_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements.require("java")
    requirements.require("mvn")
    report = run(tmp_path, seed=1, posts=POSTS, wanted=KILLS)
    with capsys.disabled():
        sys.stdout.write(f"\n{report.text()}\n")
    assert not report.violations
    assert not report.untried
    assert report.kills >= KILLS
    assert report.posts == POSTS
    assert report.tally.stops.total() > 0
    assert report.aborted > 0, "some process must have died with a transaction open"
