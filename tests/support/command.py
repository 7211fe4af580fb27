"""Run the `weir` command in this process and keep what a person would see."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from worker.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
# Fixed width and no colour, so that what is printed depends on nothing of this machine.
ENVIRONMENT = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "TERMINAL_WIDTH": "100"}


class Ran(NamedTuple):
    """Hold how a command ended."""

    code: int
    out: str
    err: str


class _Input(io.TextIOWrapper):
    """Stand in for standard input; it is no terminal."""


def weir(*arguments: object, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Ran:
    """Run `weir` with arguments; variables of this process named WEIR_* are left out."""
    out, err = io.StringIO(), io.StringIO()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("WEIR_")}
    variables = kept | ENVIRONMENT | (environment or {})
    with (
        patch.dict(os.environ, variables, clear=True),
        patch.object(sys, "argv", ["weir", *(str(argument) for argument in arguments)]),
        patch.object(sys, "stdin", _Input(io.BytesIO(stdin))),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code: object = 0
        try:
            main()
        except SystemExit as left:
            code = left.code
    return Ran(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def weir_process(*arguments: object, stdin: bytes = b"") -> Ran:
    """Run `weir` as a process of its own: the Kafka client leaves sockets of failed tries open."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("WEIR_")}
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli.main", *(str(argument) for argument in arguments)],
        input=stdin,
        capture_output=True,
        env=kept | ENVIRONMENT,
        cwd=ROOT,
        timeout=150,  # a bound for hangs
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
