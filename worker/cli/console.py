"""Print for people or for programs, and turn errors into one message and an exit code."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Into a pipe or a file nothing is wrapped, so that a row stays a line; no table is this wide.
_PIPE_WIDTH = 100_000


class Form(StrEnum):
    """Say for whom a command prints."""

    TEXT = "text"
    JSON = "json"


FormOption = Annotated[
    Form,
    typer.Option("--output", help="Print for people (text) or for programs (json)."),
]


def out() -> Console:
    """Return a console on standard output as it is now (tests and pipes replace it)."""
    return _console(sys.stdout)


def err() -> Console:
    """Return a console on standard error: progress, warnings and errors."""
    return _console(sys.stderr)


def _console(stream: Any) -> Console:
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def print_json(value: object) -> None:
    """Write one JSON document to standard output, keys in the order given."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_line(text: str) -> None:
    """Write one line as it is, never wrapped, so that a path can be copied."""
    out().print(escape(text), soft_wrap=True)


def print_text(text: str) -> None:
    """Write lines as they are: columns and carets must not move."""
    sys.stdout.write(text + "\n")


def table(*columns: str, numbers: int = 0) -> Table:
    """Make a plain table; the last `numbers` columns are set flush right."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for place, column in enumerate(columns):
        right = place >= len(columns) - numbers
        made.add_column(column, justify="right" if right else "left", overflow="fold")
    return made


def print_table(made: Table) -> None:
    """Write a table; into a pipe one line per row, without padding at its end."""
    console = out()
    if console.is_terminal:
        console.print(made)
        return
    with console.capture() as captured:
        console.print(made)
    print_text("\n".join(line.rstrip() for line in captured.get().splitlines()))


def report(error: Exception) -> None:
    """Write an error to standard error: one message, no traceback."""
    err().print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)


def note(message: str) -> None:
    """Write a line of progress to standard error."""
    err().print(escape(message), soft_wrap=True)


def warn(message: str) -> None:
    """Write a warning to standard error."""
    err().print(f"[bold yellow]warning:[/] {escape(message)}", soft_wrap=True)


def examples(*lines: str) -> str:
    """Make the Examples section of a command's help, one command per line."""
    return "\n\n".join(("[bold]Examples[/bold]", *(f"  $ {escape(line)}" for line in lines)))
