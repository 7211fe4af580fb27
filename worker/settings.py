"""Hold every setting in one frozen model, with the relations that must hold between them.

Nothing here reads the environment: `worker.settings_load` merges flags, variables and file and
names the origin of each value. Sizes and times carry their unit in the name; durations that
people write (`10m`) carry it in the value. Secrets are files, read when they are needed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from worker.domain.errors import EXHAUSTED, ConfigError
from worker.domain.identity import KEY_BYTES
from worker.domain.times import parse_duration, parse_time

StageName: TypeAlias = Literal["screen", "correlate", "enforce"]
STAGE_NAMES: tuple[StageName, ...] = ("screen", "correlate", "enforce")
# Where a group begins that has never committed: an end of the topic or an origin time, epoch ms.
Start: TypeAlias = Literal["latest", "earliest"] | int

ACTION_KINDS = ("label", "limit", "remove", "warn", "lock", "suspend", "review", "restore")
# Topics that the stages write and read, without the namespace.
WEIR_TOPICS = (
    *("sightings", "signals", "reviews", "receipts", "campaigns", "dlq", "shadow"),
    *(f"actions.{kind}" for kind in ACTION_KINDS),
    *(f"state.{stage}" for stage in STAGE_NAMES),
)

KIB = 1024
MIB = 1024 * KIB
# The loop may stay in one phase this long before the process ends itself with 71:
# > LIVENESS_MS, so a probe sees it first; < max_poll_interval_ms, so we go before the group does.
WATCHDOG_MS = 45_000
LIVENESS_MS = 30_000  # /livez fails when the loop has not turned for this long; < WATCHDOG_MS
SLICE_MS = 1_000  # longest piece of a re-read without a poll(); < heartbeat_interval_ms
POLL_MS = 200  # an idle turn; bounds how late a signal to stop is noticed; < SLICE_MS


def parse_start(text: str) -> Start:
    """Read the value of `--start`: latest, earliest, or a time.

    Raises:
        ConfigError: the text is none of the three.
    """
    if text == "latest":
        return "latest"
    if text == "earliest":
        return "earliest"
    try:
        return parse_time(text)
    except ValueError as error:
        raise ConfigError(f"--start {text!r}: write latest, earliest or a time; {error}") from None


def _act_after(value: object) -> object:
    return value if value is None or value == "none" else parse_time(value)


def _servers(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _pointers(value: object) -> object:
    """Let a field of a field map name one JSON pointer or several, tried in order."""
    if isinstance(value, dict):
        return {k: (v,) if isinstance(v, str) else v for k, v in value.items()}
    return value


# What people write, for the exported JSON Schema: a validator before the type hides it otherwise.
_WRITTEN_DURATION = Annotated[str, Field(pattern=r"^\s*\d+\s*(ms|s|m|h|d)\s*$")]
DurationMs = Annotated[
    int, Field(ge=0), BeforeValidator(parse_duration, json_schema_input_type=_WRITTEN_DURATION)
]
NAME = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )


class InputSettings(_Group):
    """Say where posts come from and in which form."""

    topic: NAME = Field("posts", description="topic of the posts, keyed by account id")
    time: Literal["append", "create"] = Field(
        "append",
        description="origin time is the broker's append time, or (imports, tests) the sender's",
    )
    preset: str = Field("generic", description="form of a post; see `weir scan --help`")
    field_map: Annotated[
        dict[str, tuple[str, ...]] | None,
        BeforeValidator(_pointers, json_schema_input_type=dict[str, str | tuple[str, ...]] | None),
    ] = Field(None, description="JSON pointers by field, in place of the preset's")


class ScreenSettings(_Group):
    """Set what the screen stage keeps."""

    backend: Literal["compiled", "reference"] = Field(
        "compiled", description="the compiled core, or its slow twin; never chosen by itself"
    )
    max_window_keys: int = Field(
        4_000_000, ge=1, description="accounts held per input partition, then window_table_full"
    )


class CorrelateSettings(_Group):
    """Set how far sightings may lag."""

    lateness: DurationMs = Field(
        600_000,
        validate_default=False,
        description="a sighting further behind the partition's stream time is not applied; "
        "keep it above the skew between input partitions",
    )
    max_sightings: int = Field(
        4_000_000,
        ge=1,
        description="sightings kept per partition, about 200 bytes each; then new ones are "
        "refused and counted",
    )


class EnforceSettings(_Group):
    """Set from when on decisions act."""

    act_after: Annotated[
        int | Literal["none"] | None,
        BeforeValidator(_act_after, json_schema_input_type=int | str | None),
    ] = Field(
        None,
        description="TIME or none, required: decisions on posts of earlier origin become review",
    )


class PartitionSettings(_Group):
    """Set how many partitions `weir topics create` makes; growing one later moves keys."""

    posts: int = Field(12, ge=1, le=10_000, description="input, reviews and receipts")
    sightings: int = Field(12, ge=1, le=10_000, description="spread by fingerprint")
    signals: int = Field(12, ge=1, le=10_000, description="signals, actions, shadow, campaigns")
    dlq: int = Field(4, ge=1, le=10_000, description="dead letters")


class TlsSettings(_Group):
    """Name the files of TLS; the host name is always checked."""

    ca_file: Path | None = Field(None, description="PEM of the authorities; the system's otherwise")
    certificate_file: Path | None = Field(None, description="client certificate for mutual TLS")
    key_file: Path | None = Field(None, description="its private key")
    key_password_file: Path | None = Field(None, description="password of the key")


class SaslSettings(_Group):
    """Name who we are to the brokers."""

    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] | None = None
    username: str | None = None
    password_file: Path | None = Field(None, description="file that holds the password alone")


def _below(group: BaseModel, smaller: str, greater: str, times: int = 1) -> tuple[bool, str]:
    low: Any = getattr(group, smaller)
    high: Any = getattr(group, greater)
    factor = f"{times} x " if times > 1 else ""
    return (
        low * times < high,
        f"{factor}{smaller} ({low}) must be below {greater} ({high})",
    )


class KafkaSettings(_Group):
    """Set the client; values in ms and bytes, relations checked together."""

    bootstrap_servers: Annotated[
        tuple[str, ...],
        BeforeValidator(_servers, json_schema_input_type=str | tuple[str, ...]),
    ] = Field(("127.0.0.1:9092",), min_length=1, description="host:port, comma-separated")
    namespace: NAME = Field("weir", description="prefix of Weir's own topics and groups")
    durability: Literal["production", "single_node"] = Field(
        "production", description="single_node relaxes replication alone, and says NOT DURABLE"
    )
    security: Literal["plaintext", "tls", "sasl_tls", "sasl_plaintext"] = "plaintext"
    tls: TlsSettings = TlsSettings()
    sasl: SaslSettings = SaslSettings()
    partitions: PartitionSettings = PartitionSettings()

    # Takeover after a kill waits for the session; three heartbeats must fit into it.
    session_timeout_ms: int = Field(10_000, ge=6_000, le=1_800_000)
    heartbeat_interval_ms: int = Field(3_000, ge=100)
    max_poll_interval_ms: int = Field(60_000, ge=1_000)  # > WATCHDOG_MS, transaction_timeout_ms
    request_timeout_ms: int = Field(5_000, ge=1_000)  # < delivery_timeout_ms
    delivery_timeout_ms: int = Field(12_000, ge=1_000)  # < transaction_timeout_ms; <= flush_ms
    transaction_timeout_ms: int = Field(15_000, ge=1_000)  # < max_poll_interval_ms
    # Turns begin three times the last write apart and at most this, so that a quiet stream is not
    # cut into thousands of transactions; a full poll does not wait. Each stage adds half of it to
    # the latency, 0 takes up to a core. < 250.
    transaction_interval_ms: int = Field(50, ge=0, le=250)
    max_block_ms: int = Field(30_000, ge=1_000)  # a send waiting for metadata; < WATCHDOG_MS
    # Time between tries; the client sleeps it in full where a transaction follows so soon that the
    # last one's markers are being written, which takes some ms: 100 would stall each transaction.
    retry_backoff_ms: int = Field(5, ge=1, le=1_000)
    linger_ms: int = Field(10, ge=0, le=1_000)  # + request_timeout_ms < delivery_timeout_ms
    # One batch is in flight per partition; below every output topic's max.message.bytes (1 MiB).
    batch_size_bytes: int = Field(256 * KIB, ge=16 * KIB)
    max_request_size_bytes: int = Field(MIB, ge=MIB)  # a packed sightings record is <= 256 KiB
    # At least the input's max.message.bytes. A fetch of four partitions stays in a shared cache of
    # some megabytes on its way to the screen; with 4 MiB each, copying cost four times as much.
    max_partition_fetch_bytes: int = Field(MIB, ge=MIB)
    fetch_max_bytes: int = Field(16 * MIB, ge=MIB)
    fast_path: bool = Field(
        True,
        description="records as batch views and large receives; false reads through the client's "
        "own objects, at many times the CPU",
    )
    # What one poll may hand over: a quarter second of work for the fastest stage, so that a busy
    # stream makes few transactions. A fetch (fetch_max_bytes) usually ends it before.
    max_poll_records: int = Field(100_000, ge=1, le=1_000_000)
    unavailable_after_ms: int = Field(60_000, ge=1_000)  # start-up alone: then exit 69

    @model_validator(mode="after")
    def _relations(self) -> KafkaSettings:
        broken = [text for holds, text in self._checks() if not holds]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    def _checks(self) -> Iterator[tuple[bool, str]]:
        yield _below(self, "heartbeat_interval_ms", "session_timeout_ms", times=3)
        yield _below(self, "session_timeout_ms", "max_poll_interval_ms")
        yield _below(self, "request_timeout_ms", "delivery_timeout_ms")
        yield _below(self, "delivery_timeout_ms", "transaction_timeout_ms")
        yield _below(self, "transaction_timeout_ms", "max_poll_interval_ms")
        yield (
            self.max_poll_interval_ms > WATCHDOG_MS,
            f"max_poll_interval_ms ({self.max_poll_interval_ms}) must be above the watchdog "
            f"({WATCHDOG_MS})",
        )
        yield (
            self.max_block_ms < WATCHDOG_MS,
            f"max_block_ms ({self.max_block_ms}) must be below the watchdog ({WATCHDOG_MS})",
        )
        linger = self.linger_ms + self.request_timeout_ms
        yield (
            linger < self.delivery_timeout_ms,
            f"linger_ms + request_timeout_ms ({linger}) must be below delivery_timeout_ms "
            f"({self.delivery_timeout_ms})",
        )
        yield _below(self, "batch_size_bytes", "max_request_size_bytes")
        yield (
            self.max_partition_fetch_bytes <= self.fetch_max_bytes,
            f"max_partition_fetch_bytes ({self.max_partition_fetch_bytes}) must not be above "
            f"fetch_max_bytes ({self.fetch_max_bytes})",
        )
        sasl = self.sasl
        needs = self.security.startswith("sasl")
        given = bool(sasl.mechanism and sasl.username and sasl.password_file)
        yield (
            needs == given,
            f"security is {self.security}: sasl.mechanism, sasl.username and sasl.password_file "
            + ("are all required" if needs else "are for sasl_tls and sasl_plaintext"),
        )
        yield (
            bool(self.tls.certificate_file) == bool(self.tls.key_file),
            "tls.certificate_file and tls.key_file belong together",
        )


class HealthSettings(_Group):
    """Set where the probes and /metrics answer."""

    host: str = Field("127.0.0.1", description="0.0.0.0 in a pod")
    port: int = Field(9464, ge=0, le=65_535, description="0 takes a free port and logs it")


class ShutdownSettings(_Group):
    """Split the time between SIGTERM and SIGKILL; the commit's share is reserved."""

    finish_ms: int = Field(2_000, ge=100)  # the batch at hand
    flush_ms: int = Field(12_000, ge=100)  # >= kafka.delivery_timeout_ms
    commit_ms: int = Field(15_000, ge=100)  # a slow flush cannot take it
    close_ms: int = Field(5_000, ge=100)
    grace_ms: int = Field(60_000, ge=1_000)  # terminationGracePeriodSeconds; above the sum

    @property
    def total_ms(self) -> int:
        """Return the whole budget, ms."""
        return self.finish_ms + self.flush_ms + self.commit_ms + self.close_ms

    @model_validator(mode="after")
    def _fits(self) -> ShutdownSettings:
        if self.total_ms >= self.grace_ms:
            raise ValueError(
                f"finish_ms + flush_ms + commit_ms + close_ms ({self.total_ms}) must be below "
                f"grace_ms ({self.grace_ms})"
            )
        return self


