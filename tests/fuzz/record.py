"""Keep count of executions in record.md, over many runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

RECORD = Path(__file__).with_name("record.md")
HEAD = """# Executions of the fuzz targets

Written by `python -m tests.fuzz --record` (`make fuzz`): executions under ASan and UBSan since the
beginning, edges of the core reached in the last run, and the commit it ran on.

| target | executions | edges | commit |
| --- | ---: | ---: | --- |
"""
_ROW = re.compile(r"^\| (\w+) \| ([\d,]+) \| ([\d,]+) \| (\S+) \|$", re.M)


@dataclass(frozen=True)
class Count:
    """What one target has seen: executions, edges of the core, the commit of the last run."""

    executions: int
    edges: int
    commit: str


def read(text: str) -> dict[str, Count]:
    """Read the table of a record."""
    return {
        name: Count(int(runs.replace(",", "")), int(edges.replace(",", "")), commit)
        for name, runs, edges, commit in _ROW.findall(text)
    }


def written(counts: dict[str, Count]) -> str:
    """Write a record with the sum below its table."""
    rows = "".join(
        f"| {name} | {count.executions:,} | {count.edges:,} | {count.commit} |\n"
        for name, count in sorted(counts.items())
    )
    return f"{HEAD}{rows}\n{sum(count.executions for count in counts.values()):,} in all.\n"


def add(target: str, run: Count, path: Path = RECORD) -> None:
    """Add one run to the record."""
    counts = read(path.read_text(encoding="utf-8")) if path.exists() else {}
    before = counts.get(target, Count(0, 0, ""))
    counts[target] = replace(run, executions=before.executions + run.executions)
    path.write_text(written(counts), encoding="utf-8")
