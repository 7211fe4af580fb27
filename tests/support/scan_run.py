"""Run a scan in this process, as `weir scan` composes it, and read its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import orjson

from worker import runtime
from worker.settings_load import load_settings

Record = dict[str, Any]


class Results(NamedTuple):
    signals: list[Record]
    actions: list[Record]
    campaigns: list[Record]
    shadow: list[Record]
    dead_letters: list[Record]
    summary: Record


def scan(posts: Path, bundle: Path, out: Path, **settings: object) -> Results:
    """Judge a file of posts; settings are named with dots, `screen.backend` for one."""
    flags = {"enforce.act_after": "none", "bundle": bundle, **settings}
    runtime.build_scan(load_settings(flags=flags).settings, str(posts), out).run()
    read = {name: _records(out / f"{name}.ndjson") for name in ("signals", "actions", "campaigns")}
    return Results(
        **read,
        shadow=_records(out / "shadow.ndjson"),
        dead_letters=_records(out / "dlq.ndjson"),
        summary=orjson.loads((out / "summary.json").read_bytes()),
    )


def _records(path: Path) -> list[Record]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
