"""Hold the record of `weir.campaigns` (docs/campaigns.md)."""

from __future__ import annotations

from dataclasses import dataclass

from worker.domain.signal import FingerprintRef, Mode, Origin

MAX_MEMBERS = 1_000  # accounts and posts listed in a campaign record; signals name every member


@dataclass(frozen=True, slots=True)
class CampaignPost:
    """Name one post of a campaign."""

    account: str
    id: str
    revision: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class Campaign:
    """Report a fingerprint for which a campaign rule holds for the first time."""

    fingerprint: FingerprintRef
    policy: str
    rule: str
    mode: Mode
    opened_at: int  # origin time of the earliest sighting of the run
    accounts: int  # distinct accounts of the run
    sightings: int
    sketch: bool
    members: tuple[str, ...]  # accounts that pass `members`, at most MAX_MEMBERS
    posts: tuple[CampaignPost, ...]  # their posts, at most MAX_MEMBERS
    bundle: str
