"""Hold the records of `weir.signals`: what screen and correlate tell enforce (docs/records.md).

Nobody changes a record. They are not frozen all the same: a frozen class takes three times as
long to make, and several are made for each flagged post.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

RECORD_VERSION = 1  # a change of meaning raises it; unknown fields are ignored by readers

Mode: TypeAlias = Literal["live", "shadow"]
Decision: TypeAlias = Literal["uphold", "overturn", "act"]
ReceiptStatus: TypeAlias = Literal["done", "failed", "repeated"]

DECISIONS: tuple[Decision, ...] = ("uphold", "overturn", "act")
RECEIPT_STATUSES: tuple[ReceiptStatus, ...] = ("done", "failed", "repeated")


@dataclass(slots=True)
class Origin:
    """Name the record of the input stream that everything derived from it goes back to."""

    topic: str  # or the file's name
    partition: int
    offset: int  # or the line, 1-based
    time: int  # origin time, ms since the epoch


@dataclass(slots=True)
class AccountRef:
    """Name an account; `created_at` is ms since the epoch, None where unknown."""

    id: str
    created_at: int | None = None


@dataclass(slots=True)
class PostRef:
    """Name one revision of a post; `digest` is hex BLAKE2b-128 of the folded text."""

    id: str
    revision: int
    digest: str


@dataclass(slots=True)
class MatchEvidence:
    """Cite one entry of a list: a span of a keyword, or the distance of a hash."""

    list: str
    pattern: str
    lane: str | None  # None for hashes
    span: tuple[int, int] | None  # code points of the original text, [start, end)
    count: int
    distance: int | None  # None for keywords


@dataclass(slots=True)
class FingerprintRef:
    """Name a fingerprint by type and the hex of its 128 bits."""

    type: str
    key: str


@dataclass(slots=True)
class CampaignEvidence:
    """Cite the run of eight ticks in which a campaign rule held."""

    fingerprint: FingerprintRef
    opened_at: int  # first ms of the run
    closed_at: int  # first ms after the run
    accounts: int  # distinct accounts in the run
    sightings: int
    sketch: bool  # `accounts` is an estimate


@dataclass(slots=True)
class Evidence:
    """Hold what made a rule hold, as the condition saw it."""

    matches: tuple[MatchEvidence, ...] = ()
    windows: dict[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    campaign: CampaignEvidence | None = None


@dataclass(slots=True)
class Signal:
    """Say that a rule held for a post, or for the post of a campaign's member."""

    account: AccountRef
    post: PostRef
    origin: Origin
    policy: str
    rule: str
    mode: Mode
    bundle: str  # digest (hex) of the bundle under which the rule held
    evidence: Evidence


@dataclass(slots=True)
class Delete:
    """Say that an account deleted its post."""

    account: str
    post: str
    origin: Origin


@dataclass(slots=True)
class Notice:
    """Say that a record could not be read, or was read only in part; a person must look.

    `account` is the Kafka key (None where it had none), `post` is None where no id parsed.
    """

    account: str | None
    post: PostRef | None
    reason: str
    origin: Origin


@dataclass(slots=True)
class PostName:
    """Name a post in a person's decision; without a revision every revision is meant."""

    id: str
    revision: int | None = None


@dataclass(slots=True)
class Person:
    """Name who decided; the role travels because a complaint is not decided by software alone."""

    id: str
    role: str


@dataclass(slots=True)
class Review:
    """Carry a person's decision on an action or on a post."""

    account: str
    action_id: str | None
    post: PostName | None
    decision: Decision
    policy: str | None
    by: Person
    reason: str
    time: int  # as the desk wrote it; `origin.time` is what decides
    origin: Origin


@dataclass(slots=True)
class Receipt:
    """Carry an executor's word on what it did with an action."""

    account: str
    action_id: str
    status: ReceiptStatus
    at: int
    origin: Origin


SignalRecord: TypeAlias = Signal | Delete | Notice | Review | Receipt
