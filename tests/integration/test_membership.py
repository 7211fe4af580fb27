"""Stay a member of the group, whatever the client does: on a real broker."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from kafka.admin import KafkaAdminClient
from kafka.cluster import ClusterMetadata

from tests.support.deployment import Deployment, wait_for
from worker.transport.kafka.consumer import KafkaSource

pytestmark = pytest.mark.broker

SHORT_S = 0.001  # less than a round trip: a poll ends while the group assigns


def test_a_rejoin_for_new_metadata_completes_however_short_the_polls(
    deploy: Callable[..., Deployment], fast_path: bool
) -> None:
    deployment = deploy(partitions=1, fast_path=fast_path)
    settings = deployment.settings()
    topic = settings.topic("sightings")
    source = KafkaSource(settings, "correlate", [topic])
    admin = KafkaAdminClient(bootstrap_servers=deployment.servers)

    cluster = source._consumer._coordinator._cluster

    def joined(partitions: int) -> bool:
        if len(cluster.partitions_for_topic(topic) or ()) < partitions:
            cluster.request_update()  # a broker may not show them at once
        source.poll(SHORT_S, 1)
        group = source.group()
        return group.trusted and len(group.assigned) == partitions

    with contextlib.closing(admin):
        try:
            wait_for(lambda: joined(1), "the group is joined", step_s=0)
            for partitions in range(2, 6):
                admin.create_partitions({topic: partitions})
                wait_for(
                    lambda want=partitions: joined(want),  # type: ignore[misc]
                    f"{partitions} partitions are assigned",
                    deadline_s=30,
                    step_s=0,
                )
        finally:
            source.close(1.0)


def test_metadata_that_comes_behind_the_join_makes_no_second_rebalance(
    deploy: Callable[..., Deployment], fast_path: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deploy(partitions=1, fast_path=fast_path)
    settings = deployment.settings()

    def ask_for_nothing(cluster: ClusterMetadata, topics: set[str]) -> None:
        cluster._topics = set(topics)

    # As with a busy broker: no answer to what a subscription asks for while the group assigns.
    monkeypatch.setattr(ClusterMetadata, "set_topics", ask_for_nothing)
    source = KafkaSource(settings, "correlate", [settings.topic("sightings")])

    def joined() -> bool:
        source.poll(0.1, 1)
        return source.group().trusted and bool(source.group().assigned)

    try:
        wait_for(joined, "the group is joined", step_s=0)
        before = source.group()
        answered = source._consumer._cluster.request_update()
        wait_for(lambda: answered.is_done, "metadata came")
        for _ in range(4):
            source.poll(0.3, 1)
        assert source.group() == before
    finally:
        source.close(1.0)
