"""Say whether the installed client has the shape that the fast paths were tried on.

A client of another shape still works through its public interface; then the plain path runs, an
error is logged and `weir_fast_path` is 0. Nothing falls back in silence.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import kafka
from kafka.consumer.fetcher import Fetcher
from kafka.net.manager import KafkaConnectionManager
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.protocol.parser import KafkaProtocol
from kafka.record.memory_records import MemoryRecords

from worker.settings import KafkaSettings

Part: TypeAlias = Literal["consumer", "receive"]  # labels of `weir_fast_path`

# Versions on which the contract tests of both fast paths ran; raise it with them.
TRIED_VERSIONS = ("3.0.12",)

PARTITION_RECORDS = (
    *("self", "fetch_offset", "tp", "records", "key_deserializer", "value_deserializer"),
    *("check_crcs", "isolation_level", "aborted_transactions", "metric_aggregator", "on_drain"),
)
BUILD_TRANSPORT = ("self", "node", "timeout_at")


def fast_path_off(kafka_settings: KafkaSettings) -> dict[Part, str | None]:
    """Say by part why its plain path runs: `consumer` (batch views), `receive`; None: it is fast.

    Called at start, by whoever makes a client.
    """
    if not kafka_settings.fast_path:
        return dict.fromkeys(("consumer", "receive"), "kafka.fast_path is false")
    return {"consumer": views_problem(), "receive": receives_problem()}


def views_problem() -> str | None:
    """Say what is in the way of batch views; None where nothing is."""
    return next(_views_problems(), None)


def receives_problem() -> str | None:
    """Say what is in the way of large receives; None where nothing is."""
    return next(_receives_problems(), None)


def _views_problems() -> Iterator[str]:
    yield from _version_problem()
    stock = getattr(Fetcher, "PartitionRecords", None)
    if stock is None:
        yield "Fetcher has no PartitionRecords"
    else:
        yield from _signature_problem("PartitionRecords", stock.__init__, PARTITION_RECORDS)
    if not hasattr(MemoryRecords(b""), "_buffer"):
        yield "MemoryRecords has no _buffer"


def _receives_problems() -> Iterator[str]:
    yield from _version_problem()
    build = getattr(KafkaConnectionManager, "_build_transport", None)
    if build is None:
        yield "KafkaConnectionManager has no _build_transport"
    else:
        yield from _signature_problem("_build_transport", build, BUILD_TRANSPORT)
    for method in ("_process_response", "_validate_frame_size", "receive_bytes"):
        if not hasattr(KafkaProtocol, method):
            yield f"KafkaProtocol has no {method}"
    for transport in (KafkaTCPTransport, KafkaSSLTransport):
        receive = getattr(transport, "_sock_recv", None)
        if receive is None:
            yield f"{transport.__name__} has no _sock_recv"
        else:
            yield from _signature_problem(f"{transport.__name__}._sock_recv", receive, ("self",))


def _version_problem() -> Iterator[str]:
    if kafka.__version__ not in TRIED_VERSIONS:
        yield f"kafka-python {kafka.__version__}, tried on {', '.join(TRIED_VERSIONS)}"


def _signature_problem(
    name: str, function: Callable[..., object], known: tuple[str, ...]
) -> Iterator[str]:
    found = tuple(inspect.signature(function).parameters)
    if found != known:
        yield f"{name} takes ({', '.join(found)}), known: ({', '.join(known)})"
