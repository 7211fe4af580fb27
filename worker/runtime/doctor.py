"""Look at everything a worker depends on and say what is wrong and how to mend it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import crc32c

import fastpath
from worker.domain.errors import ConfigError, WeirError
from worker.policy.bundle import check_bundle
from worker.runtime.stages import VERSION, act_after
from worker.runtime.topics import check_topics
from worker.settings import Settings
from worker.transport.kafka.client import TESTED_VERSIONS, guard_client

Level: TypeAlias = Literal["ok", "warn", "fail"]

OLDEST_PYTHON = (3, 11)


class Line(NamedTuple):
    """Report one thing looked at; `fix` is empty where nothing is wrong."""

    level: Level
    name: str
    seen: str
    fix: str = ""


def look_at_installation() -> Iterator[Line]:
    """Check interpreter, compiled core and client; no file and no network is touched."""
    yield Line("ok", "weir", VERSION)
    seen = f"{platform.python_implementation()} {platform.python_version()}"
    yield (
        Line("ok", "python", seen)
        if sys.version_info >= OLDEST_PYTHON
        else Line("fail", "python", seen, "install Python 3.11 or newer")
    )
    yield Line(
        "ok",
        "fastpath",
        f"{fastpath.BACKEND}, {fastpath.ISA}, Unicode {fastpath.UNICODE_VERSION}",
    )
    yield (
        Line("ok", "crc32c", "in hardware")
        if crc32c.hardware_based
        else Line("warn", "crc32c", "in C without the CPU's instruction", "costs time alone")
    )
    try:
        guard_client()
    except ConfigError as error:
        yield Line("fail", "kafka-python", str(error), "pip install -e .")
    else:
        yield Line("ok", "kafka-python", f"{', '.join(TESTED_VERSIONS)}, as tested")


def look_at_settings(settings: Settings) -> Iterator[Line]:
    """Check what a worker needs beyond valid settings."""
    yield Line("ok", "settings", f"slot {settings.slot}, input {settings.topic('posts')}")
    try:
        settings.deployment_key()
    except ConfigError as error:
        yield Line("fail", "deployment key", "not usable", str(error))
    else:
        yield Line("ok", "deployment key", "set")
    try:
        at = act_after(settings)
    except ConfigError as error:
        yield Line("fail", "act_after", "unset", str(error))
    else:
        yield Line("ok", "act_after", "none" if at is None else f"{at} ms since the epoch")
    if settings.kafka.durability == "single_node":
        yield Line("warn", "durability", "single_node", "NOT DURABLE: for development alone")
    if settings.kafka.security == "plaintext":
        yield Line("warn", "security", "plaintext", "set kafka.security: tls or sasl_tls")


def look_at_bundle(folder: Path) -> Iterator[Line]:
    """Check a policy bundle; each error is a line."""
    report = check_bundle(folder)
    for warning in report.warnings:
        yield Line("warn", "bundle", str(warning), warning.hint)
    if report.bundle is None:
        for error in report.diagnostics:
            place = f"{error.file}:{error.line}" if error.line else error.file
            yield Line("fail", "bundle", f"{place}: {error.message}", error.hint)
        return
    bundle = report.bundle
    seen = f"{bundle.name} revision {bundle.revision}, {bundle.digest[:16]}"
    yield Line("ok", "bundle", f"{seen}, {len(report.rules)} rules, {bundle.enforcement}")
    if bundle.enforcement == "observe":
        yield Line("warn", "enforcement", "observe", "no rule acts; enforcement: live turns it on")


def look_at_brokers(settings: Settings) -> Iterator[Line]:
    """Check brokers and topics; blocks until a broker answered or the budget is spent."""
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        findings = check_topics(settings)
    except WeirError as error:
        yield Line("fail", "brokers", servers, str(error))
        return
    yield Line("ok", "brokers", servers)
    for finding in findings:
        if finding.level == "ok":
            continue
        level: Level = "fail" if finding.level == "refused" else "warn"
        seen = f"{finding.setting} is {finding.seen}"
        yield Line(level, finding.topic, seen, f"needed: {finding.needed}")
    if all(finding.level == "ok" for finding in findings):
        yield Line("ok", "topics", f"{len(findings)} settings as they should be")
