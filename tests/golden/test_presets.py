"""Documents as each platform writes them, and the canonical posts they become.

tests/golden/presets/<preset>.json is written and reviewed by hand; a case holds either the
canonical post or the reason and error of its rejection.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastpath.field_maps import PRESETS, load_field_map
from fastpath.slow_path import Canonical, Rejected, canonicalize

FOLDER = Path(__file__).parent / "presets"
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['case']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]


def test_every_preset_has_cases() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(PRESETS)


@pytest.mark.parametrize(("preset", "case"), CASES)
def test_case(preset: str, case: dict[str, Any]) -> None:
    value = json.dumps(case["document"], ensure_ascii=False).encode()
    result = canonicalize(value, load_field_map(preset))
    if "rejected" in case:
        assert result == Rejected(**case["rejected"])
        return
    assert isinstance(result, Canonical), result
    assert result.post == case["canonical"]
    # Key order is part of the form.
    assert json.dumps(result.post) == json.dumps(case["canonical"])
    assert canonicalize(result.data) == Canonical(result.post, result.data, duplicate_key=False)


def test_every_source_of_every_preset_is_read() -> None:
    """A source that no case reaches would be a claim nobody checked: each target is covered."""
    for preset in PRESETS:
        cases = json.loads((FOLDER / f"{preset}.json").read_text(encoding="utf-8"))
        reached = {
            name for case in cases if "canonical" in case for name in _leaves(case["canonical"])
        }
        targets = {target for target in PRESETS[preset] if not target.startswith("scores")}
        assert targets <= reached, preset


def _leaves(post: dict[str, Any], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for name, value in post.items():
        names.add(prefix + name)
        members = value if isinstance(value, list) else [value]
        for member in members:
            if isinstance(member, dict):
                names |= _leaves(member, f"{prefix}{name}.")
    return names
