"""Logs are JSON lines with closed event and field names, and never quote a record."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from worker.obs.logs import EVENTS, FIELDS, Log, configure


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("kafka").level
    stream = io.StringIO()
    configure(stream=stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:], level, client = before
    root.setLevel(level)
    logging.getLogger("kafka").setLevel(client)
    structlog.reset_defaults()


def parsed(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_line_per_event_with_what_was_bound(lines: io.StringIO) -> None:
    log = Log(stage="screen", slot="weir-screen-0")
    log.info("partition_restored", topic="posts", partition=3, seconds=1.5)
    log.error("stopped_for_a_person", code=72)
    first, second = parsed(lines)
    assert first.pop("time")
    assert first == {
        "event": "partition_restored",
        "level": "info",
        "logger": "weir",
        "stage": "screen",
        "slot": "weir-screen-0",
        "topic": "posts",
        "partition": 3,
        "seconds": 1.5,
    }
    assert second["level"] == "error"


def test_an_unknown_event_or_field_is_refused(lines: io.StringIO) -> None:
    with pytest.raises(ValueError, match="'post_seen' is not an event"):
        Log().info("post_seen")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\['text'\]"):
        Log().info("partitions_assigned", text="canary phrase")
    with pytest.raises(ValueError, match=r"\['text'\]"):
        Log(text="canary phrase")
    assert lines.getvalue() == ""


def test_the_client_never_logs_below_info(lines: io.StringIO) -> None:
    configure(logging.DEBUG, lines)
    client = logging.getLogger("kafka.consumer.fetcher")
    client.debug("record %r", b"canary phrase")
    client.info("joined")
    only = parsed(lines)
    assert [(line["event"], line["message"], line["logger"]) for line in only] == [
        ("client", "joined", "kafka.consumer.fetcher")
    ]


def test_a_client_traceback_shows_its_kind_alone(lines: io.StringIO) -> None:
    try:
        b"canary \xff phrase".decode()
    except UnicodeDecodeError:
        logging.getLogger("kafka").exception("a callback failed")
    (line,) = parsed(lines)
    assert line["exception"] == "UnicodeDecodeError"
    assert "canary" not in lines.getvalue()


def calls() -> Iterator[ast.Call]:
    for source in (Path(__file__).resolve().parents[2] / "worker").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def test_every_event_and_field_of_the_lists_is_written_somewhere() -> None:
    """An event nobody writes is a promise nobody keeps."""
    written = {
        argument.value
        for call in calls()
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    assert EVENTS - {"client"} <= written
    fields = {keyword.arg for call in calls() for keyword in call.keywords}
    assert FIELDS - fields == {"exception"}  # both are set for records of the client
