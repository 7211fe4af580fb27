"""Settings: precedence, origins, refusals that name the place, relations, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import ConfigError
from worker.domain.times import parse_duration, parse_time
from worker.settings import (
    LIVENESS_MS,
    POLL_MS,
    SLICE_MS,
    WATCHDOG_MS,
    Settings,
    parse_start,
)
from worker.settings_load import DEFAULT, load_settings, resolved


@pytest.fixture
def write(tmp_path: Path) -> Path:
    return tmp_path / "weir.yaml"


def refusal(text: str, file: Path, **layers: dict[str, str]) -> str:
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_settings(file, layers.get("environment", {}), layers.get("flags", {}))
    assert raised.value.exit_code == 78
    return str(raised.value).replace(str(file), "weir.yaml")


def test_flags_come_before_variables_before_the_file_before_defaults(write: Path) -> None:
    write.write_text("slot: from-file\ndeployment: from-file\nkafka:\n  namespace: from-file\n")
    loaded = load_settings(
        write,
        {"WEIR_SLOT": "from-variable", "WEIR_KAFKA__NAMESPACE": "from-variable"},
        {"slot": "from-flag", "deployment": None},
    )
    settings = loaded.settings
    assert (settings.slot, settings.kafka.namespace, settings.deployment) == (
        "from-flag",
        "from-variable",
        "from-file",
    )
    assert loaded.origins["slot"] == "flag --slot"
    assert loaded.origins["kafka.namespace"] == "variable WEIR_KAFKA__NAMESPACE"
    assert loaded.origins["deployment"] == f"{write}:2"
    assert loaded.origins["kafka.linger_ms"] == DEFAULT


def test_a_settings_object_never_looks_at_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOYMENT", "x")
    monkeypatch.setenv("SLOT", "y")
    settings = Settings(slot="a")
    assert (settings.deployment, settings.slot) == ("weir", "a")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().kafka.linger_ms = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "kafka:\n  bootstrap_server: a:1\n",
            "weir.yaml:2: kafka.bootstrap_server is not a setting; "
            "did you mean kafka.bootstrap_servers?",
        ),
        ("inputs: {}\n", "weir.yaml:1: inputs is not a setting; did you mean input"),
        (
            "kafka: {linger_ms: often}\n",
            "weir.yaml:1: kafka.linger_ms: Input should be a valid integer, unable to parse "
            "string as an integer (seen: 'often')",
        ),
        ("kafka: 7\n", "weir.yaml:1: kafka: expected a group of settings, found 7"),
        ("slot: a\nslot: b\n", "weir.yaml:2: found duplicate key"),
        ("- a\n", "weir.yaml:1: expected settings as `name: value`"),
        ("slot: [\n", "weir.yaml:2: "),
        (
            "correlate: {lateness: 600000}\n",
            "weir.yaml:1: correlate.lateness: a duration needs a unit",
        ),
        (
            "enforce: {act_after: 2026-01-31T12:00:00}\n",
            "weir.yaml:1: enforce.act_after: a time needs its offset from UTC",
        ),
        (
            "input: {time: arrival}\n",
            "weir.yaml:1: input.time: Input should be 'append' or 'create' (seen: 'arrival')",
        ),
        ("input: {topic: weir.posts}\n", "settings: input.topic (weir.posts) must not lie in"),
    ],
)
def test_a_refusal_names_place_path_value_and_remedy(write: Path, text: str, expected: str) -> None:
    assert refusal(text, write).startswith(expected)


def test_an_unknown_variable_is_refused_and_a_service_link_is_not(write: Path) -> None:
    told = refusal("", write, environment={"WEIR_KAFKA__LINGERMS": "5"})
    assert told == (
        "variable WEIR_KAFKA__LINGERMS: kafka.lingerms is not a setting; "
        "did you mean kafka.linger_ms?"
    )
    links = {
        "WEIR_SCREEN_PORT": "tcp://10.0.0.1:9464",
        "WEIR_SCREEN_SERVICE_HOST": "10.0.0.1",
        "WEIR_SCREEN_PORT_9464_TCP_ADDR": "10.0.0.1",
        "WEIR_REQUIRE_ALL": "1",
        "PATH": "/bin",
    }
    assert load_settings(environment=links).settings.kafka.linger_ms == 10


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("kafka", "both"),
    [
        ({"session_timeout_ms": 8_000}, ("heartbeat_interval_ms (3000)", "(8000)")),
        ({"request_timeout_ms": 12_000}, ("request_timeout_ms (12000)", "(12000)")),
        ({"delivery_timeout_ms": 15_000}, ("delivery_timeout_ms (15000)", "(15000)")),
        ({"transaction_timeout_ms": 60_000}, ("transaction_timeout_ms (60000)", "(60000)")),
        ({"max_poll_interval_ms": 45_000}, ("max_poll_interval_ms (45000)", "watchdog (45000)")),
        ({"max_block_ms": 45_000}, ("max_block_ms (45000)", "watchdog (45000)")),
        (
            {"linger_ms": 1_000, "request_timeout_ms": 5_000, "delivery_timeout_ms": 5_900},
            ("linger_ms + request_timeout_ms (6000)", "(5900)"),
        ),
        ({"batch_size_bytes": 1 << 20}, ("batch_size_bytes (1048576)", "(1048576)")),
        (
            {"max_partition_fetch_bytes": 1 << 25},
            ("max_partition_fetch_bytes (33554432)", "(16777216)"),
        ),
        ({"security": "sasl_tls"}, ("sasl.mechanism", "required")),
        ({"tls": {"key_file": "k"}}, ("tls.certificate_file", "tls.key_file")),
    ],
)
def test_a_broken_relation_names_both_values(
    write: Path, kafka: dict[str, object], both: tuple[str, str]
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(
            flags={f"kafka.{k}": v for k, v in kafka.items() if k != "tls"}
            | ({"kafka.tls.key_file": "k"} if "tls" in kafka else {})
        )
    assert all(part in str(raised.value) for part in both)


def test_the_defaults_keep_every_time_budget() -> None:
    settings = Settings()
    kafka, stop = settings.kafka, settings.shutdown
    assert 3 * kafka.heartbeat_interval_ms < kafka.session_timeout_ms
    assert kafka.request_timeout_ms < kafka.delivery_timeout_ms < kafka.transaction_timeout_ms
    assert POLL_MS < SLICE_MS < kafka.heartbeat_interval_ms
    assert LIVENESS_MS < WATCHDOG_MS < kafka.max_poll_interval_ms
    assert kafka.max_block_ms < WATCHDOG_MS
    assert (stop.finish_ms, stop.flush_ms, stop.commit_ms, stop.close_ms) == (
        2_000,
        12_000,
        15_000,
        5_000,
    )
    assert stop.total_ms == 34_000 < stop.grace_ms
    assert kafka.delivery_timeout_ms <= stop.flush_ms


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_a_secret_shows_in_no_output(tmp_path_factory: pytest.TempPathFactory, canary: str) -> None:
    file = tmp_path_factory.mktemp("secrets") / "deployment.key"
    file.write_text(canary)
    loaded = load_settings(flags={"deployment_key_file": file})
    assert loaded.settings.deployment_key() == bytes.fromhex(canary)
    shown = repr(loaded) + str(list(resolved(loaded))) + loaded.settings.model_dump_json()
    assert canary not in shown
    assert {path: value for path, value, _ in resolved(loaded)}["deployment_key_file"] == "set"


@pytest.mark.parametrize("content", ["", "ab" * 31, "xyz"])
def test_a_key_of_another_length_is_refused_without_showing_it(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "deployment.key"
    file.write_text(content)
    with pytest.raises(ConfigError, match="expected 64 hex digits") as raised:
        Settings(deployment_key_file=file).deployment_key()
    assert not content or content not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "ms"), [("10m", 600_000), ("90s", 90_000), ("1500ms", 1_500), ("2 h", 7_200_000)]
)
def test_durations_have_units(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "10", "1 0m", "10 m s", "-1s", "1.5h", "10M", "1" * 16 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("2021-01-08T23:21:04.123Z", 1_610_148_064_123),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1610148064123", 1_610_148_064_123),
    ],
)
def test_times_are_instants(text: str, ms: int) -> None:
    assert parse_time(text) == ms


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_survives_being_written(ms: int) -> None:
    from datetime import UTC, datetime, timedelta

    written = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).isoformat()
    assert parse_time(written) == ms


def test_a_start_is_an_end_or_a_time() -> None:
    assert parse_start("latest") == "latest"
    assert parse_start("earliest") == "earliest"
    assert parse_start("1970-01-01T00:00:01Z") == 1_000
    with pytest.raises(ConfigError, match="--start 'soon': write latest, earliest or a time"):
        parse_start("soon")


def test_topics_and_groups_follow_the_namespace() -> None:
    settings = Settings(kafka={"namespace": "trial"}, input={"topic": "stream"})
    assert settings.topic("posts") == "stream"
    assert settings.topic("actions.warn") == "trial.actions.warn"
    assert settings.group("screen") == "trial.screen"
