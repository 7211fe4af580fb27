"""Define what a screen hands back for a batch and what a sightings record holds; no logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fastpath.rows import Row
from fastpath.spec import SightingBatch


@dataclass(slots=True)
class Columns:
    """Hand one batch's results to Python; nothing is kept for a post that nothing flags."""

    count: int  # records in, whatever became of them
    rows: list[Row] = field(default_factory=list)  # flagged records alone, by rising index
    sightings: list[SightingBatch] = field(default_factory=list)  # by partition, then by record


class Evasion(NamedTuple):
    """Count what a text does to be read by people and not by programs."""

    mixed_words: int  # of at least spec.MIXED_WORD_LETTERS letters, of two scripts or more
    hidden_characters: int  # invisible ones between letters or digits that need none
    direction_overrides: int  # U+202D and U+202E, which turn letters round


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
    simhash: int  # of the folded text; 0 where it has fewer than 20 grams
    partition: int  # origin coordinates
    offset: int


class SightingRecord(NamedTuple):
    """Hold one unpacked record of the sightings topic."""

    topic: str  # origin topic or file
    bundle_digest: bytes  # 32 bytes
    sightings: list[Sighting]


class KeptSighting(NamedTuple):
    """Show one sighting that a fingerprint holds."""

    account: str
    created_at: int | None  # of the account, ms; None where unknown
    post: str
    revision: int
    time: int  # origin time, ms
    digest: bytes  # 16 bytes, BLAKE2b-128 of the folded text
    topic: str  # origin coordinates
    partition: int
    offset: int


class FoundRun(NamedTuple):
    """Show a run of eight ticks that passes a rule's gate, or that the rule held for before."""

    gate: int  # index in FingerprintSpec.gates
    opened_at: int  # its first ms
    closed_at: int  # the first ms after it
    accounts: int  # distinct; estimated if `sketch`
    sightings: int
    sketch: bool
    held: bool  # the rule held for it before: it has told of all its sightings but the new one


class Arrival(NamedTuple):
    """Hand a sighting to Python whose fingerprint has runs to judge."""

    type: str
    fingerprint: bytes
    kept: KeptSighting
    runs: tuple[FoundRun, ...]  # by length of run, rule, first tick; one held run per rule


class Taken(NamedTuple):
    """Hand over what a rule that holds for a run brings out."""

    opens: bool  # the first time that the rule holds for this fingerprint
    sightings: list[KeptSighting]  # of the run by tick, then arrival; empty unless it opens
    new: list[KeptSighting]  # those of them that the rule has not judged before
