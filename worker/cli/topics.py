"""Create and check the topics."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.markup import escape

from worker import runtime
from worker.cli import console
from worker.cli.console import Form, FormOption
from worker.cli.options import ConfigOption
from worker.settings_load import load_settings

app = typer.Typer(
    help="Create the topics, or compare them with what the stages rely on.",
    no_args_is_help=True,
    epilog=console.examples(
        "weir topics create --config weir.yaml", "weir topics check --config weir.yaml"
    ),
)
"""The `weir topics` commands."""

CREATE_EXAMPLES = console.examples(
    "weir topics create --config weir.yaml",
    "WEIR_KAFKA__DURABILITY=single_node weir topics create",
)
CHECK_EXAMPLES = console.examples(
    "weir topics check --config weir.yaml",
    "weir topics check --config weir.yaml --all --output json",
)


@app.command("create", epilog=CREATE_EXAMPLES)
def create(config: ConfigOption = None, output: FormOption = Form.TEXT) -> None:
    """Create the topics that are missing; what is there already is left alone."""
    loaded = load_settings(config, os.environ)
    created = runtime.create_topics(loaded.settings)
    if output is Form.JSON:
        console.print_json({"created": created})
        return
    for name in created:
        console.print_line(f"created {name}")
    if not created:
        console.print_line("every topic is there already")


@app.command("check", epilog=CHECK_EXAMPLES)
def check(
    config: ConfigOption = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show also what is as it should be.")
    ] = False,
    output: FormOption = Form.TEXT,
) -> None:
    """Compare topics and brokers with what the stages rely on; exit 1 if a guarantee is void."""
    loaded = load_settings(config, os.environ)
    findings = runtime.check_topics(loaded.settings)
    refused = [each for each in findings if each.level == "refused"]
    shown = findings if show_all else [each for each in findings if each.level != "ok"]
    if output is Form.JSON:
        console.print_json([each._asdict() for each in shown])
    else:
        table = console.table("level", "topic", "setting", "seen", "needed")
        for each in shown:
            table.add_row(*(escape(cell) for cell in each))
        if shown:
            console.print_table(table)
        console.print_line(
            f"{len(findings)} checked, {len(refused)} refused, "
            f"{sum(each.level == 'warning' for each in findings)} warnings"
        )
    if refused:
        raise typer.Exit(1)
