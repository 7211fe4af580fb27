"""Hold the parts of a loaded bundle as immutable values; built by `worker.policy.assemble`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from fastpath.spec import FingerprintType, WindowCount
from worker.policy.conditions import Condition

PostAction: TypeAlias = Literal["label", "limit", "remove", "review"]
StepKind: TypeAlias = Literal["warn", "lock", "suspend", "review"]
Mode: TypeAlias = Literal["live", "shadow", "off"]


@dataclass(frozen=True, slots=True)
class Window:
    """Count per account, or distinct accounts per fingerprint, over `over_ms` of origin time."""

    name: str
    per: Literal["account"] | FingerprintType
    count: WindowCount | Literal["distinct_accounts"]
    over_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """Say what happens when the strikes of an account reach `at`.

    `for_ms` and `until` end a restriction, whichever comes first; both None: it has no end.
    """

    at: int
    do: StepKind
    for_ms: int | None = None
    until: Literal["post_deleted"] | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """Hold steps in ascending order of `at`; strikes of all its policies pool in it."""

    name: str
    strike_ttl_ms: int
    warn_grace_ms: int
    warning: Literal["issued", "delivered"]
    steps: tuple[Step, ...]

    def step_at(self, total: int) -> Step | None:
        """Give the highest step at or below a strike total."""
        below = [step for step in self.steps if step.at <= total]
        return below[-1] if below else None


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold a checked condition and what follows when it holds.

    `mode` is what is in force: under `enforcement: observe` a live rule is shadow. `index` is
    the rule's place in `Bundle.post_rules` (its gate bit) or `Bundle.campaign_rules`; -1 if off.
    """

    policy: str
    id: str
    on: Literal["post", "campaign"]
    of: FingerprintType | None
    when: Condition
    members: Condition | None
    post_action: PostAction | None
    strikes: int
    mode: Mode
    index: int
    windows: tuple[str, ...]  # names of the windows that `when` reads, sorted

    @property
    def name(self) -> str:
        """Name the rule in counters and tables: policy and id."""
        return f"{self.policy}/{self.id}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Group rules under a clause, with what a statement of reasons says about them."""

    name: str
    ladder: Ladder | None
    severe: bool
    clause: str
    cooldown_ms: int  # 0: every new post may add a strike
    rules: tuple[Rule, ...]
    ground: Literal["terms", "illegal"] = "terms"
    legal_ground: str | None = None
    category: str = "scope_of_platform_service"
    explanation: str = ""
    redress: tuple[str, ...] = ("complaint", "out_of_court", "court")
