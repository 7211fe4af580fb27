"""Every expression returns data from real workers, scraped by a real Prometheus.

One worker process per stage on a real broker takes the shipped sample; the configuration and the
rules are the shipped ones, with other targets and a shorter pace.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import MONITORING, ROOT
from tests.support import prometheus
from tests.support.deployment import Deployment, WorkerProcess, wait_for
from tests.support.promql import dashboard_queries, resolve, rule_expressions
from tests.support.requirements import require
from worker.obs.names import METRICS, STAGES, MetricName
from worker.settings import StageName

pytestmark = [pytest.mark.broker, pytest.mark.prometheus]

EXAMPLE = ROOT / "deploy" / "example"
SCRAPE_MS = 500
RATE_INTERVAL = "4s"  # Grafana takes four scrape intervals; twice that, to survive a late one
RULES = MONITORING / "rules" / "weir.yml"
CANARY = "canary7f3a"
# There only while records wait, and gone with the last of them; its panel shows 0 then.
ONLY_WHILE_BEHIND = "weir_consumer_lag_seconds"


@dataclass
class Live:
    """Hold what runs."""

    deployment: Deployment
    workers: dict[StageName, WorkerProcess]
    ports: dict[StageName, int]
    prometheus: prometheus.Prometheus


def port_of(worker: WorkerProcess) -> int:
    wait_for(lambda: worker.saw("worker_started"), "the worker starts")
    started = next(each for each in worker.events if each["event"] == "worker_started")
    return int(started["port"])


def configuration(folder: Path, ports: dict[StageName, int]) -> Path:
    """Take the shipped files; rules without their waiting times, so that a test need not wait."""
    config: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), f"{SCRAPE_MS}ms")
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports.values()]}]
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
            rule.pop("keep_firing_for", None)
    (folder / "rules").mkdir()
    (folder / "rules" / "weir.yml").write_text(yaml.safe_dump(rules))
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def hostile_posts(folder: Path) -> Path:
    """Write posts whose every text, name and address is a canary: some match, some do not parse."""
    account = {"id": f"{CANARY}-account", "created_at": "2026-01-01T00:00:00Z"}
    post = {
        "id": f"{CANARY}-post",
        "account": account,
        "created_at": "2026-01-31T12:00:00Z",
        "text": f"{CANARY}-text kill them all, buy at https://{CANARY}.example/{CANARY}",
        "urls": [f"https://{CANARY}.example/"],
        "hashtags": [CANARY],
        "client": {"device": f"{CANARY}-device"},
    }
    lines = [json.dumps(post | {"id": f"{CANARY}-{number}"}) for number in range(40)]
    lines += [
        json.dumps(post | {"revision": f"{CANARY}-revision"}),
        json.dumps(post | {"text": None, "urls": None, CANARY: 1}),
        json.dumps(post | {"text": "[" * 100 + CANARY}),
        json.dumps(post)[:-40],
        f'{{"{CANARY}": "{CANARY}"',
        CANARY,
    ]
    file = folder / "hostile.ndjson"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def live(kafka_servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    require("prometheus")
    folder = tmp_path_factory.mktemp("live")
    deployment = Deployment(kafka_servers, folder / "weir", EXAMPLE / "bundle")
    deployment.create()
    try:
        workers = {stage: deployment.start(stage, stages=[stage]) for stage in STAGES}
        ports = {stage: port_of(worker) for stage, worker in workers.items()}
        with prometheus.running(folder, configuration(folder, ports)) as server:
            wait_for(lambda: len(server.ask("up == 1")) == len(STAGES), "every worker is scraped")
            deployment.load(EXAMPLE / "posts.ndjson.gz")
            deployment.load(hostile_posts(folder))
            wait_for(deployment.drained, "the sample went through")
            behind = time.time()
            wait_for(
                lambda: bool(server.ask(f"timestamp(up) > {behind + 2 * SCRAPE_MS / 1000}")),
                "a scrape after the last record",
            )
            yield Live(deployment, workers, ports, server)
    finally:
        deployment.close()


def metrics_of(live: Live, stage: StageName) -> bytes:
    return prometheus.fetch(f"http://127.0.0.1:{live.ports[stage]}/metrics")


@pytest.mark.parametrize("expression", dashboard_queries())
def test_a_dashboard_expression_returns_data(live: Live, expression: str) -> None:
    resolved = resolve(expression, __rate_interval=RATE_INTERVAL)
    assert live.prometheus.values(resolved, SCRAPE_MS / 1000), resolved


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {ONLY_WHILE_BEHIND}))
def test_a_metric_of_the_registry_comes_from_every_stage_that_has_it(
    live: Live, name: MetricName
) -> None:
    series = f"{name}_bucket" if METRICS[name].kind == "histogram" else name
    found = live.prometheus.ask(f"count by (stage) (last_over_time({series}[10m]))")
    assert {each["metric"]["stage"] for each in found} == set(METRICS[name].stages)


def test_nothing_is_exported_but_the_registry(live: Live) -> None:
    names = set(live.prometheus.api("label/__name__/values"))
    parts = {f"{name}{part}" for name in METRICS for part in ("", "_bucket", "_sum", "_count")}
    assert {name for name in names if name.startswith("weir")} <= parts
    assert not {name for name in names if name.endswith("_created")}


def test_counters_agree_with_what_is_in_the_topics(live: Live) -> None:
    def total(expression: str) -> float:
        (series,) = live.prometheus.ask(expression)
        return float(series["value"][1])

    settings = live.deployment.settings()
    posts = sum(live.deployment.ends(settings.topic("posts")).values())
    assert posts > 0
    assert total("sum(weir_posts_total)") == posts
    topic = settings.topic("posts")
    assert total(f'sum(weir_records_consumed_total{{topic="{topic}"}})') == posts
    actions = live.deployment.actions()
    assert total("sum(weir_actions_total)") == len(actions) > 0
    for kind in {read.json["kind"] for read in actions}:
        expected = sum(read.json["kind"] == kind for read in actions)
        assert total(f'sum(weir_actions_total{{kind="{kind}"}})') == expected
    assert total("sum(weir_dead_letters_total)") == len(live.deployment.read("dlq"))
    assert total("sum(weir_shadow_actions_total)") == len(live.deployment.read("shadow"))
    assert total("sum(weir_consumer_lag_messages)") == 0
    assert total("sum(weir_partitions_assigned)") >= 3 * live.deployment.partitions


@pytest.mark.parametrize("stage", STAGES)
def test_promtool_accepts_the_exposition(live: Live, stage: StageName) -> None:
    done = subprocess.run(
        [require("promtool"), "check", "metrics"],
        input=metrics_of(live, stage),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()


@pytest.mark.parametrize("expression", rule_expressions(RULES))
def test_an_alert_expression_is_accepted_by_prometheus(live: Live, expression: str) -> None:
    live.prometheus.ask(expression)


def test_nothing_of_a_post_is_in_logs_metrics_or_headers(live: Live) -> None:
    letters = live.deployment.read("dlq")
    mine = [each for each in letters if each.value and CANARY.encode() in each.value]
    assert len(mine) >= 4, "the posts must have been read, and some refused"
    for each in letters:
        for name, value in each.headers:
            assert CANARY.encode() not in value, name
    for stage, worker in live.workers.items():
        assert CANARY not in worker.log.read_text(errors="replace"), stage
        assert CANARY.encode() not in metrics_of(live, stage), stage


def firing(live: Live) -> set[str]:
    found = live.prometheus.ask('ALERTS{alertstate="firing"}')
    return {f"{each['metric']['alertname']}/{each['metric'].get('stage', '')}" for each in found}


def test_an_alert_fires_when_a_worker_is_gone(live: Live) -> None:
    """Last in this file: it takes the worker of correlate away."""
    quiet = {"WeirStageAbsent/correlate", "WeirWorkerDown/", "WeirStopped/", "WeirFuseOpen/screen"}
    assert not quiet & firing(live)
    assert live.workers["correlate"].stop() == 0
    wait_for(
        lambda: {"WeirStageAbsent/correlate", "WeirWorkerDown/"} <= firing(live),
        "the alerts of a lost worker fire",
        30,
    )
