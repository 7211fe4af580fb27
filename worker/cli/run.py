"""Run the worker."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from worker import runtime
from worker.cli import console
from worker.cli.options import ConfigOption
from worker.settings import STAGE_NAMES, parse_start
from worker.settings_load import load_settings

EXAMPLES = console.examples(
    "weir run --stage all --config weir.yaml --start earliest",
    "weir run --stage screen --config /etc/weir/weir.yaml --slot weir-screen-0",
    "WEIR_KAFKA__BOOTSTRAP_SERVERS=broker:9092 weir run --stage enforce --config weir.yaml",
)


class StageChoice(StrEnum):
    """Name what a process runs; `all` is for development."""

    SCREEN = "screen"
    CORRELATE = "correlate"
    ENFORCE = "enforce"
    ALL = "all"


class Delivery(StrEnum):
    """Name the guarantees that outputs and offsets come with."""

    EXACTLY_ONCE = "exactly-once"
    AT_LEAST_ONCE = "at-least-once"


def run(
    stage: Annotated[
        StageChoice, typer.Option("--stage", help="Stage to run; all is for development.")
    ],
    config: ConfigOption = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="latest|earliest|TIME",
            help="Where a group begins that never committed; needed on its first start alone.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="DIR", help="Folder of the policy bundle.")
    ] = None,
    slot: Annotated[
        str | None,
        typer.Option("--slot", metavar="NAME", help="Stable identity of this process."),
    ] = None,
    delivery: Annotated[
        Delivery | None,
        typer.Option(
            "--delivery",
            help="exactly-once (the default): outputs, state and offsets in one transaction. "
            "at-least-once: less latency, and a crash repeats outputs, with equal action ids.",
        ),
    ] = None,
    accept_gap: Annotated[
        int | None,
        typer.Option(
            "--accept-retention-gap",
            metavar="RECORDS",
            min=1,
            help="After exit 73: go on without the records retention deleted, as many as told.",
        ),
    ] = None,
    exit_on_stop: Annotated[
        bool,
        typer.Option(
            "--exit-on-stop",
            help="Exit with 72, 73 or 78 instead of staying up, not ready, for a person.",
        ),
    ] = False,
) -> None:
    """Run one stage, or all, until SIGTERM; a drain takes at most the shutdown budget.

    Exit codes: 0 stopped when asked · 69 no broker at start-up · 70 outcome unknown, or fenced ·
    71 stuck · 72 fuse open · 73 state does not match offsets · 78 settings or policy refused.
    """
    loaded = load_settings(
        config,
        os.environ,
        {
            "bundle": bundle,
            "slot": slot,
            "delivery": None if delivery is None else delivery.value,
        },
    )
    names = [name for name in STAGE_NAMES if stage in (StageChoice.ALL, name)]
    code = runtime.run(
        loaded.settings,
        names,
        None if start is None else parse_start(start),
        accept_gap=accept_gap,
        exit_on_stop=exit_on_stop,
    )
    raise typer.Exit(code)
