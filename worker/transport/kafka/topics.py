"""Create topics and compare them with what the stages rely on (docs/delivery.md).

A wrong setting that breaks a guarantee is refused; one that costs time, or that a managed service
hides, is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

from kafka import KafkaAdminClient
from kafka import errors as client_errors
from kafka.admin import ConfigResource, ConfigResourceType

from worker.domain.errors import BrokerUnavailable, ConfigError
from worker.settings import KIB, MIB, WEIR_TOPICS, Settings, StageName
from worker.transport.kafka.client import connection, guard_client, unavailable

Level: TypeAlias = Literal["ok", "warning", "refused"]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Records of the input are screened up to 256 KiB; the broker checks the batch before compression
# against this, so no batch can inflate past it.
POSTS_MESSAGE_BYTES = 256 * KIB
# Packed sightings hold at most 256 KiB, dead letters 512 KiB pieces; = max_request_size_bytes.
WEIR_MESSAGE_BYTES = MIB
REPLICATION = 3
MIN_IN_SYNC = 2  # below REPLICATION, or one lost broker stops every write
FUTURE_MS = HOUR_MS  # a sender's clock may run ahead by this much where it sets the time
OUTAGE_MS = 7 * DAY_MS  # posts must outlive the longest outage of a stage
DLQ_RETENTION_MS = 30 * DAY_MS
AUDIT_RETENTION_MS = 180 * DAY_MS  # signals and actions are re-read by audits
OFFSETS_RETENTION_MINUTES = 43_200  # 30 days: a parked stage must not lose its place
# A restore reads what compaction has not reached yet: at most this much of the newest state.
STATE_SEGMENT_MS = 300_000  # < STATE_COMPACTION_LAG_MS: only closed segments are compacted
STATE_COMPACTION_LAG_MS = 600_000
# How often brokers look for transactions past their timeout: a dead slot blocks its successor
# for transaction_timeout_ms and this.
ABORT_SCAN_MS = 1_000

READS: Mapping[StageName, tuple[str, ...]] = {
    "screen": ("posts", "reviews", "receipts"),
    "correlate": ("sightings",),
    "enforce": ("signals",),
}
WRITES: Mapping[StageName, tuple[str, ...]] = {
    "screen": ("signals", "sightings", "dlq", "state.screen"),
    "correlate": ("signals", "campaigns", "dlq", "state.correlate"),
    "enforce": (
        *("shadow", "dlq", "state.enforce"),
        *(role for role in WEIR_TOPICS if role.startswith("actions.")),
    ),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Say what one setting must be."""

    setting: str
    wanted: str  # for people
    holds: Callable[[str], bool]
    create: str | None = None  # the value `create` sets; None leaves the broker's
    level: Literal["warning", "refused"] = "refused"


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """Say how one topic is made and checked."""

    name: str
    partitions: int
    replication: int
    rules: tuple[Rule, ...]


class Finding(NamedTuple):
    """Report one comparison, in words for people and machines."""

    level: Level
    topic: str  # or "broker"
    setting: str
    seen: str
    needed: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.seen}, needed: {self.needed}"


def _equals(setting: str, value: str, level: Literal["warning", "refused"] = "refused") -> Rule:
    return Rule(setting, value, lambda seen: seen == value, value, level)


def _at_least(setting: str, least: int, create: int | None = None) -> Rule:
    return Rule(
        setting,
        f"at least {least}",
        lambda seen: int(seen) >= least or int(seen) == -1,
        None if create is None else str(create),
        "warning",
    )


def _reaches(least: int, seen: str) -> bool:
    return int(seen) >= least


def _at_most(setting: str, most: int, create: str | None = None) -> Rule:
    return Rule(setting, f"at most {most}", lambda seen: 0 <= int(seen) <= most, create, "warning")


def plans(settings: Settings) -> list[TopicPlan]:
    """List every topic of a deployment with its settings."""
    partitions = settings.kafka.partitions
    counts = {
        "posts": partitions.posts,
        "reviews": partitions.posts,
        "receipts": partitions.posts,
        "sightings": partitions.sightings,
        "dlq": partitions.dlq,
        # Partition p holds the state of input partition p.
        "state.screen": partitions.posts,
        "state.correlate": partitions.sightings,
    }
    single = settings.kafka.durability == "single_node"
    return [
        TopicPlan(
            settings.topic(role),
            counts.get(role, partitions.signals),
            1 if single else REPLICATION,
            (*_common(single), *_rules_of(role, settings)),
        )
        for role in ("posts", *WEIR_TOPICS)
    ]


