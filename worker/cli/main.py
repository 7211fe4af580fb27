"""Assemble the `weir` command and map errors to the exit codes of docs/command-line.md."""

from __future__ import annotations

import gc
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from fastpath.errors import BuildError
from worker.cli import check, console, doctor, explain, load, run, scan, state, topics
from worker.domain.errors import PolicyError, WeirError

EXIT_REFUSED = 78  # settings or policy refused before anything ran
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells expect
# Objects between two searches for cycles, and searches between those of older generations. Tables
# hold many small objects and make no cycles: Python's 700 cost 15 % of a scan.
COLLECT_AFTER = (50_000, 20, 50)

app = typer.Typer(
    name="weir",
    help="Moderate a stream of posts: match, count, decide, and say why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=console.examples(
        "weir scan posts.ndjson.gz --bundle deploy/example/bundle --out out/demo",
        "weir check deploy/example/bundle",
        "weir run --stage all --config weir.yaml --start latest",
    ),
)
"""The command line; `main` runs it."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"weir {version('weir')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


app.command("scan", epilog=scan.EXAMPLES)(scan.scan)
app.command("explain", epilog=explain.EXAMPLES)(explain.explain)
app.command("check", epilog=check.EXAMPLES)(check.check)
app.command("run", epilog=run.EXAMPLES)(run.run)
app.command("load", epilog=load.EXAMPLES)(load.load)
app.add_typer(topics.app, name="topics")
app.add_typer(state.app, name="state")
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)


def main() -> None:
    """Run the command line and leave with its exit code; user errors never show a traceback."""
    gc.set_threshold(*COLLECT_AFTER)
    try:
        app(prog_name="weir")  # however it was started
    except (PolicyError, BuildError) as error:
        console.report(error)
        sys.exit(EXIT_REFUSED)
    except WeirError as error:
        console.report(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output left (`weir check ... | head`); Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
