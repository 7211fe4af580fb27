"""Keep what the fault suite has been through: every run in record.json, and the sums of all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("record.json")


def add(document: dict[str, Any], path: Path = RECORD) -> None:
    """Append one run; a run with violations is kept like any other."""
    runs = read(path)
    runs.append(document)
    lines = ",\n".join(json.dumps(run) for run in runs)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read(path: Path = RECORD) -> list[dict[str, Any]]:
    """Give every run kept so far, oldest first."""
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def totals(runs: list[dict[str, Any]]) -> str:
    """Sum up all runs, in lines for people."""
    sums: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    stops: Counter[str] = Counter()
    for run in runs:
        sums.update({name: value for name, value in run.items() if isinstance(value, int)})
        kills.update(run["kills"])
        stops.update(run["stops"])
    counted = ", ".join(
        f"{name} {sums[name]}"
        for name in ("posts", "restarts", "transactions", "aborted", "violations")
    )
    return "\n".join(
        [
            f"{len(runs)} runs: {counted}, kills {kills.total()}, stops {stops.total()}",
            f"kills by failpoint: {shown(kills)}",
            f"stops by failpoint: {shown(stops)}",
        ]
    )


def shown(counter: Counter[str]) -> str:
    """Give counts by name in one line."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"
