"""Make a long stream of posts out of the shipped sample: seeded, of real shapes, in order of time.

The sample is repeated, each time later. About half of its accounts come back under their names, so
that strikes and warnings last from round to round; the others are new ones every time.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "example" / "posts.ndjson.gz"
ROUND_MS = 200_000_000  # longer than the sample's 2.1 days: rounds never overlap


def posts(seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` lines, the same for the same seed; some are no posts, as in the sample."""
    with gzip.open(SAMPLE, "rb") as lines:
        sample = lines.read().splitlines()
    made = 0
    number = 0
    while made < count:
        chosen = random.Random(f"{seed} {number}")
        names: dict[str, str] = {}
        for line in sample[: count - made]:
            yield _later(line, number, names, chosen)
        made += len(sample)
        number += 1


def _later(line: bytes, number: int, names: dict[str, str], chosen: random.Random) -> bytes:
    """Move one post into round `number`; what is no post stays as it is."""
    try:
        post = json.loads(line.decode(), parse_constant=lambda _: 1 / 0)
        account = post["account"]
        name, identity, time = account["id"], post["id"], post["created_at"]
    except (ValueError, TypeError, KeyError, ZeroDivisionError):
        return line
    if not isinstance(name, str) or not isinstance(identity, str):
        return line
    if name not in names:
        names[name] = name if chosen.random() < 0.5 else f"{name}.{number}"
    account["id"] = names[name]
    post["id"] = f"{identity}.{number}"
    post["created_at"] = _shifted(time, number)
    if account.get("created_at") is not None:
        account["created_at"] = _shifted(account["created_at"], number)
    return json.dumps(post, separators=(",", ":")).encode()


def _shifted(time: Any, number: int) -> Any:
    if isinstance(time, int):
        return time + number * ROUND_MS
    moment = datetime.fromisoformat(time) + timedelta(milliseconds=number * ROUND_MS)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
