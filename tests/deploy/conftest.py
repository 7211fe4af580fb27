"""Share the folders, the rendered chart and the rules among the deployment checks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from tests.support.requirements import require

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "weir"
MONITORING = ROOT / "deploy" / "monitoring"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
# What `helm template` claims to talk to; the objects are validated against several.
KUBE_VERSION = "1.33.0"

Object: TypeAlias = dict[str, Any]
Render: TypeAlias = Callable[..., list[Object]]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm; its word on symbolic links is no news here."""
    done = subprocess.run(
        [require("helm"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    lines = [line for line in done.stderr.splitlines() if "found symbolic link" not in line]
    done.stderr = "\n".join(lines)
    return done


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Render the chart as release `mod` in namespace `moderation`."""
    base = ("template", "mod", str(CHART), "--namespace", "moderation")
    return helm(*base, "--kube-version", KUBE_VERSION, *arguments)


@cache
def rendered(*arguments: str) -> str:
    """Render once per set of arguments."""
    done = template(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(text: str) -> list[Object]:
    """Parse a stream of objects."""
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(found: list[Object], kind: str) -> list[Object]:
    """Pick objects by kind."""
    return [each for each in found if each["kind"] == kind]


@pytest.fixture(params=VALUES, ids=lambda path: path.stem.removesuffix("-values"))
def values_file(request: pytest.FixtureRequest) -> Path:
    """Give each values file of the chart's ci folder."""
    path: Path = request.param
    return path


@pytest.fixture
def chart(values_file: Path) -> list[Object]:
    """Give the objects rendered from a values file."""
    return objects(rendered("-f", str(values_file)))
