"""The shipped sample: rebuilt from its data, and holding what its attribution says."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fastpath.slow_path import Canonical, Rejected, canonicalize
from tests.support.requirements import require_shared

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "example"
SAMPLE = EXAMPLE / "posts.ndjson.gz"


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return gzip.decompress(SAMPLE.read_bytes()).splitlines()


@pytest.mark.shared
def test_rebuild_gives_the_same_bytes(tmp_path: Path) -> None:
    """Compared unpacked: how well a zlib packs is no property of the sample."""
    data = require_shared("data/README.md").parent
    rebuilt = tmp_path / "posts.ndjson.gz"
    command = [sys.executable, str(EXAMPLE / "build_sample.py"), str(data), str(rebuilt)]
    subprocess.run(command, check=True, capture_output=True)
    assert gzip.decompress(rebuilt.read_bytes()) == gzip.decompress(SAMPLE.read_bytes())


def test_size(lines: list[bytes]) -> None:
    assert len(lines) == 8_583
    assert SAMPLE.stat().st_size < 1_500_000


def test_posts_are_sorted_and_dead_letters_are_few(lines: list[bytes]) -> None:
    results = [canonicalize(line) for line in lines]
    reasons = Counter(r.reason for r in results if isinstance(r, Rejected))
    assert reasons == {
        "json_invalid": 3,
        "field_missing": 2,
        "field_type": 2,
        "id_out_of_range": 1,
        "encoding_invalid": 1,
        "json_too_deep": 1,
    }
    posts = [r.post for r in results if isinstance(r, Canonical)]
    times = [post["created_at"] for post in posts if "created_at" in post]
    assert times == sorted(times)
    assert len(posts) - len(times) == 1
    assert not any(r.duplicate_key for r in results if isinstance(r, Canonical))


def test_attribution_counts(lines: list[bytes]) -> None:
    """The counts that ATTRIBUTION.md gives are those of the file."""
    text = (EXAMPLE / "ATTRIBUTION.md").read_text(encoding="utf-8")
    posts = [r.post for line in lines if isinstance(r := canonicalize(line), Canonical)]
    made_up = sum(str(post["account"]["id"]).startswith("syn_") for post in posts)
    assert f"{len(lines):,} lines" in text
    assert f"named `syn_…`, {made_up - 1} posts and deletes" in text