def _rules_of(role: str, settings: Settings) -> Iterator[Rule]:
    if role == "posts":
        return _input(settings)
    return _state() if role.startswith("state.") else _own(role)


def _common(single: bool) -> Iterator[Rule]:
    yield _equals("unclean.leader.election.enable", "false")
    if not single:
        yield Rule(
            "min.insync.replicas",
            f"at least {MIN_IN_SYNC}",
            lambda seen: int(seen) >= MIN_IN_SYNC,
            str(MIN_IN_SYNC),
        )


def _input(settings: Settings) -> Iterator[Rule]:
    yield _equals("cleanup.policy", "delete")
    yield _equals("compression.type", "uncompressed")
    yield Rule(
        "max.message.bytes",
        f"at most {POSTS_MESSAGE_BYTES}",
        lambda seen: int(seen) <= POSTS_MESSAGE_BYTES,
        str(POSTS_MESSAGE_BYTES),
    )
    if settings.input.time == "append":
        yield _equals("message.timestamp.type", "LogAppendTime")
        yield _at_least("retention.ms", OUTAGE_MS)
    else:
        yield _equals("message.timestamp.type", "CreateTime")
        yield Rule(
            "message.timestamp.after.max.ms",
            f"at most {FUTURE_MS}",
            lambda seen: int(seen) <= FUTURE_MS,
            str(FUTURE_MS),
        )
        # Retention goes by the time of the records: an import of old posts would be deleted
        # before it is read.
        yield _equals("retention.ms", "-1", "warning")


def _room() -> Rule:
    return Rule(
        "max.message.bytes",
        f"at least {WEIR_MESSAGE_BYTES}",
        lambda seen: int(seen) >= WEIR_MESSAGE_BYTES,
        str(WEIR_MESSAGE_BYTES + 64 * KIB),  # a batch is larger than the record it holds
    )


def _own(role: str) -> Iterator[Rule]:
    yield _equals("cleanup.policy", "delete")
    yield _room()
    if role == "dlq":
        yield _at_least("retention.ms", DLQ_RETENTION_MS, DLQ_RETENTION_MS)
    else:
        yield _at_least("retention.ms", DLQ_RETENTION_MS, AUDIT_RETENTION_MS)


def _state() -> Iterator[Rule]:
    # With `delete`, alone or beside compact, retention would take strikes away.
    yield _equals("cleanup.policy", "compact")
    yield _room()
    for setting, most in (
        ("segment.ms", STATE_SEGMENT_MS),
        ("max.compaction.lag.ms", STATE_COMPACTION_LAG_MS),
    ):
        yield _at_most(setting, most, str(most))


BROKER_RULES: tuple[Rule, ...] = (
    _equals("auto.create.topics.enable", "false", "warning"),
    Rule(
        "offsets.retention.minutes",
        f"at least {OFFSETS_RETENTION_MINUTES}",
        lambda seen: int(seen) >= OFFSETS_RETENTION_MINUTES,
        level="warning",
    ),
    # Without it a delayed record of an older transaction joins a later one, and hangs it.
    _equals("transaction.partition.verification.enable", "true"),
    _at_most("transaction.abort.timed.out.transaction.cleanup.interval.ms", ABORT_SCAN_MS),
)
# The transaction itself must survive a broker.
DURABLE_BROKER_RULES: tuple[Rule, ...] = tuple(
    Rule(f"{topic}.{setting}", f"at least {least}", partial(_reaches, least))
    for topic, names in (
        ("transaction.state.log", ("replication.factor", "min.isr")),
        ("offsets.topic", ("replication.factor",)),
    )
    for setting, least in zip(names, (REPLICATION, MIN_IN_SYNC), strict=False)
)


