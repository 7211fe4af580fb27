"""Measure Weir beside its peers on verified jobs."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import charts, record
from benchmarks.definition import Definition, DefinitionError, load, names, names_of
from benchmarks.jobs import PeerMissingError
from benchmarks.run import EngineFailedError, run
from worker.cli.console import examples

app = typer.Typer(
    help="Measure Weir beside its peers on verified jobs.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
_ERRORS = (DefinitionError, PeerMissingError, EngineFailedError, record.RecordError)
stderr = Console(stderr=True, highlight=False)


@app.command(
    "run",
    epilog=examples(
        "python -m benchmarks run drain",
        "python -m benchmarks run keywords --engines weir,hyperscan --repeats 3",
        "python -m benchmarks run screen --quick --json",
    ),
)
def run_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A benchmark or a family of them.")],
    engines: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these engines of the definition.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Passes per engine, instead of the definition's.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few posts, one repeat: checks counts, times little.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--record", help="Keep the result in benchmarks/record.")
    ] = False,
) -> None:
    """Run a benchmark and print its figures.

    Exits 1, without figures, when an engine counts or finds something else than the others; a goal
    that is not met is reported and exits 0.
    """
    documents = []
    for each in names_of(name):
        definition = load(each, quick=quick)
        chosen = chosen_engines(definition, engines)
        with stderr.status(each) as status:

            def tell(what: str, title: str = each, status: Any = status) -> None:
                status.update(f"{title}: {what}")
                if not stderr.is_terminal:
                    stderr.print(f"{title}: {what}")

            outcome = run(definition, chosen, repeats or definition.repeats, tell)
        documents.append(outcome.document)
        if keep:
            stderr.print(f"kept {record.write(outcome.document, definition.analysis)}")
        if not as_json:
            show(outcome.document)
    if as_json:
        whole = documents[0] if documents[0]["name"] == name else family(name, documents)
        sys.stdout.write(json.dumps(whole, indent=1) + "\n")
    if not all(document["outputs_equal"] for document in documents):
        raise typer.Exit(1)


def chosen_engines(definition: Definition, wanted: str | None) -> list[str]:
    """Return the engines to run, in the order of the definition.

    Raises:
        DefinitionError: the definition has none of a name that was asked for.
    """
    if wanted is None:
        return list(definition.engines)
    asked = [name.strip() for name in wanted.split(",")]
    for name in asked:
        if name not in definition.engines:
            known = ", ".join(definition.engines)
            raise DefinitionError(f"{definition.name} has no engine {name!r}; it has {known}")
    return [name for name in definition.engines if name in asked]


def family(name: str, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the documents of a family into one."""
    return {
        "name": name,
        "outputs_equal": all(document["outputs_equal"] for document in documents),
        "benchmarks": list(documents),
        "goals": [goal for document in documents for goal in document["goals"]],
    }


def show(document: dict[str, Any]) -> None:
    """Print figures and goals, or what was wrong."""
    out = Console(highlight=False)
    if not document["outputs_equal"]:
        stderr.print(f"[bold red]{document['name']}: outputs are wrong, so there are no figures[/]")
        for line in document["wrong"]:
            stderr.print(f"  {line}", markup=False)
        return
    table = Table(title=document["name"], box=None, pad_edge=False, title_justify="left")
    for column in ("engine", "figure", "median", "min", "max"):
        numeric = column in ("median", "min", "max")
        table.add_column(column, justify="right" if numeric else "left")
    for engine, figures in document["engines"].items():
        for figure, values in figures.items():
            if values:
                shown = (statistics.median(values), min(values), max(values))
                table.add_row(engine, figure, *map(record.number, shown))
    out.print(table)
    for goal in document["goals"]:
        verdict = "[green]met[/]" if goal["met"] else "[yellow]not met[/]"
        got = record.number(goal["got"])
        out.print(f"goal {goal['goal']} {goal['want']}: {got}, {verdict}")


@app.command("list")
def list_command() -> None:
    """Name the benchmarks with one line each."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "what it does", "engines"):
        table.add_column(column)
    for name in names():
        definition = load(name)
        table.add_row(name, definition.title, ", ".join(definition.engines))
    Console(highlight=False).print(table)


@app.command("report")
def report_command(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the charts.")
    ] = charts.FOLDER,
) -> None:
    """Draw one chart per family of benchmarks from the newest records."""
    for path in charts.draw(record.latest(), out):
        typer.echo(path)


@app.command(
    "compare",
    epilog=examples("python -m benchmarks compare record/m/2026-11-01-drain.json record/m/…json"),
)
def compare_command(
    first: Annotated[Path, typer.Argument(metavar="A")],
    second: Annotated[Path, typer.Argument(metavar="B")],
) -> None:
    """Set two records side by side; refuses other machines, definitions or inputs."""
    table = Table(box=None, pad_edge=False)
    for column in ("engine", "figure", first.stem, second.stem, "change"):
        table.add_column(column, justify="left" if column in ("engine", "figure") else "right")
    for row in record.compare(record.read(first), record.read(second)):
        table.add_row(*row)
    Console(highlight=False).print(table)


def main() -> None:
    """Run the command line; an error of use is one line."""
    try:
        app()
    except _ERRORS as error:
        stderr.print(f"[bold red]error:[/] {error}", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
