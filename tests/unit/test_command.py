"""Hold the commands that need a broker to their exit codes where there is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from deploy.local.broker import free_ports
from tests.support.command import weir, weir_process

BUNDLE = Path(__file__).resolve().parents[2] / "deploy" / "example" / "bundle"


@pytest.fixture
def port() -> int:
    """Give a port where nobody listens."""
    return free_ports(1)[0]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port where connections are taken, by the kernel, and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


@pytest.fixture
def config(tmp_path: Path, port: int) -> Path:
    (tmp_path / "deployment.key").write_text("5a" * 32)
    path = tmp_path / "weir.yaml"
    path.write_text(
        f"bundle: {BUNDLE}\n"
        f"deployment_key_file: {tmp_path / 'deployment.key'}\n"
        "enforce: {act_after: none}\n"
        "health: {port: 0}\n"
        f"kafka: {{bootstrap_servers: '127.0.0.1:{port}', unavailable_after_ms: 1000}}\n"
    )
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("topics", "create"),
        ("topics", "check"),
        ("load", "-"),
        ("run", "--stage", "screen", "--start", "latest"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_broker_within_its_budget_is_69(config: Path, command: tuple[str, ...]) -> None:
    ran = weir_process(*command, "--config", config, stdin=b"{}\n")
    assert ran.code == 69, ran
    assert "error: " in ran.err
    assert "127.0.0.1" in ran.err
    assert "Traceback" not in ran.err


def test_a_broker_that_takes_connections_and_never_answers_is_69(
    config: Path, port: int, silent_port: int
) -> None:
    config.write_text(config.read_text().replace(f":{port}'", f":{silent_port}'"))
    ran = weir_process("run", "--stage", "screen", "--start", "latest", "--config", config)
    assert ran.code == 69, ran
    assert str(silent_port) in ran.err
    assert "Traceback" not in ran.err


def test_doctor_shows_a_broker_that_does_not_answer_as_a_failed_line(config: Path) -> None:
    ran = weir_process("doctor", "--config", config, "--output", "json")
    assert ran.code == 1
    failed = [line for line in orjson.loads(ran.out)["lines"] if line["level"] == "fail"]
    assert [line["name"] for line in failed] == ["brokers"]
    assert weir("doctor", "--config", config, "--no-broker").code == 0


def test_variables_come_before_the_file_and_flags_before_both(config: Path) -> None:
    environment = {"WEIR_INPUT__TOPIC": "toots", "WEIR_CONFIG": str(config)}
    ran = weir("check", "--config", config, "--output", "json", environment=environment)
    settings = {row["setting"]: row for row in orjson.loads(ran.out)["settings"]}
    assert settings["input.topic"]["value"] == "toots"
    assert settings["input.topic"]["origin"] == "variable WEIR_INPUT__TOPIC"
    assert settings["bundle"]["origin"] == f"{config}:1"
    wrong = weir("run", "--stage", "all", environment={"WEIR_KAFKA__BOOTSTRAP_SERVER": "a:1"})
    assert wrong.code == 78
    assert "did you mean kafka.bootstrap_servers?" in wrong.err


def test_a_scan_takes_flags_alone(tmp_path: Path) -> None:
    posts = BUNDLE.parent / "posts.ndjson.gz"
    environment = {"WEIR_ENFORCE__ACT_AFTER": "2030-01-01T00:00:00Z", "WEIR_DEPLOYMENT": "other"}
    plain, other = (
        weir("scan", posts, "--bundle", BUNDLE, "--out", tmp_path / name, environment=given)
        for name, given in (("plain", {}), ("other", environment))
    )
    assert plain.code == other.code == 0
    actions = [(tmp_path / name / "actions.ndjson").read_bytes() for name in ("plain", "other")]
    assert actions[0] == actions[1] != b""
