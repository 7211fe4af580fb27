"""Posts of other platforms through the whole scan, on both backends: what the field maps find is
what the lists are searched for, and what they refuse is a dead letter with its own bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from fastpath.field_maps import PRESETS
from tests.support.scan_run import scan

PRESET_CASES = Path(__file__).parent / "presets"
BUNDLE = """\
name: anything
revision: 1
enforcement: live
policies:
  everything:
    clause: https://example.org/rules#all
    rules:
      - {id: seen, on: post, when: post.text_length >= 0, post_action: label, ungated: true}
"""


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_case(preset: str, backend: str, tmp_path: Path) -> None:
    cases = json.loads((PRESET_CASES / f"{preset}.json").read_text(encoding="utf-8"))
    lines = [json.dumps(case["document"], ensure_ascii=False).encode() for case in cases]
    (tmp_path / "posts.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    settings = {"input.preset": preset, "screen.backend": backend}
    results = scan(tmp_path / "posts.ndjson", tmp_path / "bundle", tmp_path / "out", **settings)

    posts = [case.get("canonical") for case in cases]
    # A file has no other clock than created_at; a delete needs none.
    placed = [p is not None and ("created_at" in p or p["op"] == "delete") for p in posts]
    dead = {r["origin"]["line"]: r for r in results.dead_letters}
    assert set(dead) == {line for line, is_placed in enumerate(placed, 1) if not is_placed}
    for line, record in dead.items():
        assert base64.b64decode(record["raw"]) == lines[line - 1]
        rejected = cases[line - 1].get("rejected", {"reason": "field_missing"})
        assert record["reason"] == rejected["reason"]
    live = [p for p, is_placed in zip(posts, placed, strict=True) if is_placed]
    expected = [(p["account"]["id"], p["id"], p["revision"]) for p in live if p["op"] != "delete"]
    found = [r for r in results.signals if r["kind"] == "signal"]
    assert [(r["account"]["id"], r["post"]["id"], r["post"]["revision"]) for r in found] == expected
