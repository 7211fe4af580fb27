"""A missing tool is skipped loudly, or fails; it never passes."""

from __future__ import annotations

import pytest
from _pytest.outcomes import Failed, Skipped

from tests.support import requirements


@pytest.fixture(autouse=True)
def _no_tool_and_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "missing", {})
    monkeypatch.setattr(requirements.shutil, "which", lambda *_args, **_kwargs: None)


def test_a_missing_tool_skips_and_is_listed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(requirements.REQUIRE_ALL, raising=False)
    with pytest.raises(Skipped, match="helm is missing"):
        requirements.require("helm")
    assert requirements.summary()[1:] == [f"  helm: {requirements.HOW_TO_GET['helm']}"]


def test_a_missing_tool_fails_where_all_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(requirements.REQUIRE_ALL, "1")
    with pytest.raises(Failed, match="helm is missing"):
        requirements.require("helm")


def test_missing_data_is_treated_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(requirements.REQUIRE_ALL, raising=False)
    with pytest.raises(Skipped, match="shared/no/such/file is missing"):
        requirements.require_shared("no/such/file")


def test_nothing_missing_says_nothing() -> None:
    assert requirements.summary() == []
