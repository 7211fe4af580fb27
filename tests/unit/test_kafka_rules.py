"""Hold the rules that the defects of the client force, as far as no broker is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

import worker
from worker.domain.errors import ConfigError
from worker.settings import STAGE_NAMES, Settings, StageName
from worker.transport.kafka import topics
from worker.transport.kafka.client import consumer_options, producer_options
from worker.transport.kafka.producer import KafkaSink
from worker.transport.kafka.topics import (
    BROKER_RULES,
    DURABLE_BROKER_RULES,
    READS,
    WRITES,
    TopicPlan,
    Topics,
    plans,
)

SETTINGS = Settings(
    slot="a",
    kafka={"partitions": {"posts": 3, "sightings": 5, "signals": 7}},  # type: ignore[arg-type]
)
OWNER: dict[StageName, int] = {"screen": 3, "correlate": 5, "enforce": 7}


def plan(topic: str, durability: str = "production") -> TopicPlan:
    kafka = SETTINGS.kafka.model_copy(update={"durability": durability})
    settings = SETTINGS.model_copy(update={"kafka": kafka})
    return next(each for each in plans(settings) if each.name == topic)


def test_no_transaction_is_ever_aborted() -> None:
    """An abort in the process would leak its offsets into the next transaction."""
    sources = Path(worker.__file__).parent.rglob("*.py")
    found = [path.name for path in sources if re.search(r"abort_transaction", path.read_text())]
    assert found == []


@pytest.mark.parametrize("option", ["key_serializer", "value_serializer"])
def test_a_producer_takes_bytes_alone(option: str) -> None:
    with pytest.raises(ValueError, match="serializers hide errors"):
        KafkaSink(SETTINGS, "screen", **{option: str.encode})


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_a_consumer_is_static_eager_and_read_committed(stage: StageName) -> None:
    options = consumer_options(SETTINGS, stage)
    assert options["partition_assignment_strategy"] == (StickyPartitionAssignor,)
    assert options["isolation_level"] == "read_committed"
    assert options["group_instance_id"] == "a"
    assert options["enable_auto_commit"] is False
    assert options["auto_offset_reset"] == "none"
    assert not {"key_deserializer", "value_deserializer"} & options.keys()


def test_no_client_makes_a_topic_by_asking_for_it() -> None:
    for options in (consumer_options(SETTINGS, "screen"), producer_options(SETTINGS, "screen")):
        assert options["allow_auto_create_topics"] is False


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_state_has_the_partitions_of_its_input_and_is_compacted_alone(stage: StageName) -> None:
    state = plan(f"weir.state.{stage}")
    assert state.partitions == OWNER[stage]
    assert state.partitions == plan(SETTINGS.topic(READS[stage][0])).partitions
    assert f"state.{stage}" in WRITES[stage]
    policy = next(rule for rule in state.rules if rule.setting == "cleanup.policy")
    assert (policy.create, policy.level) == ("compact", "refused")
    assert [policy.holds(seen) for seen in ("compact", "delete", "compact,delete")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("setting", "good", "bad", "level"),
    [
        ("segment.ms", "300000", "604800000", "warning"),
        ("max.compaction.lag.ms", "600000", "9223372036854775807", "warning"),
        ("max.message.bytes", "1048588", "1000000", "refused"),
        ("unclean.leader.election.enable", "false", "true", "refused"),
        ("min.insync.replicas", "2", "1", "refused"),
    ],
)
def test_a_state_topic_is_checked(setting: str, good: str, bad: str, level: str) -> None:
    rule = next(rule for rule in plan("weir.state.screen").rules if rule.setting == setting)
    assert rule.holds(good)
    assert not rule.holds(bad)
    assert rule.level == level


@pytest.mark.parametrize(
    ("setting", "good", "bad", "level"),
    [
        ("transaction.partition.verification.enable", "true", "false", "refused"),
        (
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            *("1000", "10000", "warning"),
        ),
        ("offsets.retention.minutes", "43200", "10080", "warning"),
        ("auto.create.topics.enable", "false", "true", "warning"),
        ("transaction.state.log.replication.factor", "3", "1", "refused"),
        ("transaction.state.log.min.isr", "2", "1", "refused"),
        ("offsets.topic.replication.factor", "3", "1", "refused"),
    ],
)
def test_brokers_are_checked(setting: str, good: str, bad: str, level: str) -> None:
    rules = {rule.setting: rule for rule in (*BROKER_RULES, *DURABLE_BROKER_RULES)}
    assert rules[setting].holds(good)
    assert not rules[setting].holds(bad)
    assert rules[setting].level == level


class Admin:
    """Show every topic as it would be made, but for what a test says of one."""

    def __init__(self, topic: str, **seen: str) -> None:
        self._seen = {topic: seen}

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "error_code": 0,
                "partitions": [{"replica_nodes": [1, 2, 3]}] * plan(name).partitions,
            }
            for name in names
        ]

    def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": [{"node_id": 1}]}

    def describe_configs(self, resources: list[Any], config_filter: str) -> dict[str, Any]:
        assert config_filter == "all", "the default hides what nobody changed"
        return {
            "topic": {
                each.name: {
                    rule.setting: {"value": self._seen.get(each.name, {}).get(rule.setting, made)}
                    for rule in plan(each.name).rules
                    if (made := rule.create) is not None
                }
                for each in resources
                if each.name != "1"
            },
            "broker": {"1": {}},
        }


def looking(monkeypatch: pytest.MonkeyPatch, topic: str, **seen: str) -> Topics:
    monkeypatch.setattr(topics, "KafkaAdminClient", lambda **_options: Admin(topic, **seen))
    return Topics(SETTINGS)


def test_a_start_refuses_a_setting_that_voids_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    state = "weir.state.screen"
    looked = looking(monkeypatch, state, **{"cleanup.policy": "compact,delete"})
    with pytest.raises(ConfigError, match=r"cleanup\.policy.*compact,delete.*compact") as refused:
        looked.refuse(["screen"])
    assert refused.value.exit_code == 78
    assert state in str(refused.value)


def test_a_start_warns_of_a_setting_that_costs_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = looking(monkeypatch, "weir.state.screen", **{"segment.ms": "604800000"})
    told = {(each.topic, each.setting) for each in looked.refuse(["screen"])}
    assert ("weir.state.screen", "segment.ms") in told
