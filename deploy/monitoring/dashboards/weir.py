"""Write the dashboard of a Weir deployment: python -m deploy.monitoring.dashboards.weir."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import VariableRefresh

from deploy.monitoring.dashboards.panels import DATASOURCE, Panel, Query, Row, add

FILE = Path(__file__).parent / "weir.json"
AT = 'stage=~"$stage", instance=~"$instance"'


def rate(metric: str, by: str, more: str = "") -> str:
    """Sum the rate of a counter by labels."""
    matchers = f"{AT}, {more}" if more else AT
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def quantile(q: float, metric: str, by: str) -> str:
    """Read a quantile from a histogram, summed by labels first."""
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', f'{by}, le')})"


def total(metric: str, by: str = "stage", how: str = "sum") -> str:
    """Aggregate a gauge by labels."""
    return f"{how} by ({by}) ({metric}{{{AT}}})"


FLOW = Row(
    "Flow",
    (
        Panel(
            "Records read",
            "Records handed to each stage.",
            "reqps",
            (Query(rate("weir_records_consumed_total", "stage, topic"), "{{stage}} {{topic}}"),),
        ),
        Panel(
            "Records written",
            "Records that the brokers acknowledged, by topic.",
            "reqps",
            (Query(rate("weir_records_produced_total", "topic"), "{{topic}}"),),
        ),
        Panel(
            "Posts",
            "What the input turned out to be, and how many posts Python had to look at.",
            "reqps",
            (
                Query(rate("weir_posts_total", "outcome"), "{{outcome}}"),
                Query(rate("weir_posts_flagged_total", "stage"), "flagged"),
            ),
        ),
        Panel(
            "Lag in records",
            "High watermark minus position, summed over partitions.",
            "short",
            (Query(total("weir_consumer_lag_messages"), "{{stage}}"),),
        ),
        Panel(
            "Lag in time",
            "Age of the oldest record that waits; 0 while none does.",
            "s",
            (
                Query(
                    f"{total('weir_consumer_lag_seconds', how='max')} "
                    f"or 0 * {total('weir_loop_turn_age_seconds', how='max')}",
                    "{{stage}}",
                ),
            ),
        ),
        Panel(
            "Time paused",
            "Share of time in which fetching was paused because output was slow.",
            "percentunit",
            (
                Query(
                    f"max by (stage) (rate(weir_backpressure_seconds_total{{{AT}}}"
                    "[$__rate_interval]))",
                    "{{stage}}",
                ),
            ),
        ),
        Panel(
            "End to end",
            "From the broker's append time of the post to the committed signal or action.",
            "s",
            (
                Query(quantile(0.5, "weir_end_to_end_seconds", "hop"), "{{hop}} p50"),
                Query(quantile(0.99, "weir_end_to_end_seconds", "hop"), "{{hop}} p99"),
            ),
        ),
        Panel(
            "Time by step",
            "Share of one loop's time in each step.",
            "percentunit",
            (
                Query(
                    f"avg by (stage, step) (rate(weir_stage_duration_seconds_sum{{{AT}}}"
                    "[$__rate_interval]))",
                    "{{stage}} {{step}}",
                ),
            ),
        ),
        Panel(
            "CPU per record",
            "CPU time of the process divided by the records that it read.",
            "s",
            (
                Query(
                    f"{rate('weir_process_cpu_seconds_total', 'instance')} "
                    f"/ ({rate('weir_records_consumed_total', 'instance')} > 0)",
                    "{{instance}}",
                ),
            ),
        ),
    ),
)

DECISIONS = Row(
    "Decisions",
    (
        Panel(
            "Rule hits",
            "Rules that held, live and shadow.",
            "reqps",
            (Query(rate("weir_rule_hits_total", "rule, mode"), "{{rule}} {{mode}}"),),
        ),
        Panel(
            "Actions",
            "Actions written by enforce.",
            "reqps",
            (Query(rate("weir_actions_total", "kind"), "{{kind}}"),),
        ),
        Panel(
            "Shadow actions",
            "What shadow rules would have done.",
            "reqps",
            (Query(rate("weir_shadow_actions_total", "kind"), "{{kind}}"),),
        ),
        Panel(
            "List hits",
            "Matches by list; a jump is a bad entry or an attack.",
            "reqps",
            (Query(rate("weir_list_hits_total", "list"), "{{list}}"),),
        ),
        Panel(
            "Diverted by the breaker",
            "Actions above the limits of the bundle, turned into reviews.",
            "reqps",
            (Query(rate("weir_breaker_diverted_total", "kind"), "{{kind}}"),),
        ),
        Panel(
            "Rule errors",
            "Conditions that failed to evaluate and counted as false.",
            "reqps",
            (Query(rate("weir_rule_errors_total", "rule"), "{{rule}}"),),
        ),
        Panel(
            "Bundle",
            "Workers by the bundle that they decide by; more than one is a mismatch.",
            "short",
            (
                Query(
                    f"count by (policy, revision, digest) (weir_policy_info{{{AT}}})",
                    "{{policy}} r{{revision}} {{digest}}",
                ),
            ),
            span=12,
            kind="stat",
        ),
        Panel(
            "Bundles read anew",
            "Since the workers started: taken, unchanged or refused, and then the old one goes on.",
            "short",
            (
                Query(
                    f"sum by (outcome) (weir_policy_reloads_total{{{AT}}})",
                    "{{outcome}}",
                ),
            ),
            span=6,
            kind="stat",
        ),
        Panel(
            "Deciding since",
            "When the oldest worker began to decide by its bundle.",
            "dateTimeFromNow",
            (
                Query(
                    f"1000 * {total('weir_policy_activated_timestamp_seconds', how='min')}",
                    "{{stage}}",
                ),
            ),
            span=6,
            kind="stat",
        ),
        Panel(
            "Act after",
            "Decisions on posts before this time become reviews; 1970 is none.",
            "dateTimeAsIso",
            (
                Query(
                    f"1000 * {total('weir_act_after_timestamp_seconds', how='max')}",
                    "{{stage}}",
                ),
            ),
            span=6,
            kind="stat",
        ),
    ),
)

KAFKA = Row(
    "State and Kafka",
    (
        Panel(
            "Partitions",
            "Owned, and of those being restored.",
            "short",
            (
                Query(total("weir_partitions_assigned"), "{{stage}} assigned"),
                Query(total("weir_partitions_restoring"), "{{stage}} restoring"),
            ),
        ),
        Panel(
            "Rebalances",
            "Assignments received per minute, per worker.",
            "short",
            (
                Query(
                    f"60 * {rate('weir_rebalances_total', 'stage, instance')}",
                    "{{stage}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Transactions",
            "Transactions by outcome; an unknown one ends the process instead.",
            "reqps",
            (Query(rate("weir_transactions_total", "stage, outcome"), "{{stage}} {{outcome}}"),),
        ),
        Panel(
            "Commit time",
            "Time of a commit alone, and producers replaced per minute after a doubtful one.",
            "s",
            (
                Query(quantile(0.99, "weir_transaction_commit_seconds", "stage"), "{{stage}} p99"),
                Query(
                    f"60 * {rate('weir_producers_replaced_total', 'stage')}", "{{stage}} replaced"
                ),
            ),
        ),
        Panel(
            "Pause of a rebalance",
            "From the last decision on a partition to its next, mean since start.",
            "s",
            (
                Query(
                    f"sum by (stage) (weir_rebalance_pause_seconds_sum{{{AT}}}) "
                    f"/ clamp_min(sum by (stage) (weir_rebalance_pause_seconds_count{{{AT}}}), 1)",
                    "{{stage}}",
                ),
                Query(
                    f"sum by (stage) (weir_rebalance_seconds_sum{{{AT}}}) "
                    f"/ clamp_min(sum by (stage) (weir_rebalance_seconds_count{{{AT}}}), 1)",
                    "{{stage}} without an assignment",
                ),
            ),
        ),
        Panel(
            "State written",
            "Bytes of changes, and of snapshots in turn.",
            "Bps",
            (
                Query(
                    rate("weir_state_written_bytes_total", "stage, record"), "{{stage}} {{record}}"
                ),
            ),
        ),
        Panel(
            "Restores",
            "Time from the assignment of a partition to its first decision, mean since start.",
            "s",
            (
                Query(
                    f"sum by (stage, mode) (weir_restore_seconds_sum{{{AT}}}) "
                    f"/ clamp_min(sum by (stage, mode) (weir_restore_seconds_count{{{AT}}}), 1)",
                    "{{stage}} {{mode}}",
                ),
            ),
        ),
        Panel(
            "State entries",
            "Keys held in memory, by table.",
            "short",
            (Query(total("weir_state_entries", "stage, table"), "{{stage}} {{table}}"),),
        ),
        Panel(
            "Memory",
            "Resident memory of each worker.",
            "bytes",
            (
                Query(
                    "weir_process_resident_memory_bytes"
                    '{stage=~"$stage|all", instance=~"$instance"}',
                    "{{stage}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Loop",
            "Seconds since each loop last turned; /livez fails above 30.",
            "s",
            (Query(total("weir_loop_turn_age_seconds", "stage, instance"), "{{stage}}"),),
        ),
        Panel(
            "Durable",
            "1 with replicated topics, 0 where kafka.durability is single_node.",
            "short",
            (Query(total("weir_durability_production", how="min"), "{{stage}}"),),
            kind="stat",
        ),
        Panel(
            "Build",
            "Workers by what runs.",
            "short",
            (
                Query(
                    f"count by (version, backend, client) (weir_build_info{{{AT}}})",
                    "{{version}} {{backend}} {{client}}",
                ),
            ),
            kind="stat",
        ),
    ),
)

ERRORS = Row(
    "Errors",
    (
        Panel(
            "Dead letters",
            "Records written to weir.dlq, by reason.",
            "reqps",
            (Query(rate("weir_dead_letters_total", "reason"), "{{reason}}"),),
        ),
        Panel(
            "Fuse",
            "1 where a stage stopped because too many records died by our own fault.",
            "short",
            (Query(total("weir_fuse_open", "stage, instance", "max"), "{{stage}}"),),
            kind="stat",
        ),
        Panel(
            "Stopped for a person",
            "Exit code of a stage that waits for somebody; 0 is none.",
            "short",
            (Query(total("weir_stopped_code", "stage, instance", "max"), "{{stage}}"),),
            kind="stat",
        ),
        Panel(
            "Flags",
            "Posts with a limit hit or an oddity, by flag.",
            "reqps",
            (Query(rate("weir_flags_total", "flag"), "{{flag}}"),),
        ),
        Panel(
            "Slow path",
            "Posts that left the fast path for the slow parser.",
            "reqps",
            (Query(rate("weir_json_slow_total", "stage"), "posts"),),
        ),
        Panel(
            "Gaps in the input",
            "Places in the posts where offsets are missing.",
            "short",
            (Query(rate("weir_input_gaps_total", "instance"), "{{instance}}"),),
        ),
        Panel(
            "Sightings not applied",
            "Sightings beyond correlate.lateness, or that found correlate.max_sightings kept.",
            "reqps",
            (
                Query(rate("weir_late_sightings_total", "stage"), "late"),
                Query(rate("weir_refused_sightings_total", "stage"), "refused"),
            ),
        ),
        Panel(
            "Fast path",
            "1 while the compiled part is in use.",
            "short",
            (Query(total("weir_fast_path", "stage, part", "min"), "{{stage}} {{part}}"),),
            kind="stat",
        ),
    ),
)

ROWS = (FLOW, DECISIONS, KAFKA, ERRORS)


def build() -> dashboard.Dashboard:
    """Build the dashboard; data source, stage and instance are variables."""
    board = (
        dashboard.Dashboard("Weir")
        .uid("weir")
        .description("A stream moderation worker: flow, decisions, state and errors.")
        .tags(["weir"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("utc")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    )
    for name in ("stage", "instance"):
        board.with_variable(
            dashboard.QueryVariable(name)
            .datasource(DATASOURCE)
            .query(f"label_values(weir_loop_turn_age_seconds, {name})")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    add(board, ROWS)
    return board


def rendered() -> str:
    """Return the file's text."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build().build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered(), encoding="utf-8")
