"""End every run with what this machine could not test."""

from __future__ import annotations

import pytest

from tests.support import requirements


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = requirements.summary()
    if lines:
        terminalreporter.section("missing", red=True, bold=True)
        for line in lines:
            terminalreporter.write_line(line, red=True)
