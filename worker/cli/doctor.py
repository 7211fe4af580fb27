"""Look at everything a worker depends on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from worker.cli import console
from worker.cli.console import Form, FormOption
from worker.cli.options import ConfigOption
from worker.domain.errors import ConfigError
from worker.runtime import doctor as examine
from worker.runtime.doctor import Line
from worker.settings_load import load_settings

EXAMPLES = console.examples(
    "weir doctor",
    "weir doctor --config weir.yaml",
    "weir doctor --config weir.yaml --no-broker --output json",
)
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    config: ConfigOption = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="DIR", help="Folder of the policy bundle."),
    ] = None,
    no_broker: Annotated[
        bool, typer.Option("--no-broker", help="Leave out brokers and topics.")
    ] = False,
    output: FormOption = Form.TEXT,
) -> None:
    """Look at installation, settings, bundle, brokers and topics; exit 1 if a line fails.

    Without --config the installation alone is looked at, and the bundle if one is given.
    """
    lines = []
    for line in _lines(config, bundle, no_broker):
        lines.append(line)
        if output is Form.TEXT:
            _print(line)
    failed = any(line.level == "fail" for line in lines)
    if output is Form.JSON:
        console.print_json({"ok": not failed, "lines": [line._asdict() for line in lines]})
    if failed:
        raise typer.Exit(1)


def _lines(config: Path | None, bundle: Path | None, no_broker: bool) -> Iterator[Line]:
    yield from examine.look_at_installation()
    if config is None:
        if bundle is not None:
            yield from examine.look_at_bundle(bundle)
        return
    try:
        settings = load_settings(config, os.environ, {"bundle": bundle}).settings
    except ConfigError as error:
        yield Line(
            "fail", "settings", str(error), "weir check --config shows where values come from"
        )
        return
    yield from examine.look_at_settings(settings)
    if settings.bundle is None:
        yield Line("fail", "bundle", "unset", "set bundle in the settings or give --bundle DIR")
    else:
        yield from examine.look_at_bundle(settings.bundle)
    if not no_broker:
        yield from examine.look_at_brokers(settings)


def _print(line: Line) -> None:
    """Print each line when it is known: brokers may take their time."""
    style = _STYLES[line.level]
    fix = f"  ->  {line.fix}" if line.fix and line.level != "ok" else ""
    console.out().print(
        f"[{style}]{line.level:4}[/]  {escape(line.name):14}  {escape(line.seen)}{escape(fix)}",
        soft_wrap=True,
    )
