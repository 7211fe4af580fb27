"""FASTPATH_ISA forces a level, and an impossible one stops the import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import fastpath

LEVELS = ("scalar", "avx2", "avx512")


def level_of(forced: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import fastpath; print(fastpath.ISA)"],
        env={**os.environ, "FASTPATH_ISA": forced},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("forced", LEVELS)
def test_a_level_is_forced_or_refused(forced: str) -> None:
    best = level_of("").stdout.strip()
    run = level_of(forced)
    if LEVELS.index(forced) <= LEVELS.index(best):
        assert run.stdout.strip() == forced
    else:
        assert f"this machine has no {forced}" in run.stderr


def test_an_unknown_level_is_refused() -> None:
    assert "one of scalar, avx2, avx512 is due, not 'sse'" in level_of("sse").stderr


def test_this_run_uses_a_known_level() -> None:
    assert fastpath.ISA in LEVELS
