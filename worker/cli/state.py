"""Look at the state of a stage, and move it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from worker import runtime
from worker.cli import console
from worker.cli.console import Form, FormOption
from worker.cli.options import ConfigOption
from worker.runtime.state import StateTools, Verified
from worker.settings_load import load_settings

app = typer.Typer(
    help="Look at what a stage keeps, and move it: to other partitions, clusters, or less.",
    no_args_is_help=True,
    epilog=console.examples(
        "weir state verify --stage enforce --config weir.yaml",
        "weir state export enforce.state.gz --stage enforce --config weir.yaml",
        "weir state import enforce.state.gz --stage enforce --config new.yaml --at earliest",
    ),
)
"""The `weir state` commands."""

DUMP_EXAMPLES = console.examples(
    "weir state dump --stage enforce --config weir.yaml --partition 3",
    "weir state dump --stage screen --config weir.yaml --output json | jq .in_next",
)
VERIFY_EXAMPLES = console.examples("weir state verify --stage screen --config weir.yaml")
EXPORT_EXAMPLES = console.examples(
    "weir state export screen.state.gz --stage screen --config weir.yaml",
)
IMPORT_EXAMPLES = console.examples(
    "weir state import screen.state.gz --stage screen --config weir.yaml",
    "weir state import screen.state.gz --stage screen --config weir.yaml --at latest --execute",
    "weir state import enforce.state.gz --stage enforce --without-account u17 --execute",
)


class OneStage(StrEnum):
    """Name the stage whose state is meant."""

    SCREEN = "screen"
    CORRELATE = "correlate"
    ENFORCE = "enforce"


class GoesOn(StrEnum):
    """Name where the input goes on after an import."""

    SAME = "same"
    EARLIEST = "earliest"
    LATEST = "latest"


StageOption = Annotated[OneStage, typer.Option("--stage", help="Whose state.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The export, gzip.")]


def _tools(config: Path | None, stage: OneStage) -> StateTools:
    settings = load_settings(config, os.environ).settings
    return runtime.StateTools(settings, stage.value)


@app.command("dump", epilog=DUMP_EXAMPLES)
def dump(
    stage: StageOption,
    config: ConfigOption = None,
    partition: Annotated[
        int | None, typer.Option("--partition", metavar="N", min=0, help="One partition alone.")
    ] = None,
    output: FormOption = Form.TEXT,
) -> None:
    """Show every record of a state topic in log order; entries are counted, not shown."""
    records = _tools(config, stage).dump(partition)
    if output is Form.JSON:
        console.print_json(list(records))
        return
    for record in records:
        place = f"{record.pop('partition')}@{record.pop('offset')} {record.pop('record')}"
        rest = " ".join(f"{name}={value}" for name, value in record.items())
        console.print_line(f"{place} {rest}")


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(stage: StageOption, config: ConfigOption = None, output: FormOption = Form.TEXT) -> None:
    """Restore every partition and compare it with the committed offset; exit 1 if one is wrong."""
    found = _tools(config, stage).verify()
    _show(found, output)
    if any(each.wrong for each in found):
        raise typer.Exit(1)


@app.command("export", epilog=EXPORT_EXAMPLES)
def export(
    file: FileArgument,
    stage: StageOption,
    config: ConfigOption = None,
    output: FormOption = Form.TEXT,
) -> None:
    """Write the state of a stopped stage to a file; exit 1, and no file, if one is wrong."""
    found = _tools(config, stage).export(file)
    _show(found, output)
    if any(each.wrong for each in found):
        raise typer.Exit(1)


@app.command("import", epilog=IMPORT_EXAMPLES)
def import_(
    file: FileArgument,
    stage: StageOption,
    config: ConfigOption = None,
    at: Annotated[
        GoesOn,
        typer.Option(
            "--at",
            help="Where the input goes on: at the exported offsets, or at its beginning or end. "
            "Another number of partitions needs one of the latter.",
        ),
    ] = GoesOn.SAME,
    without_account: Annotated[
        str | None,
        typer.Option("--without-account", metavar="ID", help="Leave this account out: erasure."),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Write; without it the plan is shown alone.")
    ] = False,
    output: FormOption = Form.TEXT,
) -> None:
    """Write an export into an empty state topic, re-keyed for the partitions that are there."""
    plan = _tools(config, stage).import_(
        file,
        at=at.value,
        without=without_account,
        execute=execute,
        tell=console.note,
    )
    if output is Form.JSON:
        console.print_json({"executed": execute, "partitions": [each._asdict() for each in plan]})
        return
    table = console.table("partition", "entries", "goes on at")
    for each in plan:
        table.add_row(*(str(cell) for cell in each))
    console.print_table(table)
    console.print_line("written" if execute else "nothing written; --execute writes it")


def _show(found: list[Verified], output: Form) -> None:
    if output is Form.JSON:
        console.print_json([each._asdict() for each in found])
        return
    table = console.table("partition", "committed", "state at", "epoch", "seq", "entries", "wrong")
    for each in found:
        table.add_row(*("-" if cell is None else escape(str(cell)) for cell in each))
    console.print_table(table)
