"""Keep results: `record/<machine>/<date>-<name>.json` beside a page of analysis."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parent / "record"


class RecordError(Exception):
    """Report records that are missing or must not be compared."""


def write(document: Mapping[str, Any], analysis: str, root: Path = RECORDS) -> Path:
    """Write a record and its page; an older one of the same day is replaced.

    Raises:
        RecordError: the run is quick or was wrong; neither is worth keeping.
    """
    if document["quick"] or not document["outputs_equal"]:
        raise RecordError(f"{document['name']}: only a full run with equal outputs is recorded")
    folder = root / document["machine"]["slug"]
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC).date()}-{document['name'].replace('/', '-')}"
    path = folder / f"{stem}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page(document, analysis), encoding="utf-8")
    return path


def page(document: Mapping[str, Any], analysis: str) -> str:
    """Write the short page beside a record: figures, goals, and what they mean."""
    versions = document["versions"]
    lines = [f"# {document['name']}", ""]
    lines += ["| engine | figure | median | range | repeats |", "| --- | --- | --- | --- | --- |"]
    for engine, figures in document["engines"].items():
        for figure, values in figures.items():
            if values:
                low, high = number(min(values)), number(max(values))
                middle = number(statistics.median(values))
                lines.append(
                    f"| {engine} | {figure} | {middle} | {low} to {high} | {len(values)} |"
                )
    if document["goals"]:
        lines += ["", "| goal | want | got | met |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {goal['goal']} | {goal['want']} | {number(goal['got'])} | "
            f"{'yes' if goal['met'] else 'no'} |"
            for goal in document["goals"]
        ]
    machine = document["machine"]
    lines += [
        "",
        f"{machine['model']}, {machine['cores']} cores, kernels {machine['isa']}, load average at "
        f"the start {machine['load_average'][0]}; revision {versions['revision']}, Python "
        f"{versions['python']}. Counts: {document['counts']}.",
    ]
    if analysis.strip():
        lines += ["", analysis.strip()]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Write a figure with as many digits as it deserves."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def read(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises:
        RecordError: there is none, or it is no record.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: {error}") from None
    if "definition_digest" not in document:
        raise RecordError(f"{path}: is no record of a benchmark")
    return document


def latest(root: Path = RECORDS) -> list[dict[str, Any]]:
    """Return the newest record of each benchmark and machine, by machine and name."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted(root.glob("*/*.json")):
        document = read(path)
        newest[document["machine"]["slug"], document["name"]] = document
    return [newest[key] for key in sorted(newest)]


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Set two records side by side: engine, figure, both medians, and the change.

    A change smaller than the overlap of the two ranges is reported as none.

    Raises:
        RecordError: they are of different benchmarks, definitions or machines.
    """
    for what, one, other in (
        ("benchmark", first["name"], second["name"]),
        ("definition", first["definition_digest"], second["definition_digest"]),
        ("machine", first["machine"]["slug"], second["machine"]["slug"]),
        ("inputs", first["inputs"], second["inputs"]),
    ):
        if one != other:
            raise RecordError(f"not comparable, another {what}: {one} and {other}")
    rows: list[tuple[str, ...]] = []
    for engine, figures in first["engines"].items():
        for figure, values in figures.items():
            others = second["engines"].get(engine, {}).get(figure)
            if values and others:
                rows.append((engine, figure, *_change(values, others)))
    return rows


def _change(before: Sequence[float], after: Sequence[float]) -> tuple[str, str, str]:
    old, new = statistics.median(before), statistics.median(after)
    overlap = min(max(before), max(after)) - max(min(before), min(after))
    none = abs(new - old) <= max(overlap, 0)
    change = "none" if none or not old else f"{(new - old) / old:+.1%}"
    return number(old), number(new), change
