"""What every rendered object must keep: budgets, probes, restricted pods, guarded network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import CHART, Object, objects, of_kind, rendered
from worker.obs.health import COMMIT_WITHIN_S, LIVE_WITHIN_S
from worker.settings import LIVENESS_MS, SLICE_MS, WATCHDOG_MS, Settings
from worker.settings_load import load_settings

pytestmark = pytest.mark.helm


@pytest.fixture
def stages(chart: list[Object]) -> dict[str, Object]:
    """Give the StatefulSets by stage."""
    found = {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each
        for each in of_kind(chart, "StatefulSet")
    }
    assert found
    return found


def pod(stateful_set: Object) -> Any:
    return stateful_set["spec"]["template"]["spec"]


def container(stateful_set: Object) -> Any:
    (only,) = pod(stateful_set)["containers"]
    return only


def settings_of(chart: list[Object], stage: str, folder: Path) -> Settings:
    (found,) = [
        each
        for each in of_kind(chart, "ConfigMap")
        if each["metadata"]["labels"].get("app.kubernetes.io/component") == stage
    ]
    file = folder / "weir.yaml"
    file.write_text(found["data"]["weir.yaml"], encoding="utf-8")
    return load_settings(file).settings


def test_time_budgets_hold_in_the_pod(
    chart: list[Object], stages: dict[str, Object], tmp_path: Path
) -> None:
    for name, each in stages.items():
        settings = settings_of(chart, name, tmp_path)
        kafka, shutdown = settings.kafka, settings.shutdown
        grace_ms = pod(each)["terminationGracePeriodSeconds"] * 1000
        assert 3 * kafka.heartbeat_interval_ms < kafka.session_timeout_ms
        assert kafka.request_timeout_ms < kafka.delivery_timeout_ms < kafka.transaction_timeout_ms
        assert SLICE_MS * 10 < LIVENESS_MS < WATCHDOG_MS < kafka.max_poll_interval_ms
        assert shutdown.total_ms < grace_ms == shutdown.grace_ms
        assert LIVE_WITHIN_S * 1000 == LIVENESS_MS
        assert kafka.max_poll_interval_ms <= COMMIT_WITHIN_S * 1000


def test_probes_ask_for_progress_and_leave_the_watchdog_its_time(
    chart: list[Object], stages: dict[str, Object], tmp_path: Path
) -> None:
    for name, each in stages.items():
        worker = container(each)
        paths = {
            kind: worker[f"{kind}Probe"]["httpGet"]["path"]
            for kind in ("startup", "liveness", "readiness")
        }
        assert paths == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
        (port,) = worker["ports"]
        assert port["containerPort"] == settings_of(chart, name, tmp_path).health.port
        startup, live = worker["startupProbe"], worker["livenessProbe"]
        unavailable_s = settings_of(chart, name, tmp_path).kafka.unavailable_after_ms / 1000
        assert startup["periodSeconds"] * startup["failureThreshold"] > unavailable_s
        killed_s = LIVE_WITHIN_S + live["periodSeconds"] * (live["failureThreshold"] - 1)
        assert killed_s > WATCHDOG_MS / 1000


def test_pods_are_restricted(stages: dict[str, Object]) -> None:
    """Pod Security Standard `restricted`, and no token for the API."""
    for each in stages.values():
        spec, worker = pod(each), container(each)
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert worker["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        allowed = {"configMap", "projected", "emptyDir", "persistentVolumeClaim", "secret"}
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} <= allowed
        for mount in worker["volumeMounts"]:
            assert mount.get("readOnly") or mount["mountPath"] == "/tmp"  # noqa: S108
        assert worker["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in worker["resources"]["limits"]


def test_no_object_but_the_pods_account_and_it_has_no_token(chart: list[Object]) -> None:
    (account,) = of_kind(chart, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert not {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & {
        each["kind"] for each in chart
    }


def test_secrets_come_as_files_never_as_variables(
    chart: list[Object], stages: dict[str, Object]
) -> None:
    for each in stages.values():
        for variable in container(each)["env"]:
            assert "secretKeyRef" not in variable.get("valueFrom", {})
        (secrets,) = [v for v in pod(each)["volumes"] if v["name"] == "secrets"]
        assert secrets["projected"]["defaultMode"] == 0o440
        paths = [
            item["path"]
            for source in secrets["projected"]["sources"]
            for item in source["secret"]["items"]
        ]
        assert "deployment.key" in paths
        assert len(paths) == len(set(paths))
    text = yaml.safe_dump([each for each in chart if each["kind"] != "Secret"])
    for secret in of_kind(chart, "Secret"):
        for value in secret["stringData"].values():
            assert value not in text


def test_the_name_of_a_pod_is_its_slot_and_each_stage_runs_itself(
    stages: dict[str, Object],
) -> None:
    for name, each in stages.items():
        worker = container(each)
        assert worker["args"][:3] == ["run", "--stage", name]
        assert worker["args"][5] == "--start"
        slot = next(v for v in worker["env"] if v["name"] == "WEIR_SLOT")
        assert slot["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        assert each["spec"]["podManagementPolicy"] == "Parallel"


def test_a_change_of_settings_or_bundle_restarts_the_pods(stages: dict[str, Object]) -> None:
    for each in stages.values():
        annotations = each["spec"]["template"]["metadata"]["annotations"]
        assert len(annotations["checksum/config"]) == 64
        assert len(annotations["checksum/bundle"]) == 64


def test_services_budgets_and_sets_select_the_same_pods(
    chart: list[Object], stages: dict[str, Object], values_file: Path
) -> None:
    services = {each["metadata"]["name"]: each for each in of_kind(chart, "Service")}
    budgets = {
        each["metadata"]["name"]: each["spec"] for each in of_kind(chart, "PodDisruptionBudget")
    }
    for each in stages.values():
        name = each["metadata"]["name"]
        wanted = each["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= each["spec"]["template"]["metadata"]["labels"].items()
        service = services[each["spec"]["serviceName"]]
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["selector"] == wanted
        assert service["spec"]["publishNotReadyAddresses"] is True
        if values_file.stem != "screen-only-values":
            assert budgets[name]["selector"]["matchLabels"] == wanted
            assert budgets[name]["maxUnavailable"] == 1
            assert budgets[name]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_network_lets_through_scrapes_dns_and_brokers_alone(
    chart: list[Object], stages: dict[str, Object], values_file: Path, tmp_path: Path
) -> None:
    if values_file.stem == "screen-only-values":
        assert not of_kind(chart, "NetworkPolicy")
        return
    (policy,) = of_kind(chart, "NetworkPolicy")
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    for each in stages.values():
        assert (
            spec["podSelector"]["matchLabels"].items()
            <= each["spec"]["template"]["metadata"]["labels"].items()
        )
    (ingress,) = spec["ingress"]
    assert ingress["from"]
    assert [port["port"] for port in ingress["ports"]] == ["health"]
    dns, brokers = spec["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert dns["to"]
    open_ports = {port["port"] for port in brokers["ports"]}
    for stage in stages:
        for server in settings_of(chart, stage, tmp_path).kafka.bootstrap_servers:
            assert int(server.rpartition(":")[2]) in open_ports


def test_files_of_a_bundle_keep_their_paths() -> None:
    chart = objects(rendered("-f", str(CHART / "ci" / "trial-values.yaml")))
    (held,) = [each for each in of_kind(chart, "ConfigMap") if "bundle.yaml" in each["data"]]
    for each in of_kind(chart, "StatefulSet"):
        (volume,) = [v for v in pod(each)["volumes"] if v["name"] == "bundle"]
        items = {item["path"]: item["key"] for item in volume["configMap"]["items"]}
        assert items == {"bundle.yaml": "bundle.yaml", "lists/words.txt": "lists__words.txt"}
        assert set(items.values()) == held["data"].keys()
