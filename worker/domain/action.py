"""Hold the record that enforce alone writes: a complete statement of reasons (docs/records.md).

What stands in the record alone is a typed dict, encoded as it is; what the ledger keeps as well
is a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict

from worker.domain.signal import Evidence, Origin

ActionKind: TypeAlias = Literal[
    "label", "limit", "remove", "warn", "lock", "suspend", "review", "restore"
]
ACTION_KINDS: tuple[ActionKind, ...] = (
    "label",
    "limit",
    "remove",
    "warn",
    "lock",
    "suspend",
    "review",
    "restore",
)
POST_KINDS: frozenset[ActionKind] = frozenset({"label", "limit", "remove"})
BANS: frozenset[ActionKind] = frozenset({"lock", "suspend"})  # need a warning before them

# Why a review stands where another action would have been, or why a person must look.
ReviewCause: TypeAlias = Literal[
    "rule", "step", "act_after", "breaker", "exempt", "unknown_rule", "notice"
]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Say what a review stands for: the diverted kind and step, None where nothing was decided."""

    cause: ReviewCause
    kind: ActionKind | None
    step: int


class Counter(TypedDict):
    """State one number that a decision rests on, beside the threshold it was compared with."""

    name: str
    window_ms: int | None
    value: int
    op: str | None
    threshold: int | None  # None where the condition compares with no constant


class PostEvidence(TypedDict):
    """Point into the original text: where, in which lane, which spans."""

    topic: str
    partition: int
    offset: int
    post_id: str | None
    content_digest: str
    lane: str | None
    spans: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class PriorWarning:
    """Cite the warning on which a lock or suspension rests."""

    action_id: str
    at: int  # when it counts from: its issue, or its receipt


class Restriction(TypedDict):
    """State one account restriction in force after an action; None has no end."""

    kind: ActionKind
    expires_at: int | None


class ActionPost(TypedDict):
    """Name the post that an action concerns."""

    id: str
    revision: int


class PersonsDecision(TypedDict):
    """Say which person decided, and why."""

    decision: str
    by_id: str
    role: str
    reason: str
    time: int


class Action(TypedDict):
    """State a decision completely, in the order of the record's keys.

    Times are ms since the epoch. `in`, the coordinates of the signal in this run, is added when
    the record is encoded, so that everything here is equal in a second run over the same input.
    """

    v: int
    kind: ActionKind
    action_id: str
    account_id: str | None  # None: an unreadable record without a key
    account_seq: int  # dense while the account's ledger row lives
    account_type: Literal["private", "business"] | None
    shadow: bool
    post: ActionPost | None
    effective_at: int
    expires_at: int | None
    release_condition: Literal["post_deleted"] | None
    scope: tuple[str, ...]  # territories; empty means everywhere
    policy: str
    policy_revision: int
    clause_ref: str | None
    rule_ids: list[str]
    ladder: str | None
    step: int  # `at` of the ladder's step, 0 for a post action
    severe: bool
    bundle_digest: str
    ground: Literal["illegal", "terms"]
    legal_ground: str | None
    explanation: str
    category: str | None
    keywords: tuple[str, ...]
    facts_text_id: str
    counters: list[Counter]
    strikes_before: int
    strikes_after: int
    warning: PriorWarning | None
    evidence: Evidence | None
    evidence_bundle: str | None  # digest under which the rule held
    post_refs: list[PostEvidence]
    source_type: Literal["voluntary", "article_16", "trusted_flagger", "other_notification"]
    automated_detection: bool
    automated_decision: bool
    human_review_required: bool
    proposal: Proposal | None
    person: PersonsDecision | None
    redress: tuple[str, ...]
    notice_template_id: str
    supersedes: tuple[str, ...]
    in_force: list[Restriction]
    origin: Origin
