"""Alerts, runbooks and dashboards agree with each other and with the metric registry."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from deploy.monitoring.dashboards import weir as dashboard
from tests.deploy.conftest import MONITORING, ROOT
from tests.support.promql import dashboard_queries, metric_names, rule_expressions
from tests.support.requirements import require
from worker.domain.dead_letter import Reason
from worker.obs import document
from worker.obs.logs import EVENTS
from worker.obs.names import METRICS
from worker.settings_load import load_settings

RULES = MONITORING / "rules" / "weir.yml"
TESTS = MONITORING / "tests" / "weir_test.yml"
RUNBOOKS = MONITORING / "runbooks"
SECTIONS = ["Symptom", "Impact", "Check", "Act", "Verify"]


def alerts() -> dict[str, Any]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [require("promtool"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=MONITORING,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.prometheus
def test_promtool_accepts_the_rules_and_the_scrape_configuration() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", "rules/weir.yml")
    promtool("check", "config", "prometheus.yml")


@pytest.mark.prometheus
def test_every_alert_fires_and_resolves_as_written() -> None:
    promtool("test", "rules", "tests/weir_test.yml")


def test_every_alert_has_a_test_that_is_quiet_fires_and_is_quiet_again() -> None:
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    shapes = {
        test["name"]: [bool(step["exp_alerts"]) for step in test["alert_rule_test"]]
        for test in tests
    }
    assert shapes == {name: [False, True, False] for name in alerts()}
    for test in tests:
        assert {step["alertname"] for step in test["alert_rule_test"]} == {test["name"]}


def test_every_alert_says_how_urgent_it_is_and_where_to_read_on() -> None:
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in {"page", "ticket"}, name
        assert alert["annotations"].keys() == {"summary", "runbook_url"}, name
        assert alert["annotations"]["runbook_url"] == f"runbooks/{name}.md"
        # An alert over a rate or a change would flap at its edge without being held.
        if re.search(r"\b(increase|rate|changes)\(", alert["expr"]) and "== 0" not in alert["expr"]:
            assert "keep_firing_for" in alert, name


def test_alerts_and_runbooks_come_in_pairs() -> None:
    pages = {page.stem: page.read_text(encoding="utf-8") for page in RUNBOOKS.glob("*.md")}
    assert pages.keys() == alerts().keys()
    for name, text in pages.items():
        assert text.startswith(f"# {name}\n")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS, name
        parts = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
        assert all(len(part.split()) >= 3 for part in parts), name
        for link in re.findall(r"\]\((\w+\.md)\)", text):
            assert (RUNBOOKS / link).exists(), f"{name} links to {link}"


def test_a_runbook_names_only_metrics_that_exist() -> None:
    for page in RUNBOOKS.glob("*.md"):
        for name in re.findall(r"\bweir_[a-z_]+\b", page.read_text(encoding="utf-8")):
            assert name.removesuffix("_bucket") in METRICS, f"{page.name}: {name}"


def test_a_runbook_names_only_log_events_that_exist() -> None:
    settings = {path.rsplit(".", 1)[-1] for path in setting_paths()}
    reasons = {each.value for each in Reason} | {"systemic", "committed"}
    for page in RUNBOOKS.glob("*.md"):
        for word in re.findall(r"`([a-z]+_[a-z_]+)`", page.read_text(encoding="utf-8")):
            known = word in EVENTS or word in METRICS or word in settings or word in reasons
            assert known or word in {"action_id"}, f"{page.name}: {word}"


def test_a_runbook_names_only_settings_that_exist() -> None:
    groups = {path.partition(".")[0] for path in setting_paths() if "." in path}
    pattern = re.compile(rf"`((?:{'|'.join(groups)})\.[a-z_.]+)[:`]")
    found = [
        (page.name, path)
        for page in RUNBOOKS.glob("*.md")
        for path in pattern.findall(page.read_text(encoding="utf-8"))
    ]
    assert found
    for name, path in found:
        assert path in setting_paths(), f"{name}: {path}"


@cache
def setting_paths() -> frozenset[str]:
    return frozenset(load_settings().origins)


@pytest.mark.parametrize("expression", rule_expressions(RULES))
def test_alert_expressions_name_only_metrics_of_the_registry(expression: str) -> None:
    assert metric_names(expression) <= METRICS.keys() | {"up"}


@pytest.mark.parametrize("expression", dashboard_queries())
def test_dashboard_expressions_name_only_metrics_of_the_registry(expression: str) -> None:
    names = metric_names(expression)
    assert names
    assert names <= METRICS.keys()


def test_a_misspelt_metric_or_expression_is_noticed() -> None:
    assert metric_names("rate(weir_post_total[5m])") - METRICS.keys() == {"weir_post_total"}
    with pytest.raises(ValueError, match="paren"):
        promql_parser.parse("rate(weir_posts_total[5m]")


def test_labels_in_expressions_are_labels_of_the_metric() -> None:
    for expression in [*dashboard_queries(), *rule_expressions(RULES)]:
        for name, labels in re.findall(r"(weir_\w+)\{([^}]*)\}", expression):
            stem = re.sub(r"_(bucket|sum|count)$", "", name)
            metric = METRICS.get(name) or METRICS[stem]
            allowed = {"stage", "instance", "job", "le", *metric.labels}
            assert set(re.findall(r"(\w+)\s*[=!]~?\s*\"", labels)) <= allowed, expression


def test_nearly_every_metric_is_shown_or_alerted_on() -> None:
    """A number that nobody looks at is not worth its cost."""
    seen = set().union(*map(metric_names, [*dashboard_queries(), *rule_expressions(RULES)]))
    assert METRICS.keys() - seen == set()


def panels() -> Iterator[Any]:
    yield from dashboard.build().build().panels or []


def test_the_committed_dashboard_is_the_generated_one() -> None:
    """Refresh with python -m deploy.monitoring.dashboards.weir."""
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.rendered()


def test_every_panel_has_unit_description_and_data_source() -> None:
    titles = [panel.title for panel in panels()]
    assert len(titles) == len(set(titles))
    for panel in panels():
        if panel.title in {row.title for row in dashboard.ROWS}:
            continue
        assert panel.description, panel.title
        assert panel.description.endswith("."), panel.title
        assert panel.field_config.defaults.unit, panel.title
        assert panel.datasource.uid == "${datasource}", panel.title
        assert panel.targets, panel.title
        for target in panel.targets:
            assert target.legend_format, panel.title


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel.id_val for panel in panels()]
    assert len(ids) == len(set(ids))
    places = [panel.grid_pos for panel in panels()]
    for place in places:
        assert place.x + place.w <= 24
    ordered = sorted(places, key=lambda place: (place.y, place.x))
    for first, second in pairwise(ordered):
        if first.y == second.y:
            assert first.x + first.w <= second.x
    for index, first in enumerate(ordered):
        for second in ordered[index + 1 :]:
            if second.x < first.x + first.w and first.x < second.x + second.w:
                assert first.y + first.h <= second.y


def test_rates_follow_the_scrape_interval() -> None:
    for expression in dashboard_queries():
        assert not re.search(r"\[\d+[smhd]\]", expression), expression


def test_metrics_of_the_documentation_are_those_of_the_registry() -> None:
    """Refresh with python -m worker.obs.document > docs/metrics.md."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert text == document.page()


def test_prometheus_scrapes_the_port_that_workers_serve() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    targets = job["static_configs"][0]["targets"]
    assert targets == ["screen:9464", "correlate:9464", "enforce:9464"]
    assert Path(MONITORING / config["rule_files"][0]).parent == RULES.parent