class Topics:
    """Look at and create topics through one admin client; every method blocks."""

    def __init__(self, settings: Settings) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker answered within kafka.unavailable_after_ms.
            ConfigError: the client or a TLS or SASL file cannot be used.
        """
        guard_client()
        self._settings = settings
        try:
            self._admin = KafkaAdminClient(**connection(settings.kafka))
        except client_errors.KafkaTimeoutError as error:
            raise unavailable(settings.kafka, error) from None

    def __enter__(self) -> Topics:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the client."""
        self._admin.close()

    def create(self) -> list[str]:
        """Create what is missing and return the names; what is there already is left alone.

        Raises:
            ConfigError: a broker refused; the message says which topic and why.
        """
        there = set(self._admin.list_topics())
        missing = {
            plan.name: {
                "num_partitions": plan.partitions,
                "replication_factor": plan.replication,
                "configs": {
                    rule.setting: rule.create for rule in plan.rules if rule.create is not None
                },
            }
            for plan in plans(self._settings)
            if plan.name not in there
        }
        if not missing:
            return []
        try:
            self._admin.create_topics(missing, wait_for_metadata=True)
        except client_errors.KafkaError as error:
            raise ConfigError(
                f"topics were not created: {error}. With fewer than {REPLICATION} brokers use "
                "kafka.durability: single_node"
            ) from None
        return sorted(missing)

    def check(self, stages: Iterable[StageName] | None = None) -> list[Finding]:
        """Compare topics and brokers with what is needed; all topics, or those of some stages.

        Raises:
            BrokerUnavailable: the broker that was asked went away meanwhile.
        """
        try:
            return self._check(stages)
        except client_errors.KafkaError as error:
            # The client calls a node that left its metadata unknown, and not to be asked again.
            if error.retriable or isinstance(error, client_errors.UnknownBrokerIdError):
                raise BrokerUnavailable(
                    f"a broker went away while the topics were checked ({type(error).__name__})"
                ) from None
            raise

    def _check(self, stages: Iterable[StageName] | None) -> list[Finding]:
        wanted = plans(self._settings)
        if stages is not None:
            roles = {role for stage in stages for role in (*READS[stage], *WRITES[stage])}
            names = {self._settings.topic(role) for role in roles}
            wanted = [plan for plan in wanted if plan.name in names]
        described = {
            topic["name"]: topic
            for topic in self._admin.describe_topics([plan.name for plan in wanted])
            if not topic["error_code"]
        }
        there = [plan for plan in wanted if plan.name in described]
        configs = self._configs([plan.name for plan in there])
        findings: list[Finding] = []
        for plan in wanted:
            if plan.name not in described:
                findings.append(
                    Finding("refused", plan.name, "topic", "missing", "weir topics create")
                )
                continue
            findings.extend(self._shape(plan, described[plan.name]))
            findings.extend(_compare(plan.name, plan.rules, configs.get(plan.name, {})))
        single = self._settings.kafka.durability == "single_node"
        rules = BROKER_RULES if single else BROKER_RULES + DURABLE_BROKER_RULES
        findings.extend(_compare("broker", rules, self._broker()))
        return findings

    def refuse(self, stages: Iterable[StageName]) -> list[Finding]:
        """Return the warnings for some stages.

        Raises:
            BrokerUnavailable: as `check`.
            ConfigError: something is refused; the message lists every finding.
        """
        findings = self.check(stages)
        refused = [str(finding) for finding in findings if finding.level == "refused"]
        if refused:
            raise ConfigError("\n".join(refused))
        return [finding for finding in findings if finding.level == "warning"]

    def _shape(self, plan: TopicPlan, topic: Mapping[str, Any]) -> Iterator[Finding]:
        count = len(topic["partitions"])
        yield Finding(
            "ok" if count == plan.partitions else "warning",
            plan.name,
            "partitions",
            str(count),
            f"{plan.partitions} (kafka.partitions; adding some later moves keys)",
        )
        copies = min((len(p["replica_nodes"]) for p in topic["partitions"]), default=0)
        yield Finding(
            "ok" if copies >= plan.replication else "refused",
            plan.name,
            "replication",
            str(copies),
            f"at least {plan.replication} (kafka.durability: {self._settings.kafka.durability})",
        )

    def _configs(self, names: list[str]) -> dict[str, dict[str, Any]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        # The default filter would hide every value that nobody changed.
        found = self._admin.describe_configs(resources, config_filter="all")
        return dict(found.get("topic", {}))

    def _broker(self) -> dict[str, Any]:
        nodes = self._admin.describe_cluster()["brokers"]
        first = str(nodes[0].get("node_id", nodes[0].get("broker_id")))
        resource = ConfigResource(ConfigResourceType.BROKER, first)
        found = self._admin.describe_configs([resource], config_filter="all")
        return dict(found.get("broker", {}).get(first, {}))


def _compare(
    where: str, rules: Iterable[Rule], configs: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    for rule in rules:
        seen = configs.get(rule.setting, {}).get("value")
        if seen is None:
            yield Finding("warning", where, rule.setting, "not shown", rule.wanted)
            continue
        level: Level = "ok" if rule.holds(str(seen)) else rule.level
        yield Finding(level, where, rule.setting, str(seen), rule.wanted)
