"""Say what one run went through and what it found: for people, and for the record."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.faults import Tally
from tests.faults.record import shown
from tests.faults.scenarios import SCENARIOS
from tests.faults.takeover import Return, Takeover

BACK, OVER = "back in the same slot", "taken over by another slot"
# What is to be reached with the timeouts of a production; restores go by the size of the state.
GOALS = {
    (BACK, "assigned"): "5 s, start and rebalance",
    (OVER, "unowned"): "16 s, the greater of session and abort",
    (OVER, "rebalance"): "3 s",
}


@dataclass
class Report:
    """Say what a run went through and what it found."""

    seed: int
    scenario: str = "usual"
    posts: int = 0
    tally: Tally = field(default_factory=Tally)
    committed: int = 0  # transactions
    aborted: int = 0
    hidden: int = 0  # records of aborted transactions, which no reader saw
    claims: int = 0
    deltas: int = 0
    compacted: int = 0  # records of state that the reader saw and the cleaner took away
    takeovers: list[Takeover] = field(default_factory=list)
    brokers: Counter[str] = field(default_factory=Counter)  # faults of theirs
    drain_s: float = 0.0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)  # what the run was for and did not come to

    @property
    def kills(self) -> int:
        return self.tally.kills.total()

    @property
    def ended(self) -> int:
        """Count the processes that died, were fenced, or stopped when asked."""
        return self.kills + self.tally.exits.total()

    @property
    def counted(self) -> int:
        """Count the ends that the run is as long as: kills, where the scenario has them."""
        return self.kills if SCENARIOS[self.scenario].kills else self.ended

    def document(self) -> dict[str, Any]:
        """Give what the record keeps."""
        tally = self.tally
        return {
            "seed": self.seed,
            "scenario": self.scenario,
            "posts": self.posts,
            "kills": dict(sorted(tally.kills.items())),
            "stops": dict(sorted(tally.stops.items())),
            "restarts": tally.starts,
            "ends": {str(code): count for code, count in sorted(tally.exits.items())},
            "transactions": self.committed,
            "aborted": self.aborted,
            "brokers": dict(sorted(self.brokers.items())),
            "compacted": self.compacted,
            "renewed": tally.renewed,
            "starved": dict(sorted(tally.starved.items())),
            "seconds": {
                "run": round(self.seconds),
                "drain": round(self.drain_s, 1),
                "returns": _worst(tally.returns),
                "takeovers": _worst(self.takeovers),
            },
            "violations": len(self.violations),
        }

    def text(self) -> str:
        """Give the lines that a run ends with."""
        tally = self.tally
        exits = ", ".join(f"{count} x {code}" for code, count in sorted(tally.exits.items()))
        lines = [
            f"{self.scenario}, seed {self.seed}: posts {self.posts}, kills {self.kills}, "
            f"stops {tally.stops.total()}, restarts {tally.starts}, "
            f"transactions {self.committed}, aborted {self.aborted} "
            f"({self.hidden} records hidden), claims {self.claims}, deltas {self.deltas}, "
            f"violations {len(self.violations)}; {self.seconds:.0f} s",
            f"kills by failpoint: {shown(tally.kills)}",
            f"stops by failpoint: {shown(tally.stops)}; idle zombies {tally.idle.total()}; "
            f"other ends: {exits or 'none'}",
            *_parts(BACK, tally.returns),
            *_parts(OVER, self.takeovers),
        ]
        if self.brokers:
            lines.append(f"faults of brokers: {shown(self.brokers)}")
        for mode in ("cold", "warm"):
            times = [seconds for kind, seconds in tally.restores if kind == mode]
            lines.append(f"restore, {mode}: {_times(times)}")
        lines.append(f"bundles swapped in place {tally.renewed}, state compacted {self.compacted}")
        lines.append(f"ended for lack of memory or files: {shown(tally.starved)}")
        lines += [f"crashed at {place}" for place in tally.crashes]
        lines.append(f"drained {self.drain_s:.1f} s after the last fault")
        lines += [f"NOT TRIED {each}" for each in self.untried]
        return "\n".join([*lines, *(f"VIOLATION {each}" for each in self.violations)])


def _parts(what: str, found: Sequence[Return] | Sequence[Takeover]) -> list[str]:
    if not found:
        return []
    named = zip(found[0]._fields, zip(*found, strict=True), strict=True)
    return [
        f"{what}, {part}: {_times(list(seconds))}" + (f" (goal {goal})" if goal else "")
        for part, seconds in named
        for goal in [GOALS.get((what, part))]
    ]


def _worst(found: Sequence[Return] | Sequence[Takeover]) -> dict[str, list[float]]:
    """Give median, 99th percentile and maximum of each part, and of how many."""
    if not found:
        return {}
    named = zip(found[0]._fields, zip(*found, strict=True), strict=True)
    parts = {
        part: [round(each, 2) for each in (statistics.median(seconds), _p99(seconds), max(seconds))]
        for part, seconds in named
    }
    return {"count": [len(found)], **parts}


def _times(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    median = statistics.median(seconds)
    return f"{len(seconds)}, p50 {median:.2f} s, p99 {_p99(seconds):.2f} s"


def _p99(seconds: Sequence[float]) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
