"""Define what a screen hands back for a batch and what a sightings record holds; no logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fastpath.spec import Row, SightingBatch


@dataclass(slots=True)
class Columns:
    """Hand one batch's results to Python; nothing is kept for a post that nothing flags."""

    count: int  # records in, whatever became of them
    rows: list[Row] = field(default_factory=list)  # flagged records alone, by rising index
    sightings: list[SightingBatch] = field(default_factory=list)  # by partition, then by record


class Sighting(NamedTuple):
    """Report one account seen with one fingerprint; an entry of a sightings record."""

    type: str  # one of spec.FINGERPRINT_TYPES
    fingerprint: bytes  # 16 bytes, keyed by the deployment key
    account: str
    account_created_at: int | None  # ms; None where unknown
    post: str
    revision: int
    time: int  # origin time, ms
    text_digest: bytes  # 16 bytes, BLAKE2b-128 of the folded text
    simhash: int  # 0 until near-duplicates are counted
    partition: int  # origin coordinates
    offset: int


class SightingRecord(NamedTuple):
    """Hold one unpacked record of the sightings topic."""

    topic: str  # origin topic or file
    bundle_digest: bytes  # 32 bytes
    sightings: list[Sighting]
