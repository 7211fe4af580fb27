"""Metric registry, instruments and the exposition made of them."""

from __future__ import annotations

import itertools
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from worker.obs.collector import Exposition, WorkerCollector
from worker.obs.instruments import Instruments
from worker.obs.names import (
    MAX_POLICY_LABELS,
    METRICS,
    STAGES,
    AgeName,
    CounterName,
    GaugeName,
    HistogramName,
    InfoName,
)

BY_KIND = {
    "counter": get_args(CounterName),
    "gauge": get_args(GaugeName),
    "age": get_args(AgeName),
    "histogram": get_args(HistogramName),
    "info": get_args(InfoName),
}


def exposed(*stages: Instruments, now: float = 1_000.0) -> dict[str, dict[frozenset[str], float]]:
    """Scrape, parse with the client's own parser, and key samples by name and label set."""
    collector = WorkerCollector(stages, clock=lambda: now)
    text = Exposition(collector).render("text/plain")[0].decode()
    found: dict[str, dict[frozenset[str], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = frozenset(f"{key}={value}" for key, value in sample.labels.items())
            assert labels not in found.setdefault(sample.name, {}), "a series twice"
            found[sample.name][labels] = sample.value
    return found


def test_table_and_types_name_the_same_metrics() -> None:
    for kind, names in BY_KIND.items():
        assert set(names) == {name for name, metric in METRICS.items() if metric.kind == kind}


@pytest.mark.parametrize("name", METRICS)
def test_each_entry_follows_the_naming_rules(name: str) -> None:
    metric = METRICS[name]
    assert re.fullmatch(r"weir_[a-z][a-z0-9_]*", name)
    assert (metric.kind == "counter") == name.endswith("_total")
    assert (metric.kind == "info") == name.endswith("_info")
    assert metric.kind not in {"age", "histogram"} or name.endswith("_seconds")
    assert metric.help.endswith(".")
    assert "stage" not in metric.labels
    assert set(metric.labels).isdisjoint({"account", "text", "url", "post", "le"})
    assert all(len(labels) == len(metric.labels) for labels in metric.preset)
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert not metric.bounded or metric.bounded in metric.labels
    for low, high in itertools.pairwise(metric.buckets):
        assert low < high <= low * 2.5 * (1 + 1e-9)


@pytest.mark.parametrize("stage", STAGES)
def test_preset_series_are_zero_before_the_first_event(stage: str) -> None:
    found = exposed(Instruments(stage))
    for name, metric in METRICS.items():
        if metric.kind == "histogram":
            continue
        for values in metric.preset:
            labels = {f"{k}={v}" for k, v in zip(metric.labels, values, strict=True)}
            series = found.get(name, {})
            if stage not in metric.stages:
                assert not series
            elif not name.startswith("weir_process_"):
                assert series[frozenset(labels | {f"stage={stage}"})] == 0


def test_every_series_carries_its_stage_and_none_is_created() -> None:
    found = exposed(*(Instruments(stage) for stage in STAGES))
    for name, series in found.items():
        assert not name.endswith("_created")
        for labels in series:
            stages = {label for label in labels if label.startswith("stage=")}
            assert len(stages) == 1
            wanted = "all" if name.startswith("weir_process_") else r"screen|correlate|enforce"
            assert re.fullmatch(f"stage=({wanted})", stages.pop())


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100, allow_nan=False) | st.sampled_from([0.001, 0.0025, 0.25, 30.0]),
            st.integers(1, 5),
        ),
        max_size=40,
    )
)
def test_a_histogram_counts_like_a_sorted_list(values: list[tuple[float, int]]) -> None:
    instruments = Instruments("screen")
    for value, count in values:
        instruments.observe("weir_stage_duration_seconds", value, ("fetch",), count)
    found = exposed(instruments)
    series = found["weir_stage_duration_seconds_bucket"]
    mine = frozenset({"stage=screen", "step=fetch"})
    for edge in METRICS["weir_stage_duration_seconds"].buckets:
        expected = sum(count for value, count in values if value <= edge)
        assert series[mine | {f"le={edge}"}] == expected
    total = sum(count for _, count in values)
    assert series[mine | {"le=+Inf"}] == total
    assert found["weir_stage_duration_seconds_count"][mine] == total
    assert found["weir_stage_duration_seconds_sum"][mine] == pytest.approx(
        sum(value * count for value, count in values)
    )


def test_an_age_grows_until_it_is_set_again_and_goes_at_revocation() -> None:
    instruments = Instruments("screen")
    labels = ("posts", "3")
    instruments.since("weir_consumer_lag_seconds", 940.0, labels)
    series = frozenset({"stage=screen", "topic=posts", "partition=3"})
    assert exposed(instruments, now=1_000)["weir_consumer_lag_seconds"] == {series: 60.0}
    assert exposed(instruments, now=1_010)["weir_consumer_lag_seconds"] == {series: 70.0}
    assert exposed(instruments, now=900)["weir_consumer_lag_seconds"] == {series: 0.0}
    instruments.remove("weir_consumer_lag_seconds", labels)
    instruments.remove("weir_consumer_lag_seconds", labels)
    assert "weir_consumer_lag_seconds" not in exposed(instruments)


def test_policy_labels_are_bounded_and_the_rest_are_other() -> None:
    instruments = Instruments("screen")
    for number in range(MAX_POLICY_LABELS + 5):
        instruments.add("weir_rule_hits_total", (f"spam/{number}", "live"))
        instruments.add("weir_rule_hits_total", (f"spam/{number}", "live"))
    series = exposed(instruments)["weir_rule_hits_total"]
    assert len(series) == MAX_POLICY_LABELS + 1
    assert series[frozenset({"stage=screen", "rule=other", "mode=live"})] == 10
    assert series[frozenset({"stage=screen", "rule=spam/0", "mode=live"})] == 2


def test_an_info_metric_has_one_series() -> None:
    instruments = Instruments("enforce")
    instruments.inform("weir_policy_info", ("platform-safety", "7", "aa"))
    instruments.inform("weir_policy_info", ("platform-safety", "8", "bb"))
    assert exposed(instruments)["weir_policy_info"] == {
        frozenset({"stage=enforce", "policy=platform-safety", "revision=8", "digest=bb"}): 1
    }


def test_wrong_labels_are_refused_with_both_values() -> None:
    with pytest.raises(ValueError, match=r"weir_actions_total takes .*'kind', 'automated'.*'warn'"):
        Instruments("enforce").add("weir_actions_total", ("warn",))


def test_a_stage_cannot_fill_the_metric_of_another() -> None:
    with pytest.raises(KeyError):
        Instruments("screen").add("weir_actions_total", ("warn", "yes"))


def test_a_refresh_runs_once_per_scrape() -> None:
    instruments = Instruments("screen")
    runs: list[None] = []
    collector = WorkerCollector([instruments], [lambda: runs.append(None)])
    exposition = Exposition(collector)
    assert runs == []
    exposition.render("")
    exposition.render("application/openmetrics-text; version=1.0.0")
    assert len(runs) == 2
