"""The record of executions adds up over runs."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import record
from tests.fuzz.record import Count


def test_runs_add_up(tmp_path: Path) -> None:
    path = tmp_path / "record.md"
    record.add("json", Count(1_200_000, 812, "aaaa111"), path)
    record.add("urls", Count(5, 3, "aaaa111"), path)
    record.add("json", Count(34, 815, "bbbb222"), path)
    assert record.read(path.read_text()) == {
        "json": Count(1_200_034, 815, "bbbb222"),
        "urls": Count(5, 3, "aaaa111"),
    }
    assert path.read_text().endswith("\n1,200,039 in all.\n")
