"""Name every metric once: a type for the code, a table for the exposition and the checks.

A misspelt name, or a counter used as a gauge, is a mypy error; dashboards, alerts and docs are
tested against METRICS. The engine and the transports import this module alone of `worker.obs`:
they fill what they are handed through `Meter` and `Vitals` and never see a client library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias, get_args

from fastpath.spec import FLAGS, SLOW_CAUSES
from worker.domain.dead_letter import Disposition, Reason

Stage: TypeAlias = Literal["screen", "correlate", "enforce"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

CounterName: TypeAlias = Literal[
    "weir_records_consumed_total",
    "weir_records_produced_total",
    "weir_backpressure_seconds_total",
    "weir_rebalances_total",
    "weir_transactions_total",
    "weir_producers_replaced_total",
    "weir_state_written_bytes_total",
    "weir_input_gaps_total",
    "weir_posts_total",
    "weir_posts_flagged_total",
    "weir_flags_total",
    "weir_list_hits_total",
    "weir_json_slow_total",
    "weir_late_sightings_total",
    "weir_refused_sightings_total",
    "weir_policy_reloads_total",
    "weir_rule_hits_total",
    "weir_rule_errors_total",
    "weir_actions_total",
    "weir_shadow_actions_total",
    "weir_breaker_diverted_total",
    "weir_dead_letters_total",
    "weir_process_cpu_seconds_total",
]
GaugeName: TypeAlias = Literal[
    "weir_policy_activated_timestamp_seconds",
    "weir_act_after_timestamp_seconds",
    "weir_durability_production",
    "weir_consumer_lag_messages",
    "weir_partitions_assigned",
    "weir_partitions_restoring",
    "weir_state_entries",
    "weir_fuse_open",
    "weir_fast_path",
    "weir_stopped_code",
    "weir_process_resident_memory_bytes",
    "weir_process_start_time_seconds",
]
# Set to a moment, exported as the seconds since: a stalled loop shows a growing age, not a
# frozen one.
AgeName: TypeAlias = Literal["weir_consumer_lag_seconds", "weir_loop_turn_age_seconds"]
HistogramName: TypeAlias = Literal[
    "weir_stage_duration_seconds",
    "weir_end_to_end_seconds",
    "weir_restore_seconds",
    "weir_rebalance_seconds",
    "weir_rebalance_pause_seconds",
    "weir_transaction_commit_seconds",
]
InfoName: TypeAlias = Literal["weir_build_info", "weir_policy_info"]
MetricName: TypeAlias = CounterName | GaugeName | AgeName | HistogramName | InfoName

Step: TypeAlias = Literal["fetch", "step", "produce", "commit"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)
Hop: TypeAlias = Literal["post_to_signal", "post_to_action"]
HOPS: Final[tuple[Hop, ...]] = get_args(Hop)
Part: TypeAlias = Literal["core", "consumer", "receive"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
# A transaction whose outcome is unknown, or that was fenced, ends its process: it is told by the
# log and by the restart, never by a counter that nobody could scrape.
Outcome: TypeAlias = Literal["committed", "refused"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
RestoreMode: TypeAlias = Literal["warm", "cold"]
RESTORE_MODES: Final[tuple[RestoreMode, ...]] = get_args(RestoreMode)
StateRecordKind: TypeAlias = Literal["delta", "slice"]
STATE_RECORD_KINDS: Final[tuple[StateRecordKind, ...]] = get_args(StateRecordKind)
ActionKind: TypeAlias = Literal[
    "label", "limit", "remove", "warn", "lock", "suspend", "review", "restore"
]
ACTION_KINDS: Final[tuple[ActionKind, ...]] = get_args(ActionKind)
# Kinds that a bundle's `limits` may hold back.
BREAKER_KINDS: Final[tuple[ActionKind, ...]] = ("remove", "lock", "suspend")

# Edges lie exactly on the objectives and neighbours differ by at most 2.5, so a quantile read
# from two edges is off by at most that factor.
SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 20.0, 30.0),
)
# A restore reads a state partition: from one poll to the longest read that still is one.
RESTORE_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 150.0, 300.0)

# Distinct values of a `rule` or `list` label per process; what comes later counts as `other`.
# 2,000 rules x 2 modes stay below the 5,000 series a scrape of one pod should not exceed.
MAX_POLICY_LABELS: Final = 2_000
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Metric:
    """Describe one metric: what it is, its labels besides `stage`, and its zero series.

    `preset` lists label values whose series exist from the start, so that a rate over a first
    event is not lost and a dashboard of a quiet worker shows zero instead of nothing. `stages`
    are the stages that can fill it; no other exports it.
    """

    kind: Literal["counter", "gauge", "age", "histogram", "info"]
    labels: tuple[str, ...]
    help: str
    preset: tuple[tuple[str, ...], ...] = ()
    stages: tuple[Stage, ...] = STAGES
    buckets: tuple[float, ...] = ()
    bounded: str = ""  # the label that MAX_POLICY_LABELS bounds


def _one(*values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


_NONE: Final[tuple[tuple[str, ...], ...]] = ((),)
_SCREEN: Final[tuple[Stage, ...]] = ("screen",)
_ENFORCE: Final[tuple[Stage, ...]] = ("enforce",)

_TABLE: Final[dict[MetricName, Metric]] = {
    "weir_build_info": Metric(
        "info", ("version", "backend", "client"), "What runs: release, matching core, Kafka client."
    ),
    "weir_policy_info": Metric(
        "info", ("policy", "revision", "digest"), "The bundle that decides; pods must agree."
    ),
    "weir_policy_activated_timestamp_seconds": Metric(
        "gauge", (), "When this process began to decide by its bundle, epoch seconds."
    ),
    "weir_policy_reloads_total": Metric(
        "counter",
        ("outcome",),
        "Bundles read anew: taken, unchanged, or refused, and then the old one goes on.",
        (("taken",), ("unchanged",), ("refused",)),
    ),
    "weir_act_after_timestamp_seconds": Metric(
        "gauge",
        (),
        "Decisions on posts of earlier origin become reviews; 0 where act_after is none.",
        _NONE,
        _ENFORCE,
    ),
    "weir_durability_production": Metric(
        "gauge", (), "1 with replicated topics, 0 where kafka.durability is single_node.", _NONE
    ),
    "weir_records_consumed_total": Metric("counter", ("topic",), "Records handed to the stage."),
    "weir_records_produced_total": Metric(
        "counter", ("topic",), "Records acknowledged by the brokers."
    ),
    "weir_consumer_lag_messages": Metric(
        "gauge",
        ("topic", "partition"),
        "High watermark of the last fetch minus position, while the partition is assigned.",
    ),
    "weir_consumer_lag_seconds": Metric(
        "age",
        ("topic", "partition"),
        "Age of the oldest record not yet processed; there only while the lag is above 0.",
    ),
    "weir_stage_duration_seconds": Metric(
        "histogram", ("step",), "Time of one batch in a step.", _one(*STEPS), buckets=SECONDS
    ),
    "weir_end_to_end_seconds": Metric(
        "histogram",
        ("hop",),
        "Broker append time of the post to the committed signal or action.",
        _one(*HOPS),
        buckets=SECONDS,
    ),
    "weir_backpressure_seconds_total": Metric(
        "counter", (), "Seconds with fetching paused because output is slow.", _NONE
    ),
    "weir_loop_turn_age_seconds": Metric("age", (), "Since the loop last turned."),
    "weir_partitions_assigned": Metric("gauge", (), "Input partitions owned.", _NONE),
    "weir_partitions_restoring": Metric(
        "gauge", (), "Owned partitions whose state is not rebuilt yet.", _NONE
    ),
    "weir_rebalances_total": Metric("counter", (), "Assignments received.", _NONE),
    "weir_restore_seconds": Metric(
        "histogram",
        ("mode",),
        "From assignment of a partition with state to its first decision; warm where its table "
        "was kept.",
        _one(*RESTORE_MODES),
        buckets=RESTORE_SECONDS,
    ),
    "weir_rebalance_seconds": Metric(
        "histogram",
        (),
        "From the start, or the end of an assignment, to the next assignment.",
        _NONE,
        buckets=RESTORE_SECONDS,
    ),
    "weir_rebalance_pause_seconds": Metric(
        "histogram",
        (),
        "From the end of decisions on a partition, or its assignment, to its next decision.",
        _NONE,
        buckets=RESTORE_SECONDS,
    ),
    "weir_transactions_total": Metric(
        "counter",
        ("outcome",),
        "Transactions, or offset commits at least once: done, or refused because the group had "
        "moved on. An unknown outcome ends the process.",
        _one(*OUTCOMES),
    ),
    "weir_transaction_commit_seconds": Metric(
        "histogram", (), "Time of a commit alone, without the flush.", _NONE, buckets=SECONDS
    ),
    "weir_producers_replaced_total": Metric(
        "counter", (), "Producers replaced after a slow or repeated commit.", _NONE
    ),
    "weir_state_written_bytes_total": Metric(
        "counter",
        ("record",),
        "Bytes of state written: changes of each transaction, and snapshots in turn.",
        _one(*STATE_RECORD_KINDS),
    ),
    "weir_input_gaps_total": Metric(
        "counter",
        (),
        "Places in the posts where offsets are missing: markers of a transactional sender, or "
        "records lost.",
        _NONE,
        _SCREEN,
    ),
    "weir_state_entries": Metric("gauge", ("table",), "Keys held by a table, all partitions."),
    "weir_posts_total": Metric(
        "counter",
        ("outcome",),
        "Input records by what they turned out to be.",
        _one("post", "delete", "reject"),
        _SCREEN,
    ),
    "weir_posts_flagged_total": Metric(
        "counter", (), "Posts handed to Python: a gate or a flag was set.", _NONE, _SCREEN
    ),
    "weir_flags_total": Metric(
        "counter", ("flag",), "Posts on which a flag was set.", _one(*FLAGS), _SCREEN
    ),
    "weir_list_hits_total": Metric(
        "counter",
        ("list",),
        "Posts in which an entry of the list was found.",
        (),
        _SCREEN,
        bounded="list",
    ),
    "weir_json_slow_total": Metric(
        "counter",
        ("cause",),
        "Posts that left the fast path for the slow parser.",
        _one(*SLOW_CAUSES),
        _SCREEN,
    ),
    "weir_late_sightings_total": Metric(
        "counter", (), "Sightings beyond correlate.lateness, not applied.", _NONE, ("correlate",)
    ),
    "weir_refused_sightings_total": Metric(
        "counter",
        (),
        "Sightings that found correlate.max_sightings kept, not applied.",
        _NONE,
        ("correlate",),
    ),
    "weir_rule_hits_total": Metric(
        "counter",
        ("rule", "mode"),
        "Rules that held, `policy/rule`; mode is live or shadow.",
        (),
        ("screen", "correlate"),
        bounded="rule",
    ),
    "weir_rule_errors_total": Metric(
        "counter",
        ("rule",),
        "Conditions that failed to evaluate and counted as false.",
        (),
        ("screen", "correlate"),
        bounded="rule",
    ),
    "weir_actions_total": Metric(
        "counter",
        ("kind", "automated"),
        "Actions written; automated is yes or no.",
        tuple((kind, automated) for kind in ACTION_KINDS for automated in ("yes", "no")),
        _ENFORCE,
    ),
    "weir_shadow_actions_total": Metric(
        "counter", ("kind",), "What shadow rules would have done.", _one(*ACTION_KINDS), _ENFORCE
    ),
    "weir_breaker_diverted_total": Metric(
        "counter",
        ("kind",),
        "Actions turned into reviews by the breaker.",
        _one(*BREAKER_KINDS),
        _ENFORCE,
    ),
    "weir_dead_letters_total": Metric(
        "counter",
        ("reason", "disposition"),
        "Records written to weir.dlq.",
        tuple((reason.value, blame.value) for reason in Reason for blame in Disposition),
    ),
    "weir_fuse_open": Metric(
        "gauge", (), "1 once too many records died by our own fault and the stage stopped.", _NONE
    ),
    "weir_stopped_code": Metric(
        "gauge", (), "Exit code of a stage that stopped for a person and waits; 0 otherwise.", _NONE
    ),
    "weir_fast_path": Metric(
        "gauge",
        ("part",),
        "1 while the fast way of a part is in use, 0 while its plain one is.",
        _one(*PARTS),
    ),
    "weir_process_cpu_seconds_total": Metric("counter", (), "User and system CPU time.", _NONE),
    "weir_process_resident_memory_bytes": Metric("gauge", (), "Resident memory.", _NONE),
    "weir_process_start_time_seconds": Metric("gauge", (), "Start, epoch seconds.", _NONE),
}
METRICS: Final[Mapping[MetricName, Metric]] = MappingProxyType(_TABLE)


class Meter(Protocol):
    """Take measurements; every method is cheap enough for once per batch and never blocks.

    `labels` follow the order of METRICS[name].labels. `worker.obs.instruments.Instruments` is
    the one that exports them.
    """

    def add(self, name: CounterName, labels: tuple[str, ...] = (), amount: float = 1) -> None:
        """Raise a counter."""

    def set(self, name: GaugeName, value: float, labels: tuple[str, ...] = ()) -> None:
        """Set a gauge."""

    def since(self, name: AgeName, moment: float, labels: tuple[str, ...] = ()) -> None:
        """Set the epoch second from which an age is counted."""

    def observe(
        self, name: HistogramName, value: float, labels: tuple[str, ...] = (), count: int = 1
    ) -> None:
        """Put `count` observations of `value` into a histogram."""

    def remove(self, name: GaugeName | AgeName, labels: tuple[str, ...]) -> None:
        """Take a series away: a revoked partition leaves no stale lag behind."""


class Vitals(Protocol):
    """Hear how the loop fares; the probes are answered from it. No method blocks."""

    def turned(self, lag: int) -> None:
        """Note one turn of the loop and the messages it is behind; idle polls turn it too."""

    def joined(self) -> None:
        """Note the first assignment, an empty one included: start-up is over."""

    def restoring(self, partitions: int) -> None:
        """Note how many assigned partitions are not rebuilt yet; 0 makes the stage ready."""

    def committed(self) -> None:
        """Note an offset commit that the brokers took."""

    def stopped(self, code: int, message: str) -> None:
        """Note a stop for a person: live, not ready, `message` says what to do."""
