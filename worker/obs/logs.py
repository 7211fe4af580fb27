"""Write one JSON line per event on standard output; events come from a closed list.

No event carries post text, names or URLs: evidence is coordinates, spans and hashes. The field
names are closed too, so a text cannot slip in under a new one.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO, TypeAlias, get_args

import structlog

Event: TypeAlias = Literal[
    "worker_started",
    "worker_stopping",
    "worker_stopped",
    "stopped_for_a_person",
    "policy_activated",
    "policy_refused",  # a bundle read anew is wrong: the old one goes on
    "policy_unchanged",
    "not_durable",
    "fast_path_off",
    "partitions_assigned",
    "partitions_revoked",
    "partition_restored",
    "offsets_unknown",
    "commit_refused",
    "crashed",  # a transaction's outcome is unknown: the process ends there and then
    "records_quarantined",
    "client",  # a record of the Kafka client's own logging
    "failed",  # an exception that ends the process
]
EVENTS: Final[frozenset[str]] = frozenset(get_args(Event))

# Besides `time`, `level`, `event` and `logger`, which every line carries.
FIELDS: Final[frozenset[str]] = frozenset(
    {
        *("stage", "slot", "topic", "partition", "offset", "partitions", "group"),
        *("digest", "policy", "revision", "enforcement", "durability", "mode", "gap"),
        *("waited", "pause"),
        *("reason", "records", "seconds", "code", "message", "version", "port", "exception"),
    }
)
# The client logs record contents at DEBUG, so its loggers never go below INFO.
CLIENT_LOGGERS: Final = ("kafka",)
CLIENT_LEVEL: Final = logging.INFO


class Log:
    """Write events of one stage and slot; never blocks longer than standard output does."""

    def __init__(self, **bound: str) -> None:
        _check_fields(bound)
        self._logger = structlog.get_logger("weir").bind(**bound)

    def info(self, event: Event, **fields: object) -> None:
        """Report what is expected to happen."""
        self._write("info", event, fields)

    def warning(self, event: Event, **fields: object) -> None:
        """Report what a person may have to look at."""
        self._write("warning", event, fields)

    def error(self, event: Event, **fields: object) -> None:
        """Report what stops work."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        if event not in EVENTS:
            raise ValueError(f"{event!r} is not an event of worker.obs.logs.Event")
        _check_fields(fields)
        getattr(self._logger, level)(event, **fields)


def configure(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send every log of the process through JSON lines; called once, before any other thread.

    Standard `logging` records (the Kafka client's) become the event `client` with their logger,
    level and message.
    """
    stream = stream or sys.stdout
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _as_client_event],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in CLIENT_LOGGERS:
        logging.getLogger(name).setLevel(max(level, CLIENT_LEVEL))


def _as_client_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["message"] = event.pop("event")
    event["event"] = "client"
    # Its traceback may quote what it failed to decode: the kind of the error must do.
    failure = event.pop("exc_info", None)
    if failure:
        event["exception"] = failure[0].__name__
    return event


def _check_fields(fields: MutableMapping[str, Any] | dict[str, str]) -> None:
    unknown = fields.keys() - FIELDS
    if unknown:
        raise ValueError(f"fields {sorted(unknown)} are not in worker.obs.logs.FIELDS")
