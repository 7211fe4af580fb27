"""Name why a record is dead-lettered and whose fault it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Say why; the set is closed because it is a metric label."""

    KEY_MISMATCH = "key_mismatch"
    RECORD_CORRUPT = "record_corrupt"
    HEADER_INVALID = "header_invalid"
    RECORD_TOO_LARGE = "record_too_large"
    INFLATED_TOO_LARGE = "inflated_too_large"
    ENCODING_INVALID = "encoding_invalid"
    JSON_INVALID = "json_invalid"
    JSON_TOO_DEEP = "json_too_deep"
    FIELD_MISSING = "field_missing"
    FIELD_TYPE = "field_type"
    ID_OUT_OF_RANGE = "id_out_of_range"


class Disposition(StrEnum):
    """Say whose fault: the record's (never stops a stage) or ours (opens the fuse)."""

    POISON = "poison"
    SYSTEMIC = "systemic"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Carry a record that could not be judged, its bytes untouched."""

    reason: Reason
    disposition: Disposition
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    error: str = ""  # never text of the post
