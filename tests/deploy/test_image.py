"""The image, the compose file and every YAML file are sound; no container engine is needed."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.conftest import MONITORING, ROOT
from tests.support.requirements import require
from worker.settings_load import load_settings

DOCKER = ROOT / "deploy" / "docker"
COMPOSE = ROOT / "deploy" / "compose"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run_clean(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_finds_nothing() -> None:
    run_clean(require("hadolint"), "deploy/docker/Dockerfile")


def test_yamllint_finds_nothing() -> None:
    run_clean(require("yamllint"), "--strict", "-c", "deploy/.yamllint.yml", "deploy")


def instructions() -> list[tuple[str, str]]:
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word, rest.strip())
        for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())
    ]


def test_the_image_runs_weir_alone_and_not_as_root() -> None:
    found = instructions()
    last = max(at for at, (word, _) in enumerate(found) if word == "FROM")
    final = dict(found[last:])
    assert final["ENTRYPOINT"] == '["/opt/weir/bin/weir"]'
    assert final["CMD"] == '["--help"]'
    assert final["USER"] == "65532:65532"
    assert final["COPY"] == "--from=build /opt/weir /opt/weir"
    assert not {"RUN", "ADD"} & final.keys()
    for word, rest in found:
        if word == "FROM":
            assert re.fullmatch(r"python:\$\{PYTHON\}-[\w-]+( AS build)?", rest)
    assert re.fullmatch(r"PYTHON=3\.\d+\.\d+", dict(found)["ARG"]) or any(
        re.fullmatch(r"PYTHON=3\.\d+\.\d+", rest) for word, rest in found if word == "ARG"
    )


def pinned(file: str) -> dict[str, str]:
    """Return name and version of each package; fails where one has no hash."""
    text = (DOCKER / file).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.match(r"([\w.-]+)==(\S+)\s.*--hash=sha256:[0-9a-f]{64}", line)
        assert match, line
        found[canonical(match[1])] = match[2]
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("requirements.txt", PROJECT["project"]["dependencies"]),
        ("build-requirements.txt", PROJECT["build-system"]["requires"]),
    ],
)
def test_hashed_packages_are_those_of_the_project(file: str, wanted: list[str]) -> None:
    locked = pinned(file)
    for each in wanted:
        name, _, version = each.partition("==")
        assert locked[canonical(name)] == version


def test_what_the_image_copies_is_in_the_build_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert any(source == each or source.startswith(f"{each}/") for each in kept), source
                assert (ROOT / source).exists(), source


TEXT = {"type": "string"}
STRINGS = {"type": "array", "items": TEXT}
SERVICE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        # A tag that moves would make two machines run different things.
        "image": {"type": "string", "pattern": r"^[\w./-]+:v?\d+\.\d+\.\d+$"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"context": TEXT, "dockerfile": TEXT},
        },
        "command": STRINGS,
        "environment": {"type": "object", "additionalProperties": TEXT},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:"}},
        "volumes": STRINGS,
        "secrets": STRINGS,
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "condition": {
                        "enum": [
                            "service_started",
                            "service_healthy",
                            "service_completed_successfully",
                        ]
                    }
                },
            },
        },
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "test": STRINGS,
                "interval": TEXT,
                "timeout": TEXT,
                "retries": {"type": "integer"},
                "start_period": TEXT,
                "disable": {"type": "boolean"},
            },
        },
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "stop_grace_period": {"type": "string", "pattern": r"^\d+s$"},
        "read_only": {"type": "boolean"},
        "cap_drop": STRINGS,
        "security_opt": STRINGS,
        "ulimits": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}
# The parts of the Compose specification that this file may use; a misspelt key fails.
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": TEXT,
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object"},
        "secrets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"file": TEXT},
            },
        },
    },
}


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))


def test_the_compose_file_has_the_structure_of_one(compose: Any) -> None:
    jsonschema.validate(compose, SCHEMA)
    services = compose["services"]
    assert services.keys() == {
        *("kafka", "topics", "screen", "correlate", "enforce", "prometheus", "grafana")
    }
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
        assert set(service.get("secrets", ())) <= compose["secrets"].keys()


def test_every_mounted_file_is_there_and_every_volume_declared(compose: Any) -> None:
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (COMPOSE / source).exists(), source
                assert mount.endswith(":ro"), mount
            else:
                assert source in compose["volumes"]
    for secret in compose["secrets"].values():
        assert (COMPOSE / secret["file"]).exists()


def test_each_stage_runs_with_settings_that_load(compose: Any) -> None:
    for stage in ("screen", "correlate", "enforce"):
        service = compose["services"][stage]
        assert service["command"] == [
            *("run", "--stage", stage, "--config", "/etc/weir/weir.yaml", "--start", "earliest")
        ]
        settings = load_settings(COMPOSE / "weir.yaml", service["environment"]).settings
        assert settings.slot == f"{stage}-0"
        assert settings.kafka.durability == "single_node"
        grace_s = int(service["stop_grace_period"].removesuffix("s"))
        assert settings.shutdown.total_ms < grace_s * 1000 == settings.shutdown.grace_ms
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert str(settings.health.port) in service["healthcheck"]["test"][-1]


def test_the_development_key_is_a_key(compose: Any) -> None:
    file = COMPOSE / compose["secrets"]["deployment.key"]["file"]
    settings = load_settings(None, {"WEIR_DEPLOYMENT_KEY_FILE": str(file)}).settings
    assert len(settings.deployment_key()) == 32


def test_prometheus_asks_the_ports_that_the_workers_serve(compose: Any) -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    port = load_settings(COMPOSE / "weir.yaml").settings.health.port
    (job,) = config["scrape_configs"]
    targets = [target.split(":") for each in job["static_configs"] for target in each["targets"]]
    assert {name for name, _ in targets} == {"screen", "correlate", "enforce"}
    assert {number for _, number in targets} == {str(port)}
    assert {name for name, _ in targets} <= compose["services"].keys()


def test_grafana_finds_prometheus_and_the_dashboard(compose: Any) -> None:
    def provisioned(path: str) -> Any:
        return yaml.safe_load((COMPOSE / "grafana" / path).read_text(encoding="utf-8"))

    (source,) = provisioned("datasources/prometheus.yml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    (provider,) = provisioned("dashboards/weir.yml")["providers"]
    mounts = dict(mount.split(":")[:2] for mount in compose["services"]["grafana"]["volumes"])
    board = mounts["../monitoring/dashboards/weir.json"]
    assert Path(board).parent == Path(provider["options"]["path"])
    assert (
        compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        == board
    )


def test_kafka_is_the_version_of_the_development_broker(compose: Any) -> None:
    pom = (ROOT / "deploy" / "local" / "pom.xml").read_text(encoding="utf-8")
    version = compose["services"]["kafka"]["image"].partition(":")[2]
    assert version in re.findall(r">(\d+\.\d+\.\d+)<", pom)