class LogSettings(_Group):
    """Set what is logged; loggers of the Kafka client never go below info."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """Hold all settings; built by `worker.settings_load.load_settings`, or by keywords in tests."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    deployment: str = Field(
        "weir", min_length=1, max_length=200, description="part of every action_id"
    )
    deployment_key_file: Path | None = Field(
        None, description="file with the deployment key, equal on all workers: 64 hex digits"
    )
    slot: NAME = Field(
        default_factory=lambda: re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:200],
        description="stable identity of this process, unique in its group; the host name",
    )
    bundle: Path | None = Field(None, description="directory of the policy bundle")
    delivery: Literal["exactly-once", "at-least-once"] = Field(
        "exactly-once",
        description="outputs, state and offsets in one transaction, or in that order without one: "
        "less latency, and a crash repeats outputs with equal ids",
    )
    input: InputSettings = InputSettings()
    screen: ScreenSettings = ScreenSettings()
    correlate: CorrelateSettings = CorrelateSettings()
    enforce: EnforceSettings = EnforceSettings()
    kafka: KafkaSettings = KafkaSettings()
    health: HealthSettings = HealthSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    log: LogSettings = LogSettings()

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take keywords alone: a settings object never looks at the environment by itself."""
        return (init_settings,)

    @model_validator(mode="after")
    def _relations(self) -> Settings:
        flush, delivery = self.shutdown.flush_ms, self.kafka.delivery_timeout_ms
        if flush < delivery:
            raise ValueError(
                f"shutdown.flush_ms ({flush}) must not be below kafka.delivery_timeout_ms "
                f"({delivery}): a drain would give up on a batch that is still tried"
            )
        if self.input.topic.startswith(f"{self.kafka.namespace}."):
            raise ValueError(
                f"input.topic ({self.input.topic}) must not lie in kafka.namespace "
                f"({self.kafka.namespace}): the stages write there"
            )
        return self

    def topic(self, role: str) -> str:
        """Name the topic behind a role: `posts` is the input, any other lies in the namespace."""
        return self.input.topic if role == "posts" else f"{self.kafka.namespace}.{role}"

    def group(self, stage: str) -> str:
        """Name the consumer group of a stage."""
        return f"{self.kafka.namespace}.{stage}"

    def deployment_key(self) -> bytes:
        """Read the deployment key: 64 hex digits, or 32 bytes as they are.

        Raises:
            ConfigError: no file is set, it cannot be read, or it holds no key.
        """
        if self.deployment_key_file is None:
            raise ConfigError(
                "deployment_key_file is not set: name a file with 64 hex digits, equal on all "
                "workers (openssl rand -hex 32 > deployment.key)"
            )
        raw = read_secret(self.deployment_key_file, "deployment_key_file")
        text = raw.strip()
        if re.fullmatch(rb"[0-9a-fA-F]{64}", text):
            return bytes.fromhex(text.decode())
        if len(raw) == KEY_BYTES:
            return raw
        raise ConfigError(
            f"deployment_key_file {self.deployment_key_file}: expected 64 hex digits or "
            f"{KEY_BYTES} bytes, found {len(raw)} bytes"
        )


def read_secret(path: Path, setting: str) -> bytes:
    """Read a secret file whenever it is needed, so that a rotated one is picked up.

    Raises:
        ConfigError: the file cannot be read; the message names setting and file, never content.
        OSError: the process has no file descriptor or no memory left.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        raise ConfigError(f"{setting} {path}: {error.strerror}") from None
