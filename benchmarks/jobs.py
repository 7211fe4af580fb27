"""Find the module of a job and the adapter of a peer."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from benchmarks.definition import OWN_ENGINE, Definition, DefinitionError
from benchmarks.measured import Engine

INSTALL = "pip install --group bench"


class PeerMissingError(Exception):
    """Report a peer whose packages are not installed, with the command that installs them."""


class Job(Protocol):
    """Name what a module of `micro` or `macro` offers."""

    BROKER: bool
    """Whether it needs a real Kafka, and so JDK 17 and Maven."""
    FRESH: bool
    """Whether every repeat gets a new process; else one process is asked again and again."""

    def prepared(
        self, definition: Definition, folder: Path
    ) -> AbstractContextManager[dict[str, str]]:
        """Make the inputs in `folder`, once for all engines; yield names of them by digest."""

    def engine(self, name: str, definition: Definition, folder: Path) -> Engine:
        """Make an engine over those inputs; runs in its own process."""


def job_of(definition: Definition) -> Job:
    """Return the module that interprets a definition.

    Raises:
        DefinitionError: there is none of that name.
    """
    for level in ("macro", "micro"):
        module = f"benchmarks.{level}.{definition.job}"
        if find_spec(module) is not None:
            return cast("Job", importlib.import_module(module))
    raise DefinitionError(f"{definition.name}: no job is called {definition.job!r}")


def peer(name: str) -> object:
    """Return the adapter `benchmarks/peers/<name>.py`, dashes written as underscores.

    Raises:
        DefinitionError: there is no such adapter.
        PeerMissingError: what it imports is not installed.
    """
    module = f"benchmarks.peers.{name.replace('-', '_')}"
    if find_spec(module) is None:
        raise DefinitionError(f"no peer is called {name!r}: {module} does not exist")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise PeerMissingError(
            f"the peer {name} needs {error.name}, which is not installed: {INSTALL}. "
            f"Without peers: --engines {OWN_ENGINE}"
        ) from None
