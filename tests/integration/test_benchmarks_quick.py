"""Every benchmark counts what its definition expects, and equals every peer that it names.

Without the peers' packages (`pip install --group bench`) Weir runs alone against the counts.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.definition import DefinitionError, load, names
from benchmarks.jobs import PeerMissingError, job_of, peer
from benchmarks.run import run


def cases() -> list[Any]:
    """Give every definition; those with a broker carry the mark of such tests."""
    return [
        pytest.param(name, marks=[pytest.mark.broker] if job_of(load(name)).BROKER else [])
        for name in names()
    ]


def installed(engine: str) -> bool:
    try:
        peer(engine)
    except PeerMissingError:
        return False
    except DefinitionError:  # no peer but an engine of the job: Weir, or its twin
        return True
    return True


@pytest.mark.parametrize("name", cases())
def test_a_quick_run_counts_what_is_expected(name: str) -> None:
    definition = load(name, quick=True)
    engines = [engine for engine in definition.engines if installed(engine)]
    assert run(definition, engines, 1, lambda _: None).wrong == []
