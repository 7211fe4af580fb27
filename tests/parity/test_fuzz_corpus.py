"""Inputs that once failed under the fuzzer run here too, on whatever build the suite runs on."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
KEPT = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


def test_there_are_kept_inputs() -> None:
    assert KEPT


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_that_once_failed(kept: Path) -> None:
    target = importlib.import_module(f"tests.fuzz.fuzz_{kept.parent.name}")
    target.test_one(kept.read_bytes())
