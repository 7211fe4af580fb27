"""Say once what happens when a test needs something this machine lacks.

Without the tool a test is skipped, and the end of the run lists what was missing and how to get
it. With WEIR_REQUIRE_ALL=1 (continuous integration) the same test fails instead, so that nothing
can go untested unseen.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

HOW_TO_GET: dict[str, str] = {
    "java": "JDK 17: apt install openjdk-17-jdk-headless",
    "mvn": "Maven: apt install maven",
    "patch": "patch: apt install patch",
    "helm": "Helm 3: go install helm.sh/helm/v3/cmd/helm@v3.19.0",
    "prometheus": "Prometheus: apt install prometheus",
    "promtool": "promtool: apt install prometheus",
    "hadolint": "hadolint: pip install --group deploy",
    "yamllint": "yamllint: pip install --group deploy",
}
REQUIRE_ALL = "WEIR_REQUIRE_ALL"
# What could not be run, for the end of the report.
missing: dict[str, str] = {}


def require(tool: str) -> str:
    """Return the path of `tool`; skip the test, or fail it under WEIR_REQUIRE_ALL=1."""
    found = shutil.which(tool, path=_search_path())
    if found is None:
        _lacking(tool, HOW_TO_GET[tool])
    return found


def require_shared(relative: str) -> Path:
    """Return a file of the real data folder beside the checkout; skip or fail without it."""
    path = Path(__file__).resolve().parents[3] / "shared" / relative
    if not path.exists():
        _lacking(f"shared/{relative}", "the real data folder beside the checkout")
    return path


def require_unicode_data() -> Path:
    """Return the folder of the Unicode Character Database 15.0; skip or fail without it."""
    path = Path("/usr/share/unicode")
    if not (path / "NormalizationTest.txt.bz2").exists():
        _lacking("unicode-data", "Unicode Character Database: apt install unicode-data")
    return path


def summary() -> list[str]:
    """Return the lines that end a run in which something was missing; empty otherwise."""
    if not missing:
        return []
    lines = [f"  {name}: {how}" for name, how in sorted(missing.items())]
    return ["NOT EVERYTHING WAS TESTED. Missing here:", *lines]


def _search_path() -> str:
    """Look beside the running interpreter too: a test run need not activate its environment."""
    tools = Path(__file__).resolve().parents[2] / "build" / "tools"
    return os.pathsep.join([str(Path(sys.executable).parent), str(tools), os.environ["PATH"]])


def _lacking(name: str, how: str) -> NoReturn:
    missing[name] = how
    reason = f"{name} is missing ({how})"
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{reason}; {REQUIRE_ALL}=1 lets no test go without it", pytrace=False)
    pytest.skip(reason)
