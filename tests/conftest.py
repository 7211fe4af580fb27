"""Share one broker and golden files among the tests; end with what could not be tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support import requirements

GOLDEN = Path(__file__).parent / "golden"

# No test asserts a time, these neither: others may be at work on the machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--refresh-golden", action="store_true", help="write golden files instead of comparing"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with a file below tests/golden; `--refresh-golden` writes it instead."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--refresh-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden file {name}; write it with pytest --refresh-golden"
        assert text == path.read_text(encoding="utf-8"), f"{name} differs from what is recorded"

    return compare


@pytest.fixture(scope="session")
def kafka_servers() -> Iterator[str]:
    """Give the address of a real Apache Kafka on loopback."""
    requirements.require("java")
    requirements.require("mvn")
    from deploy.local.broker import serving

    with serving() as servers:
        yield servers


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports what this worker of pytest-xdist missed."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["missing"] = dict(requirements.missing)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    requirements.missing.update(getattr(node, "workeroutput", {}).get("missing", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = requirements.summary()
    if lines:
        terminalreporter.section("missing", red=True, bold=True)
        for line in lines:
            terminalreporter.write_line(line, red=True)
