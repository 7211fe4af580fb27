"""Stop for a person where offset, state and input no longer belong together; never guess."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError
from kafka.protocol.consumer.metadata import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)

from tests.integration.conftest import sample
from tests.support.deployment import Deployment, wait_for

pytestmark = pytest.mark.broker

FIRST, ALL = 300, 600


def gone_through(deploy: Callable[..., Deployment], tmp_path: Path) -> Deployment:
    """Bring some posts through, stop, and wait until the group has no member left."""
    deployment = deploy(partitions=1)
    deployment.load(sample(tmp_path / "first.ndjson", 0, FIRST))
    worker = deployment.start("a")
    wait_for(deployment.drained, "the posts go through")
    assert worker.stop() == 0
    deployment.workers.clear()
    return deployment


def posts_of(deployment: Deployment) -> TopicPartition:
    return TopicPartition(deployment.settings().topic("posts"), 0)


def administer(deployment: Deployment, what: Callable[[KafkaAdminClient, str], Any]) -> None:
    """Do what an operator could, as soon as the session of the stopped worker allows it."""
    admin = KafkaAdminClient(bootstrap_servers=deployment.servers)
    group = deployment.settings().group("screen")

    def done() -> bool:
        with contextlib.suppress(KafkaError):
            if any(admin.describe_groups([group])[group]["members"]):
                return False
            what(admin, group)
            return True
        return False

    with contextlib.closing(admin):
        wait_for(done, "the group takes it", step_s=0.2)


def stopped(deployment: Deployment, *told: str, **options: Any) -> None:
    """Start screen alone: it must stop with 73 and say why."""
    worker = deployment.start("a", stages=("screen",), start=None, **options)
    assert worker.process.wait(90) == 73
    for text in told:
        assert worker.told(text), text
    deployment.workers.clear()


def test_deleted_offsets(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    deployment = gone_through(deploy, tmp_path)
    tp = posts_of(deployment)
    administer(deployment, lambda admin, group: admin.delete_group_offsets(group, [tp]))
    stopped(deployment, "the group has no committed offset", "goes on at 300")


@pytest.mark.parametrize(
    ("offset", "told"), [(7, "the committed offset is 7"), (299, "the committed offset is 299")]
)
def test_offsets_that_were_set_back(
    deploy: Callable[..., Deployment], tmp_path: Path, offset: int, told: str
) -> None:
    deployment = gone_through(deploy, tmp_path)
    moved = {posts_of(deployment): OffsetAndMetadata(offset, "", -1)}
    administer(deployment, lambda admin, group: admin.alter_group_offsets(group, moved))
    stopped(deployment, "the state continues at input offset 300", told)


def test_offsets_that_were_set_forward(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    deployment = gone_through(deploy, tmp_path)
    deployment.load(sample(tmp_path / "rest.ndjson", FIRST, ALL))
    moved = {posts_of(deployment): OffsetAndMetadata(400, "", -1)}
    administer(deployment, lambda admin, group: admin.alter_group_offsets(group, moved))
    stopped(deployment, "the committed offset is 400", "ends at input offset 300")


def test_retention_that_overtook_and_its_acceptance(
    deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    deployment = gone_through(deploy, tmp_path)
    deployment.load(sample(tmp_path / "rest.ndjson", FIRST, ALL))
    tp = posts_of(deployment)
    administer(deployment, lambda admin, _group: admin.delete_records({tp: 450}))
    stopped(deployment, "retention deleted 150 records", "--accept-retention-gap 150")
    wrong = ("--exit-on-stop", "--accept-retention-gap", "149")
    stopped(deployment, "retention deleted 150 records", arguments=wrong)
    accepted = ("--exit-on-stop", "--accept-retention-gap", "150")
    worker = deployment.start("a", start=None, arguments=accepted)
    wait_for(deployment.drained, "the rest goes through")
    assert worker.stop() == 0
    restored = [e for e in worker.events if e["event"] == "partition_restored"]
    assert {e["gap"] for e in restored if e["topic"] == tp.topic} == {150}
    origins = [r.json["origin"]["offset"] for r in deployment.read("signals")]
    assert not any(FIRST <= offset < 450 for offset in origins)
    ids = Counter(json.loads(r.value or b"")["action_id"] for r in deployment.actions())
    assert max(ids.values(), default=1) == 1


class OldAndNew(AbstractPartitionAssignor):
    """As the group's leader give the first partition of posts to itself, and all else to others."""

    name = StickyPartitionAssignor.name  # what workers have in common with it

    def metadata(self, topics: Any) -> ConsumerProtocolSubscription:
        return ConsumerProtocolSubscription(0, list(topics), b"")

    def on_assignment(self, assignment: Any, generation: int) -> None:
        pass

    def assign(self, cluster: Any, members: Any) -> dict[str, ConsumerProtocolAssignment]:
        mine = next(member.member_id for member in members if len(member.metadata.topics) == 1)
        given: dict[str, dict[str, list[int]]] = {member.member_id: {} for member in members}
        for member in members:
            for topic in member.metadata.topics:
                numbers = sorted(cluster.partitions_for_topic(topic) or ())
                if topic.endswith("-posts"):
                    alone = len(members) == 1
                    old = member.member_id == mine
                    numbers = numbers if alone else numbers[:1] if old else numbers[1:]
                given[member.member_id][topic] = numbers
        return {
            name: ConsumerProtocolAssignment(0, list(topics.items()), b"")
            for name, topics in given.items()
        }


class HoldsOn(ConsumerRebalanceListener):
    """Hold a plain consumer to its join, as `KafkaSource` does; polls here are short."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, _revoked: Any) -> None:
        self._consumer._coordinator.request_rejoin()

    def on_partitions_assigned(self, _assigned: Any) -> None:
        pass


def test_a_partition_that_was_added_by_hand_is_begun_by_nobody(
    deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    deployment = gone_through(deploy, tmp_path)
    topic = deployment.settings().topic
    posts, state = topic("posts"), topic("state.screen")
    administer(deployment, lambda admin, _group: admin.create_partitions({posts: 2, state: 2}))
    holder = KafkaConsumer(
        bootstrap_servers=deployment.servers,
        group_id=deployment.settings().group("screen"),
        enable_auto_commit=False,
        metadata_max_age_ms=1_000,  # to hear of the new partition
        partition_assignment_strategy=(OldAndNew,),
    )
    holder.subscribe([posts], listener=HoldsOn(holder))

    def held() -> set[TopicPartition]:
        holder.pause(*holder.assignment())
        holder.poll(100)  # what takes part in the group
        return set(holder.assignment())

    def is_over() -> bool:
        held()
        return worker.process.poll() is not None

    old, new = TopicPartition(posts, 0), TopicPartition(posts, 1)
    with contextlib.closing(holder):
        wait_for(lambda: held() == {old, new}, "it leads")
        worker = deployment.start("b", stages=("screen",), start="earliest")
        wait_for(is_over, "the worker ends")
    assert worker.process.returncode == 73
    assert worker.told(f"newly assigned partitions {{{new!r}}}"), "it holds the new one alone"
    assert not worker.told(repr(old))
    assert worker.told("the state was written for 1 partitions of the input topic, now there are 2")
    assert deployment.ends(state, "read_uncommitted")[TopicPartition(state, 1)] == 0
    deployment.workers.clear()
    stopped(deployment, "the state was written for 1 partitions of the input topic")
