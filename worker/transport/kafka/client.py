"""Turn settings into what kafka-python takes, and refuse a client that was not tried.

What each value is for, and the relations between them, stands in `worker.settings`; the facts
about the client that these choices rest on are in docs/kafka-client.md.
"""

from __future__ import annotations

import importlib.util
import logging
import ssl
from functools import partial
from typing import Any

import kafka
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from fastpath.arena import keep_freed
from worker.domain.errors import BrokerUnavailable, ConfigError
from worker.settings import MIB, KafkaSettings, Settings, StageName, read_secret
from worker.transport.kafka.fast_path import fast_path_off
from worker.transport.kafka.net import FastNetClient

# Versions whose behaviour the guards of this package were written and tested against.
TESTED_VERSIONS = ("3.0.12",)
# Of the socket: what a broker sends while the I/O thread waits for its turn.
RECEIVE_BUFFER_BYTES = MIB
# How long a broker holds a fetch for which there is nothing: records end it at once. It holds back
# what else is asked on that connection, such as the ends of partitions after a rebalance, so it
# must stay well below a takeover; each one costs the client's loop 0.1 ms.
IDLE_FETCH_MS = 100

_PROTOCOLS = {
    "plaintext": "PLAINTEXT",
    "tls": "SSL",
    "sasl_tls": "SASL_SSL",
    "sasl_plaintext": "SASL_PLAINTEXT",
}


def guard_client() -> None:
    """Refuse to start on a client that the guards do not know, or without CRC-32C in C.

    Also sets what holds for the whole process: the client's logs, and that freed memory is kept.

    Raises:
        ConfigError: another version is installed, or the `crc32c` package is missing.
    """
    version = kafka.__version__
    if version not in TESTED_VERSIONS:
        raise ConfigError(
            f"kafka-python {version} is installed; tested: {', '.join(TESTED_VERSIONS)}. "
            "Install the pinned version (pip install -e .)"
        )
    if importlib.util.find_spec("crc32c") is None:
        raise ConfigError(
            "crc32c is not installed: kafka-python would check records byte by byte in Python. "
            "Install it (pip install -e .)"
        )
    clamp_logs()
    keep_freed()


def clamp_logs() -> None:
    """Keep the client's loggers at INFO or above: at DEBUG they print keys, values and frames."""
    logger = logging.getLogger("kafka")
    if logger.level < logging.INFO:
        logger.setLevel(logging.INFO)


def connection(kafka_settings: KafkaSettings) -> dict[str, Any]:
    """Give the options that consumer, producer and admin client share.

    Raises:
        ConfigError: a certificate, key or password file cannot be read or used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka_settings.bootstrap_servers),
        "security_protocol": _PROTOCOLS[kafka_settings.security],
        "request_timeout_ms": kafka_settings.request_timeout_ms,
        "bootstrap_timeout_ms": kafka_settings.unavailable_after_ms,
        "kafka_client": partial(
            FastNetClient, large_receives=fast_path_off(kafka_settings)["receive"] is None
        ),
    }
    if kafka_settings.security in ("tls", "sasl_tls"):
        options["ssl_context"] = _tls(kafka_settings)
    if kafka_settings.security.startswith("sasl"):
        sasl = kafka_settings.sasl
        assert sasl.password_file is not None  # noqa: S101  # held by the settings model
        options["sasl_mechanism"] = sasl.mechanism
        options["sasl_plain_username"] = sasl.username
        secret = read_secret(sasl.password_file, "kafka.sasl.password_file")
        options["sasl_plain_password"] = secret.decode().rstrip("\r\n")
    return options


def _tls(kafka_settings: KafkaSettings) -> ssl.SSLContext:
    tls = kafka_settings.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate_file is not None:
            password = (
                read_secret(tls.key_password_file, "kafka.tls.key_password_file").rstrip(b"\r\n")
                if tls.key_password_file
                else None
            )
            context.load_cert_chain(tls.certificate_file, tls.key_file, password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"kafka.tls (ca_file {tls.ca_file}, certificate_file {tls.certificate_file}): "
            f"{error.strerror or 'not a usable PEM file'}"
        ) from None
    return context


def consumer_options(settings: Settings, stage: StageName) -> dict[str, Any]:
    """Give the options of a stage's consumer."""
    options = settings.kafka
    return connection(options) | {
        "client_id": f"{settings.group(stage)}.{settings.slot}",
        "group_id": settings.group(stage),
        "group_instance_id": settings.slot,
        # Eager and alone: cooperative assignors can hand one partition to two live members.
        "partition_assignment_strategy": (StickyPartitionAssignor,),
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "auto_offset_reset": "none",
        "session_timeout_ms": options.session_timeout_ms,
        "heartbeat_interval_ms": options.heartbeat_interval_ms,
        "max_poll_interval_ms": options.max_poll_interval_ms,
        "max_poll_records": options.max_poll_records,
        "max_partition_fetch_bytes": options.max_partition_fetch_bytes,
        "fetch_max_bytes": options.fetch_max_bytes,
        "fetch_min_bytes": 1,
        "fetch_max_wait_ms": IDLE_FETCH_MS,
        "check_crcs": True,
        "receive_buffer_bytes": RECEIVE_BUFFER_BYTES,
        "metrics_enabled": False,
    }


def producer_options(settings: Settings, name: str) -> dict[str, Any]:
    """Give the options of a producer; `name` tells whose it is in the brokers' logs."""
    options = settings.kafka
    return connection(options) | {
        "client_id": f"{options.namespace}.{name}.{settings.slot}",
        "acks": "all",
        "retry_backoff_ms": options.retry_backoff_ms,
        "enable_idempotence": True,
        "allow_auto_create_topics": False,
        "delivery_timeout_ms": options.delivery_timeout_ms,
        "max_block_ms": options.max_block_ms,
        "linger_ms": options.linger_ms,
        "batch_size": options.batch_size_bytes,
        "max_request_size": options.max_request_size_bytes,
        "metrics_enabled": False,
    }


def unavailable(settings: KafkaSettings, error: Exception) -> BrokerUnavailable:
    """Say that no broker answered, where we looked and for how long."""
    return BrokerUnavailable(
        f"no broker answered at {','.join(settings.bootstrap_servers)} within "
        f"{settings.unavailable_after_ms} ms ({type(error).__name__}); check "
        "kafka.bootstrap_servers, the network and kafka.security"
    )
