"""`weir explain` shows the lanes that ran, of those that a list reads."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.support.bundles import write_bundle
from tests.support.command import weir

TEXT = "st0rm the hаll"  # a zero, and a Cyrillic letter


@pytest.mark.parametrize(
    ("lanes", "text", "shown"),
    [
        ("folded", TEXT, ["raw", "folded", "compared"]),
        ("folded, skeleton", TEXT, ["raw", "folded", "skeleton", "compared"]),
        ("folded, squeezed", TEXT, ["raw", "folded", "squeezed", "compared"]),
        ("folded, squeezed", "the hall", ["raw", "folded", "compared"]),
    ],
    ids=["folded", "skeleton", "squeezed", "squeezed-did-not-run"],
)
def test_lanes_that_ran_are_shown(tmp_path: Path, lanes: str, text: str, shown: list[str]) -> None:
    bundle = write_bundle(tmp_path, {"lanes: [folded]": f"lanes: [{lanes}]"})
    post = {"id": "1", "account": {"id": "a"}, "created_at": 1_700_000_000_000, "text": text}
    ran = weir("explain", "-", "--bundle", bundle, "--output", "json", stdin=orjson.dumps(post))
    assert ran.code == 0, ran.err
    explained = orjson.loads(ran.out)
    assert list(explained["lanes"]) == shown
    found = [(each["lane"], each["entry"]) for each in explained["matches"]]
    seen = [(lane, "storm the hall") for lane in ("skeleton", "squeezed") if lane in shown]
    assert found == seen
