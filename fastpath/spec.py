"""Define what a screen is built from and what it hands back; shared by both backends, no logic.

Plain values only: the compiled core and its twin read the same specification, so that a
difference between them can only be a difference in behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple, TypeAlias

Lane: TypeAlias = Literal["raw", "folded", "skeleton", "squeezed"]
Boundary: TypeAlias = Literal["word", "prefix", "none"]
Report: TypeAlias = Literal["all", "leftmost-longest"]
HashKind: TypeAlias = Literal["sha256", "md5", "domain", "url", "pdq", "simhash"]
WindowCount: TypeAlias = Literal["posts", "links", "distinct_targets", "repeated_texts"]
FingerprintType: TypeAlias = Literal["text", "url", "media", "repost", "device"]

LANES: tuple[Lane, ...] = ("raw", "folded", "skeleton", "squeezed")
# The order is the wire code of a sighting's type (1-based) and the order of a post's sightings.
FINGERPRINT_TYPES: tuple[FingerprintType, ...] = ("text", "url", "media", "repost", "device")

# Bit i of a post's `flags` column is FLAGS[i].
FLAGS: tuple[str, ...] = (
    "late",  # a window's key already stood more than 7 ticks later; the record was not counted
    "matches_truncated",  # more rows or outputs than the caps; counts are lower bounds
    "distinct_full",  # a distinct set of this account already held 256 values
    "window_table_full",  # the partition's window table is full; this account was not counted
    "marks_dropped",  # more than 30 combining marks in a row; the rest left the lanes
    "duplicate_key",  # a mapped JSON key stood twice; the last one won, or, of texts, all
    "clock_skew",  # created_at is more than 5 minutes away from the origin time
    "urls_truncated",  # more than 64 URLs or names, or 4 wraps; the rest were not looked up
    "media_truncated",  # more than 16 media; the rest were not looked up
    "url_userinfo",  # a URL names a user before its host: https://bank.example@evil.example
)

# Why a record batch cannot be read, in the order in which it is checked (fastpath.batches).
BATCH_ERRORS: tuple[str, ...] = (
    "length",  # shorter than its own header
    "magic",  # a message format after 2
    "checksum",
    "offsets",  # negative, falling, or not moving past the offset that was asked for
    "count",  # negative, or more records than fit into the bytes
    "codec",  # damaged in its compression, or compressed by an unknown codec
    "inflated_too_large",
    "record",  # a length, varint, offset or time inside does not fit
    "header_key",  # well formed, but the key of a record's header is no UTF-8
)

# Why a record is dead-lettered by the core; a subset of worker.domain.dead_letter.Reason.
REJECT_REASONS: tuple[str, ...] = (
    "key_mismatch",
    "record_too_large",
    "encoding_invalid",
    "json_invalid",
    "json_too_deep",
    "field_missing",
    "field_type",
    "id_out_of_range",
)

# Why a record leaves the compiled reader for slow_path, which may accept it all the same.
SLOW_CAUSES: tuple[str, ...] = (
    "syntax",  # no JSON, as far as the reader can tell
    "nesting",
    "number",  # longer, or of a greater exponent, than the reader rounds itself
    "escaped_key",
    "repeated_key",
    "type",  # a value of another type or range than its field has
    "incomplete",  # a required field is absent
    "size",
    "markup",  # a character reference, tag or CID that takes tables to read
)

MAX_RECORD_BYTES = 256 * 1024  # a larger record value is rejected unparsed
MAX_TEXT_BYTES = 64 * 1024  # UTF-8 bytes of decoded text; above: record_too_large
MAX_DEPTH = 32  # JSON nesting; orjson itself stops at 1,024
MAX_ID_BYTES = 256  # UTF-8 bytes of any id; integers as decimal within int64
MAX_URLS = 64  # per post, urls[] first, then those found in the text
MAX_WRAPS = 4  # URLs inside one another's queries that are followed below the outermost one
MAX_NAMES = 64  # per post: places in the text where a name without a scheme may end
MAX_MEDIA = 16  # per post
MIXED_WORD_LETTERS = 3  # a word of fewer is a unit, such as kΩ
MAX_MARKS = 30  # non-starters in a row (Stream-Safe limit, UAX #15)
MAX_ROWS = 32  # match rows per list and post; the rest sets matches_truncated
MAX_HITS = 32  # near hits per list and post, the nearest first; more set matches_truncated
NO_DISTANCE = 1_000  # the distance of a list that nothing hits: beyond any radius
MAX_DISTINCT = 256  # exact distinct values per account and window
TICKS = 8  # a window of length T has eight ticks of T/8
RETIRE_MS = 3_600_000  # a key reads as absent 8 ticks + this past its newest tick
CLOCK_SKEW_MS = 300_000
MIN_OVER_MS = 8_000  # a window's length: at least 8 s and a multiple of 8 ms


class Status(IntEnum):
    """Say what a record turned out to be."""

    POST = 0  # create or edit: screened and counted
    DELETE = 1  # op = delete: ids alone, counts in no window
    REJECT = 2  # dead letter; `reason` is set


@dataclass(frozen=True, slots=True)
class KeywordList:
    """List patterns matched as text; `pattern` in a match is the entry as written here."""

    name: str
    patterns: tuple[str, ...]
    lanes: tuple[Lane, ...] = ("folded",)
    boundary: Boundary = "word"
    insist: bool = False  # take patterns of fewer than 5 letters into the squeezed lane too
    report: Report = "all"  # every occurrence, or from left to right the longest without overlap
    exceptions: tuple[str, ...] = ()  # what stands inside one of these does not count
    pattern_lanes: tuple[tuple[Lane, ...], ...] = ()  # per pattern, in place of `lanes`; or none


@dataclass(frozen=True, slots=True)
class HashList:
    """List values that posts are compared with as a whole.

    sha256, md5 and pdq as lower-case hex, domains and URLs as written, simhash as 16 hex digits
    or as a text. `radius` is the greatest Hamming distance of a hit (pdq, simhash).
    """

    name: str
    kind: HashKind
    entries: Sequence[str]  # of digests may be fastpath.exact.Digests
    radius: int = 0
    min_quality: int = 0  # pdq: an image of known lower quality is not looked up


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """Count per account over `over_ms` (eight ticks); see rule 2 of docs/time-and-identity.md."""

    name: str
    count: WindowCount
    over_ms: int


AtomColumn: TypeAlias = Literal[
    "match",  # name = list: rows of a keyword list weighted by count, or hash hits
    "distance",  # name = hash list: its nearest hit, NO_DISTANCE without one
    "window",  # name = window
    "flag",  # name = flag, value 0 or 1
    "age_days",
    "followers",
    "revision",
    "text_length",  # code points of the raw text
    "mixed_words",  # fastpath.columns.Evasion
    "hidden_characters",
    "direction_overrides",
    "url_count",  # entries of urls[], not those found in text
    "hashtag_count",
    "media_count",
    "score",  # name = key of scores; a missing key compares false
    "lang",  # constant is a string; op is == or !=
    "op",  # constant is a string; op is == or !=
]
AtomOp: TypeAlias = Literal["<", "<=", "==", "!=", ">=", ">"]


@dataclass(frozen=True, slots=True)
class Atom:
    """Compare one column of a post with a constant."""

    column: AtomColumn
    name: str
    op: AtomOp
    constant: int | float | str


@dataclass(frozen=True, slots=True)
class Gate:
    """Over-approximate one rule's condition: negation-free tree over atoms.

    kind "atom" uses `atom`; "and"/"or" use `parts` (an empty "and" is true, an empty "or" false).
    """

    kind: Literal["atom", "and", "or"]
    atom: Atom | None = None
    parts: tuple[Gate, ...] = ()


GATE_TRUE = Gate("and")


@dataclass(frozen=True, slots=True)
class ScreenSpec:
    """Hold everything a Screen is built from."""

    keyword_lists: tuple[KeywordList, ...] = ()
    hash_lists: tuple[HashList, ...] = ()
    windows: tuple[WindowSpec, ...] = ()
    gates: tuple[Gate, ...] = ()  # one per rule; bit i of a row's gates is gates[i]
    fingerprints: tuple[FingerprintType, ...] = ()  # the types for which sightings are packed
    exempt_phrases: tuple[str, ...] = ()  # a text equal to one after folding makes no text sighting
    deployment_key: bytes = b"\0" * 32  # keys every identity; never a placement
    bundle_digest: bytes = b"\0" * 32
    topic: str = "posts"  # the origin topic (or file name) written into sightings
    time_source: Literal["record", "created_at"] = "record"
    check_key: bool = True  # the record key must equal account.id (false for files)
    field_map: Mapping[str, tuple[str, ...]] | None = None  # None: canonical posts
    preset: str = "generic"
    sighting_partitions: int = 1
    max_window_keys: int = 4_000_000  # accounts per input partition, then window_table_full


class Match(NamedTuple):
    """Report one pattern of a keyword list found in a post (first span, count)."""

    list: str
    pattern: str
    lane: str
    start: int  # code points of the original text, [start, end)
    end: int
    count: int  # type: ignore[assignment]  # in place of tuple.count


class HashHit(NamedTuple):
    """Report one entry of a hash list found in a post, as written in the list."""

    list: str
    entry: str
    distance: int  # bits; 0 for exact lists


class SightingBatch(NamedTuple):
    """Carry packed sightings for one partition of weir.sightings (format: docs/records.md)."""

    partition: int
    count: int  # type: ignore[assignment]  # in place of tuple.count
    first_offset: int  # offset of the post that made the first entry
    value: bytes


class Entry(NamedTuple):
    """Say what one key of a table became: an after-image, or that it is gone."""

    key: bytes  # 16 bytes, the key's identity under the deployment key
    value: bytes
    deleted: bool = False


EXACT_SIGHTINGS = 4_096  # kept per fingerprint and run length; beyond, accounts are estimated
# Sightings kept exactly per partition of weir.sightings, about 200 bytes each; beyond, new ones
# are refused and counted. Must stay below what a worker's memory holds for all its partitions.
MAX_SIGHTINGS = 4_000_000
MAX_CAMPAIGN_RULES = 64  # per type of fingerprint: a machine word of bits beside each sighting
# RFC 3339 has four digits for a year: 0001 to 9999. A time beyond is moved to the nearer end.
MIN_TIME_MS = -62_135_596_800_000
MAX_TIME_MS = 253_402_300_799_999


class Corner(NamedTuple):
    """Bound one way in which a campaign's condition can hold: at least these counts in a run."""

    accounts: int
    sightings: int


@dataclass(frozen=True, slots=True)
class CampaignGate:
    """Over-approximate one campaign rule: a run passes where one of the corners is reached."""

    identity: bytes  # 8 bytes that name the rule as it is written: whose marks those in state are
    type: FingerprintType
    over_ms: int
    corners: tuple[Corner, ...]


@dataclass(frozen=True, slots=True)
class FingerprintSpec:
    """Hold everything a FingerprintTable is built from."""

    gates: tuple[CampaignGate, ...]  # in the order in which rules are judged
    lateness_ms: int  # how far behind stream time a sighting still counts
    deployment_key: bytes  # keys what a sketch sees of an account; never a placement
    max_sightings: int = MAX_SIGHTINGS
    exact_sightings: int = EXACT_SIGHTINGS  # a test may lower it
