"""Take away guards that no simulation reaches, line by line, and name the tests that miss them.

As a pytest plugin (`-p tests.simulation.mutants` with `MUTANT=name`) it puts the changed module in
the place of the real one before any test imports it. Production has no switch for any of them.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent


class Mutant(NamedTuple):
    """Hold one line that is changed, and the tests that must then fail."""

    guard: str
    module: str
    line: str
    changed: str
    tests: str


_CLIENT, _RULES = "worker.transport.kafka.client", "tests/unit/test_kafka_rules.py"

MUTANTS: dict[str, Mutant] = {
    "serializers": Mutant(
        "bytes in, bytes out: serializers are refused (R1)",
        "worker.transport.kafka.producer",
        'if self._options.get("key_serializer") or self._options.get("value_serializer"):',
        "if False:",
        _RULES,
    ),
    "untrusted_snapshot": Mutant(
        "a batch polled by who is no stable member is given back (R3)",
        "worker.engine.loop",
        "if group.rebalances != self._bound or not group.trusted:",
        "if group.rebalances != self._bound:",
        "tests/unit/test_engine.py",
    ),
    "other_assignor": Mutant(
        "the eager sticky assignor alone (R6)",
        _CLIENT,
        '"partition_assignment_strategy": (StickyPartitionAssignor,),',
        '"partition_assignment_strategy": (),',
        _RULES,
    ),
    "read_uncommitted_input": Mutant(
        "input is read read_committed (R7)",
        _CLIENT,
        '"isolation_level": "read_committed",',
        '"isolation_level": "read_uncommitted",',
        _RULES,
    ),
    "asked_once": Mutant(
        "an offset that is older than the state is asked for again (RS3)",
        "worker.engine.restorer",
        "if ahead and self._exactly_once and each.asked_at != stands:",
        "if False:",
        "tests/unit/test_restorer.py",
    ),
    "no_watchdog": Mutant(
        "a phase older than 45 s ends the process (R9)",
        "worker.engine.watchdog",
        "if age > self._limit_s:",
        "if False:",
        "tests/unit/test_engine_parts.py",
    ),
    "no_fuse": Mutant(
        "records that die by our own fault stop the stage (72)",
        "worker.engine.fuse",
        "if self._in_a_row >= IN_A_ROW:",
        "if False:",
        "tests/unit/test_engine_parts.py",
    ),
    "retried_blindly": Mutant(
        "what makes poll() raise twice is saved and passed over (R10)",
        "worker.transport.kafka.consumer",
        "if self._suspects.get(partition) != at:",
        "if True:",
        "tests/unit/test_kafka_consumer.py",
    ),
    "unread_settings": Mutant(
        "a start refuses settings that void the proof (R12)",
        "worker.transport.kafka.topics",
        "if refused:",
        "if False:",
        _RULES,
    ),
    "emptied_markers": Mutant(
        "a marker that the cleaner emptied is passed over in a restore",
        "worker.transport.kafka.plain_records",
        "return batch.records_count > 0 and bool(super()._contains_abort_marker(batch))",
        "return bool(super()._contains_abort_marker(batch))",
        "tests/unit/test_batch_records.py",
    ),
    "topics_by_themselves": Mutant(
        "no topic is made by itself (R11)",
        _CLIENT,
        '"allow_auto_create_topics": False,',
        '"allow_auto_create_topics": True,',
        _RULES,
    ),
}


def fails(name: str) -> bool:
    """Run a mutant's tests; tell whether one failed, as it must."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
            *("-p", "tests.simulation.mutants", MUTANTS[name].tests),
        ],
        env=os.environ | {"MUTANT": name, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if ended.returncode not in (0, 1):  # 1: tests failed; more: they did not run
        raise RuntimeError(ended.stdout + ended.stderr)
    return ended.returncode == 1


def install(mutant: Mutant) -> None:
    """Put the changed module in the place of the real one."""
    spec = importlib.util.find_spec(mutant.module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert mutant.line in source, f"{mutant.module} has no line {mutant.line!r} any more"
    module = importlib.util.module_from_spec(spec)
    sys.modules[mutant.module] = module
    changed = source.replace(mutant.line, mutant.changed)
    exec(compile(changed, spec.origin, "exec"), module.__dict__)  # noqa: S102  # our own source
    parent, _, last = mutant.module.rpartition(".")
    setattr(sys.modules[parent], last, module)


if "MUTANT" in os.environ:
    install(MUTANTS[os.environ["MUTANT"]])
