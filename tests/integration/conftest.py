"""Give each test a deployment of its own on the session's broker."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment import ROOT, Deployment

EXAMPLE = ROOT / "deploy" / "example"


def sample(path: Path, first: int, last: int) -> Path:
    """Write some lines of the shipped sample to a file."""
    with gzip.open(EXAMPLE / "posts.ndjson.gz", "rb") as lines:
        path.write_bytes(b"".join(lines.readlines()[first:last]))
    return path


@pytest.fixture(params=[True, False], ids=["views", "plain"])
def fast_path(request: pytest.FixtureRequest) -> bool:
    """Run a test on batch views and through the client's own records."""
    return bool(request.param)


@pytest.fixture
def deploy(kafka_servers: str, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Give a maker of deployments with topics; their processes end with the test."""
    made: list[Deployment] = []

    def make(bundle: Path = EXAMPLE / "bundle", **options: Any) -> Deployment:
        deployment = Deployment(kafka_servers, tmp_path / f"d{len(made)}", bundle, **options)
        made.append(deployment)
        deployment.create()
        return deployment

    yield make
    for deployment in made:
        deployment.close()
