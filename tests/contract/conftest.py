"""Make each contract test run over every transport that has what it asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.harness import (
    Cluster,
    ClusterPipe,
    FilesPipe,
    KafkaCluster,
    MemoryCluster,
    Pipe,
)

KAFKA = pytest.param("kafka", marks=pytest.mark.broker)
PLAIN_KAFKA = pytest.param("plain kafka", marks=pytest.mark.broker)


def _cluster(kind: str, request: pytest.FixtureRequest, partitions: int) -> Iterator[Cluster]:
    if kind == "memory":
        yield MemoryCluster(partitions)
        return
    cluster = KafkaCluster(
        request.getfixturevalue("kafka_servers"), partitions, fast_path=kind == "kafka"
    )
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(params=["memory", KAFKA, PLAIN_KAFKA])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Give a topic of two partitions, with groups."""
    yield from _cluster(request.param, request, 2)


@pytest.fixture(params=["memory", "files", KAFKA, PLAIN_KAFKA])
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pipe]:
    """Give one partition to write to and to read from."""
    if request.param == "files":
        with contextlib.closing(FilesPipe(tmp_path / "out")) as files:
            yield files
        return
    for made in _cluster(request.param, request, 1):
        yield ClusterPipe(made)
