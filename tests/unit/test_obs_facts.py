"""What is known before the first record is exported before the first record."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.obs.facts import Build, state_build, state_policy, state_topics
from worker.obs.instruments import Instruments
from worker.obs.names import STAGES, Stage
from worker.policy.bundle import Bundle, load_bundle
from worker.settings import Settings

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "example" / "bundle"
BUILD = Build("1.2.3", "compiled", "kafka-python 3.0.12")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(EXAMPLE)


def settings(act_after: object = "none", durability: str = "production") -> Settings:
    return Settings(
        enforce={"act_after": act_after},
        kafka={"durability": durability},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("stage", STAGES)
def test_what_runs_is_stated(stage: Stage) -> None:
    instruments = Instruments(stage)
    state_build(instruments, BUILD, settings(durability="single_node"))
    numbers = dict(instruments.numbers())
    assert numbers["weir_build_info"] == [(tuple(BUILD), 1.0)]
    assert instruments.value("weir_durability_production") == 0
    assert instruments.value("weir_fast_path", ("core",)) == 1
    state_build(instruments, BUILD._replace(backend="reference"), settings())
    assert instruments.value("weir_durability_production") == 1
    assert instruments.value("weir_fast_path", ("core",)) == 0


def test_act_after_is_in_seconds_and_none_is_0() -> None:
    instruments = Instruments("enforce")
    state_build(instruments, BUILD, settings("2026-01-31T12:00:00Z"))
    assert instruments.value("weir_act_after_timestamp_seconds") == 1_769_860_800
    state_build(instruments, BUILD, settings())
    assert instruments.value("weir_act_after_timestamp_seconds") == 0


@pytest.mark.parametrize("stage", STAGES)
def test_rules_and_lists_of_the_bundle_have_zero_series(stage: Stage, bundle: Bundle) -> None:
    instruments = Instruments(stage)
    state_policy(instruments, bundle, now=5.0)
    numbers = dict(instruments.numbers())
    assert numbers["weir_policy_info"] == [
        ((bundle.name, str(bundle.revision), bundle.digest), 1.0)
    ]
    assert instruments.value("weir_policy_activated_timestamp_seconds") == 5
    rules = {"screen": bundle.post_rules, "correlate": bundle.campaign_rules, "enforce": ()}[stage]
    hits = dict(numbers.get("weir_rule_hits_total", []))
    assert hits == {(rule.name, rule.mode): 0.0 for rule in rules}
    assert len(hits) > 0 or stage == "enforce"
    if stage == "screen":
        lists = {each.name for each in (*bundle.keyword_lists, *bundle.hash_lists)}
        assert dict(numbers["weir_list_hits_total"]) == {(name,): 0.0 for name in lists}


def test_topics_have_zero_series() -> None:
    instruments = Instruments("correlate")
    state_topics(instruments, ["weir.sightings"], ["weir.signals", "weir.dlq"])
    assert instruments.value("weir_records_consumed_total", ("weir.sightings",)) == 0
    assert instruments.value("weir_records_produced_total", ("weir.dlq",)) == 0
