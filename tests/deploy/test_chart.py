"""The chart lints, renders as recorded, fits Kubernetes' schemas, and refuses what is wrong."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.helm import values_schema
from tests.deploy.conftest import (
    CHART,
    KUBE_VERSION,
    MONITORING,
    Object,
    helm,
    of_kind,
    rendered,
    template,
)
from worker.settings_load import load_settings

pytestmark = pytest.mark.helm

# From the oldest that the chart names to the newest that kubernetes-validate knows.
KUBERNETES = ("1.27.0", "1.31.0", "1.33.0", "1.37.0")
TRIAL = str(CHART / "ci" / "trial-values.yaml")

LABELS = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(**properties: object) -> Object:
    return {"type": "object", "additionalProperties": False, "properties": properties}


METADATA = closed(name={"type": "string"}, labels=LABELS)
# The operator's objects, as far as the chart writes them: a misspelt field fails here too.
OPERATOR: dict[str, Object] = {
    "PodMonitor": closed(
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={},
        metadata=METADATA,
        spec=closed(
            selector=closed(matchLabels=LABELS),
            podMetricsEndpoints={
                "type": "array",
                "items": closed(
                    port={"type": "string"},
                    path={"type": "string"},
                    interval={"type": "string", "pattern": r"^\d+(ms|s|m)$"},
                ),
            },
        ),
    ),
    "PrometheusRule": closed(
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={},
        metadata=METADATA,
        spec=closed(
            groups={
                "type": "array",
                "items": closed(
                    name={"type": "string"},
                    rules={
                        "type": "array",
                        "items": closed(
                            alert={"type": "string"},
                            expr={"type": "string"},
                            **{"for": {"type": "string"}, "keep_firing_for": {"type": "string"}},
                            labels=LABELS,
                            annotations=LABELS,
                        ),
                    },
                ),
            }
        ),
    ),
}


def test_lint_is_clean(values_file: Path) -> None:
    done = helm(
        "lint", str(CHART), "--strict", "--kube-version", KUBE_VERSION, "-f", str(values_file)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_rendering_equals_the_recorded_one(
    values_file: Path, golden: Callable[[str, str], None]
) -> None:
    text = rendered("-f", str(values_file))
    # Alerts and dashboard have tests of their own, and change for reasons of their own.
    text = re.sub(r"(?s)(\n  groups:\n).*?(?=\n---|\Z)", r"\1    (alerts)", text)
    text = re.sub(r"\n  weir\.json: .*", "\n  weir.json: (dashboard)", text)
    golden(f"chart/{values_file.stem}.yaml", text)


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_fits_the_schema_strictly(chart: list[Object], version: str) -> None:
    assert chart
    for each in chart:
        if each["kind"] in OPERATOR:
            jsonschema.validate(each, OPERATOR[each["kind"]])
        else:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_schema_check_notices_a_misspelt_field(chart: list[Object]) -> None:
    (first, *_) = of_kind(chart, "StatefulSet")
    broken = copy.deepcopy(first)
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(broken, KUBERNETES[-1], strict=True)


def test_schema_of_values_is_that_of_the_settings() -> None:
    """Refresh with python -m deploy.helm.values_schema."""
    assert values_schema.FILE.read_text(encoding="utf-8") == values_schema.rendered()
    jsonschema.Draft202012Validator.check_schema(json.loads(values_schema.rendered()))


def test_every_value_stands_in_the_schema_and_the_other_way_round() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = values_schema.build()
    assert values.keys() | {"global"} == schema["properties"].keys()
    for name in ("image", "worker", "networkPolicy", "podMonitor", "prometheusRule", "bundle"):
        assert values[name].keys() == schema["properties"][name]["properties"].keys(), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("config.kafka.bootstrap_server=a:9092", "bootstrap_server"),
        ("config.kafka.session_timeout_ms=fast", "session_timeout_ms"),
        ("config.correlate.lateness=600", "lateness"),
        ("config.slot=mine", "slot"),
        ("config.bundle=/elsewhere", "bundle"),
        ("config.shutdown.grace_ms=1", "grace_ms"),
        ("config.enforce.act_after=null", "act_after"),
        ("start=yesterday", "start"),
        ("stages.scren.replicas=1", "scren"),
        ("stages.screen.replica=1", "replica"),
        ("worker.terminationGracePeriodSecond=60", "terminationGracePeriodSecond"),
        ("deploymentKey.value=short", "value"),
        ("imagee.tag=1", "imagee"),
        # Relations, which the templates check.
        (
            "worker.terminationGracePeriodSeconds=34",
            "commit and close take 34000 ms",
        ),
        ("config.shutdown.flush_ms=40000", "take 62000 ms"),
        ("config.kafka.bootstrap_servers=a:9093", "lets nobody reach port 9093"),
        ("bundle.volume.emptyDir.medium=Memory", "bundle.files and bundle.volume are both set"),
        ("deploymentKey.existingSecret=other", "keep one"),
    ],
)
def test_a_wrong_value_is_refused_by_name(change: str, message: str) -> None:
    done = template("-f", TRIAL, "--set", change)
    assert done.returncode != 0
    assert message in done.stderr


def test_defaults_alone_say_what_must_be_chosen() -> None:
    done = template()
    assert done.returncode != 0
    assert "/start" in done.stderr
    assert "'enforce'" in done.stderr


def test_a_bundle_and_a_key_are_required() -> None:
    needed = ("--set", "start=latest,config.enforce.act_after=none")
    assert "no policy bundle" in template(*needed).stderr
    bundle = ("--set", "bundle.volume.configMap.name=b")
    assert "no deployment key" in template(*needed, *bundle).stderr


def test_rendered_settings_load_through_the_settings_model(
    chart: list[Object], tmp_path: Path
) -> None:
    maps = [each for each in of_kind(chart, "ConfigMap") if "weir.yaml" in each["data"]]
    assert maps
    for each in maps:
        file = tmp_path / f"{each['metadata']['name']}.yaml"
        file.write_text(each["data"]["weir.yaml"], encoding="utf-8")
        settings = load_settings(file, {"WEIR_SLOT": "pod-0"}).settings
        assert settings.enforce.act_after is not None
        assert settings.health.host == "0.0.0.0"  # noqa: S104
        assert str(settings.bundle) == "/etc/weir/bundle"
        assert str(settings.deployment_key_file) == "/etc/weir/secrets/deployment.key"


def test_alerts_of_the_chart_are_those_of_the_rules() -> None:
    values = str(CHART / "ci" / "production-values.yaml")
    (rule,) = of_kind(list(yaml.safe_load_all(rendered("-f", values))), "PrometheusRule")
    source = yaml.safe_load((MONITORING / "rules" / "weir.yml").read_text(encoding="utf-8"))
    for group in source["groups"]:
        for each in group["rules"]:
            url = each["annotations"]["runbook_url"]
            each["annotations"]["runbook_url"] = f"https://runbooks.example.org/{url}"
    assert rule["spec"] == source
