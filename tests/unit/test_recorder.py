"""What a stage counts arrives in the metrics of that stage, and what was re-read does not."""

from __future__ import annotations

from collections import Counter

import pytest

from fastpath.checks import counter_names
from fastpath.spec import HashList, KeywordList, ScreenSpec
from worker.engine.recorder import StageRecorder
from worker.obs.instruments import Instruments
from worker.obs.names import Stage


def recorded(stage: Stage, *keys: str) -> Instruments:
    instruments = Instruments(stage)
    counters: Counter[str] = Counter()
    recorder = StageRecorder(stage, lambda: counters, instruments)
    counters.update(keys)
    recorder.count()
    return instruments


@pytest.mark.parametrize(
    ("stage", "key", "metric", "labels"),
    [
        ("screen", "rule_hits.spam/v1.2.live", "weir_rule_hits_total", ("spam/v1.2", "live")),
        ("screen", "rule_errors.spam/v1.2", "weir_rule_errors_total", ("spam/v1.2",)),
        ("screen", "posts", "weir_posts_total", ("post",)),
        ("screen", "rejects", "weir_posts_total", ("reject",)),
        ("screen", "flag.clock_skew", "weir_flags_total", ("clock_skew",)),
        ("screen", "match.words", "weir_list_hits_total", ("words",)),
        ("screen", "hit.domains", "weir_list_hits_total", ("domains",)),
        ("screen", "slow.nesting", "weir_json_slow_total", ("nesting",)),
        ("correlate", "late", "weir_late_sightings_total", ()),
        ("correlate", "refused", "weir_refused_sightings_total", ()),
        (
            "correlate",
            "rule_hits.copies/text.shadow",
            "weir_rule_hits_total",
            ("copies/text", "shadow"),
        ),
        ("enforce", "actions.warn.yes", "weir_actions_total", ("warn", "yes")),
        ("enforce", "shadow.lock", "weir_shadow_actions_total", ("lock",)),
        ("enforce", "diverted.breaker.suspend", "weir_breaker_diverted_total", ("suspend",)),
        (
            "enforce",
            "dead_letters.json_invalid.systemic",
            "weir_dead_letters_total",
            ("json_invalid", "systemic"),
        ),
    ],
)
def test_a_counter_becomes_its_metric(
    stage: Stage, key: str, metric: str, labels: tuple[str, ...]
) -> None:
    assert recorded(stage, key).value(metric, labels) == 1  # type: ignore[arg-type]


def test_every_counter_of_the_core_is_taken_or_left_without_an_error() -> None:
    spec = ScreenSpec(
        keyword_lists=(KeywordList("words", ("x",)),),
        hash_lists=(HashList("domains", "domain", ("a.example",)),),
    )
    recorded("screen", *counter_names(spec))


def test_what_only_summaries_count_is_left_alone() -> None:
    before = list(Instruments("enforce").numbers())
    assert list(recorded("enforce", "strikes.live", "diverted.exempt.lock").numbers()) == before


def test_what_was_re_read_is_forgotten() -> None:
    instruments = Instruments("screen")
    counters: Counter[str] = Counter(posts=5)
    recorder = StageRecorder("screen", lambda: counters, instruments)
    counters["posts"] += 7
    recorder.skip()
    counters["posts"] += 2
    recorder.count()
    recorder.count()
    assert instruments.value("weir_posts_total", ("post",)) == 2
