"""What the pages under docs/ claim in examples is run; what they list is compared with the code."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from fastpath.field_maps import PRESETS, load_field_map
from fastpath.schema_functions import FUNCTIONS
from fastpath.spec import MAX_DEPTH, MAX_ID_BYTES, MAX_MEDIA, MAX_URLS, REJECT_REASONS
from worker.domain.dead_letter import Reason

DOCS = Path(__file__).resolve().parents[2] / "docs"
POSTS = (DOCS / "posts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["time-and-identity.md"])
def test_examples(page: str) -> None:
    result = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8")
    assert result.attempted > 10
    assert result.failed == 0


def test_posts_page_lists_every_reason() -> None:
    section = POSTS.split("## Dead letters")[1].split("## ")[0]
    listed = {word for row in re.findall(r"^\| (`.*?) \|", section, re.M) for word in _code(row)}
    assert listed == {reason.value for reason in Reason}
    assert set(REJECT_REASONS) <= listed


def test_posts_page_lists_every_preset_and_function() -> None:
    section = POSTS.split("## Other schemas")[1]
    presets, _, rest = section.partition("### ")
    assert set(re.findall(r"^\| `(\w+)` \|", presets, re.M)) == set(PRESETS)
    named = set(re.findall(r"`(\w+)\(", rest))
    assert named == {*FUNCTIONS, "where", "create", "edit", "delete"}


def test_posts_page_states_the_limits() -> None:
    assert f"first {MAX_URLS} URLs" in POSTS
    assert f"first {MAX_MEDIA} are looked up" in POSTS
    assert f"1 to {MAX_ID_BYTES} bytes" in POSTS
    assert f"more than {MAX_DEPTH} brackets" in POSTS


def test_field_map_example_loads() -> None:
    example = POSTS.split("field_map:\n")[1].split("```")[0]
    entries = re.findall(r"^ +([\w.]+): \[(.*)\]$", example, re.M)
    overrides = {name: re.findall(r'"([^"]+)"|([^",\s][^,]*)', listed) for name, listed in entries}
    sources = {name: ["".join(pair) for pair in pairs] for name, pairs in overrides.items()}
    assert len(sources) == 4
    assert load_field_map("osprey", sources) is not None


def _code(row: str) -> list[str]:
    return re.findall(r"`(\w+)`", row)
