"""Keep what was run, by the code that it was run on: one file, committed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from tests.simulation.runs import Totals

ROOT = Path(__file__).parent.parent.parent
# What a seed's outcome depends on; another version of any of it is other code.
_MODEL = (
    *("brokers", "client", "counting", "guards", "invariants", "process", "real", "sabotage"),
    "world",
)
CODE = (
    *("worker/engine", "worker/state", "worker/stages", "fastpath/changelog.pyx"),
    *(f"tests/simulation/{name}.py" for name in _MODEL),
)


class Held(NamedTuple):
    """Say how far the seeds of the present code were run."""

    code: str  # as it was when the run began
    next_seed: int
    entry: dict[str, Any]


def code() -> str:
    """Name the code: a digest over its files."""
    digest = hashlib.sha256()
    for name in CODE:
        path = ROOT / name
        for each in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(each.relative_to(ROOT).as_posix().encode() + b"\0" + each.read_bytes())
    return digest.hexdigest()[:12]


def read(path: Path) -> Held:
    """Return what the file holds for this code; nothing yet is a start at 0."""
    now = code()
    entry = _all(path).get(now, {"seeds": 0, "next_seed": 0, "violating": [], "seen": {}})
    return Held(now, entry["next_seed"], entry)


def write(path: Path, held: Held, totals: Totals) -> None:
    """Replace this code's entry by what was held before and the totals since."""
    seen = {name: held.entry["seen"].get(name, 0) + n for name, n in totals.seen.items()}
    every = _all(path)
    every[held.code] = {
        "seeds": held.entry["seeds"] + totals.seeds,
        "next_seed": held.next_seed + totals.seeds,
        "violating": held.entry["violating"] + [seed for seed, _ in totals.failures],
        "seen": held.entry["seen"] | dict(sorted(seen.items())),
    }
    path.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


def _all(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
