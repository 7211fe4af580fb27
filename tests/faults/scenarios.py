"""The scenarios of the fault matrix: which brokers, which faults of which slots, which starts."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tests.faults import faults
from tests.faults.between import move_state, reset_offsets
from tests.faults.brokers import Brokers, One, Parted, Proxied, Silent, Three
from tests.faults.reader import Watch
from tests.faults.volumes import NO_ROOM, Full
from tests.support.deployment import Deployment

Plan: TypeAlias = Callable[[str], Iterator[faults.Fault]]
# Gives what one start of a worker is told beyond its fault, from a folder and a number.
Start: TypeAlias = Callable[[Path, int], dict[str, Any]]

LOST = 69  # a worker that starts while no broker answers


def _plain(_bundle: Path, _number: int) -> dict[str, Any]:
    return {}


def _seeded(_bundle: Path, number: int) -> dict[str, Any]:
    return {"forked": False, "hash_seed": str(number)}


def _shifted(_bundle: Path, number: int) -> dict[str, Any]:
    return {"clock_s": (0.0, 3_600.0, -3_600.0, 86_400.0 * 365)[number % 4]}


def _rebuilt(bundle: Path, number: int) -> dict[str, Any]:
    """Write the bundle anew, with another digest and the same rules, for every other start."""
    if number % 2 == 0:
        return {}
    other = bundle.parent / f"bundle-{number}"
    shutil.copytree(bundle, other)
    text = (other / "bundle.yaml").read_text(encoding="utf-8")
    (other / "bundle.yaml").write_text(f"{text}\n# {number}\n", encoding="utf-8")
    return {"bundle": other}


def renew(bundle: Path, number: int) -> None:
    """Give the bundle another digest and the same rules, in one step."""
    fresh = bundle / f"next-{number}"
    text = (bundle / "bundle.yaml").read_text(encoding="utf-8").partition("\n# renewed")[0]
    fresh.write_text(f"{text.rstrip()}\n# renewed {number}\n", encoding="utf-8")
    fresh.replace(bundle / "bundle.yaml")


def _shared(bundle: Path, _number: int) -> dict[str, Any]:
    return {"bundle": bundle}


@dataclass(frozen=True)
class Scenario:
    """Say what a run does to its brokers and workers."""

    what: str
    brokers: Callable[[str], Brokers] = One
    plans: Mapping[str, Plan] = field(default_factory=lambda: dict(USUAL))
    start: Start = _plain
    kills: bool = True  # whether it has any
    stands: bool = False  # the first slot lives on, and its takeovers are measured
    kafka: Mapping[str, Any] = field(default_factory=lambda: dict(PRODUCTION))  # of every worker
    state_topics: Mapping[str, str] = field(default_factory=dict)  # their settings
    renews: bool = False  # each process has its bundle swapped while it decides
    starves: bool = False  # some process ends for lack of memory or files
    must_see: str = ""  # a fault of the brokers
    between: Callable[[Deployment, Watch], None] | None = None  # half way, while all is stopped
    must_end: frozenset[int] = frozenset()  # the run goes on until one of these exit codes came up
    heals: frozenset[int] = frozenset()  # exit codes that are right beside those of every run


# Everything that the cleaner may take is taken within seconds, markers too. A segment becomes its
# prey when its records are older than any transaction that could hide them from the reader: that
# one must see each record before it is gone (> 15 s timeout + 1 s search).
COMPACTED: Mapping[str, str] = {
    "segment.ms": "1000",
    "segment.bytes": "1048576",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "20000",
    "max.compaction.lag.ms": "21000",
    "delete.retention.ms": "1000",
}

# A slot that is started again at once comes back within its session, without a rebalance.
PRODUCTION: Mapping[str, Any] = {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 3_000}

USUAL: Mapping[str, Plan] = {
    "a": faults.kills,
    "b": faults.kills,
    "c": faults.pauses,
    "d": faults.kills,
}

SCENARIOS: Mapping[str, Scenario] = {
    "usual": Scenario("kills and stops at every failpoint, twins, takeovers"),
    "hash-seeds": Scenario(
        "each process has an interpreter and a hash seed of its own", start=_seeded
    ),
    "clocks": Scenario("wall clocks an hour and a year off, which jump", start=_shifted),
    "bundles": Scenario("every other start on a bundle with another digest", start=_rebuilt),
    "reload": Scenario(
        "each process has its bundle swapped by SIGHUP while it decides, and dies soon after",
        start=_shared,
        renews=True,
    ),
    "moves": Scenario(
        "half way all slots are stopped, and all state is exported, deleted and imported",
        between=move_state,
    ),
    "resets": Scenario(
        "half way all slots are stopped, and committed offsets are deleted and moved: each a stop",
        between=reset_offsets,
    ),
    "storm": Scenario(
        "slots join and leave every few seconds, and die while they give partitions back",
        plans={"a": faults.stays, "b": faults.storms, "c": faults.storms, "d": faults.storms},
        kafka={},  # sessions end early, so that what a dead newcomer held comes back soon
    ),
    "rolling": Scenario(
        "slots are stopped and started one by one, cleanly",
        plans={"a": faults.steps, "b": faults.steps, "c": faults.steps},
        kills=False,
    ),
    "takeovers": Scenario(
        "one slot lives on, another dies and stays away; the times of a production",
        plans={"a": faults.stands, "b": faults.leaves},
        stands=True,
    ),
    "halts": Scenario(
        "stops of 20 and 70 seconds at every failpoint: longer than a transaction may last",
        plans={"a": faults.kills, "b": faults.halts, "c": faults.halts, "d": faults.halts},
    ),
    "starved": Scenario(
        "processes that get no more memory, or may open no more files",
        plans={"a": faults.kills, "b": faults.starves, "c": faults.starves},
        starves=True,
        # Without memory a library may crash, as orjson.dumps was seen to; the report says where.
        heals=frozenset({LOST, -signal.SIGSEGV, -signal.SIGABRT}),
    ),
    "compaction": Scenario(
        "state topics are compacted within seconds, while they are restored from",
        state_topics=COMPACTED,
    ),
    "proxy": Scenario(
        "workers behind a proxy that delays, slices, holds and cuts",
        brokers=Proxied,
        heals=frozenset({LOST}),
    ),
    "silence": Scenario(
        "a broker that takes everything and answers nothing, for longer than a phase may last",
        brokers=Silent,
        plans={"a": faults.stands, "b": faults.stands, "c": faults.kills},
        heals=frozenset({LOST}),
        must_end=frozenset({70, 71}),
    ),
    "parted": Scenario(
        "three brokers; one slot is cut off from some of them, and from others not",
        brokers=Parted,
        heals=frozenset({LOST}),
    ),
    "full": Scenario(
        "three brokers whose volumes fill up, one or two at a time; needs root, to mount them",
        brokers=Full,
        must_see=NO_ROOM,
        plans={"a": faults.kills, "b": faults.kills},
        heals=frozenset({LOST}),
    ),
    "brokers": Scenario(
        "three brokers, killed, bounced and stopped, also below min.insync.replicas",
        brokers=Three,
        plans={"a": faults.kills, "b": faults.kills},
        heals=frozenset({LOST}),
    ),
}
"""By name, in the order in which rounds of all take them."""
