"""Read the durations and times that people write."""

from __future__ import annotations

import re
from datetime import UTC, datetime

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")


def duration_ms(text: str) -> int | None:
    """Read `500ms`, `90s`, `10m`, `24h` or `7d`; None where the text is no such duration."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * UNITS_MS[found[2]] if found else None


def parse_duration(value: object) -> object:
    """Turn `10m`, `90s`, `1500ms` into milliseconds; a bare number is refused for its lack of unit.

    Raises:
        ValueError: the text is no number with a unit.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"a duration needs a unit: ms, s, m, h or d (for example {value}ms)")
    if not isinstance(value, str):
        return value
    milliseconds = duration_ms(re.sub(r"(?<=\d)\s+(?=[a-z])", "", value.strip()))
    if milliseconds is None:
        raise ValueError("a duration is a whole number and a unit: ms, s, m, h or d")
    return milliseconds


def parse_time(value: object) -> int:
    """Turn RFC 3339 (with its offset) or epoch milliseconds into epoch milliseconds.

    Raises:
        ValueError: the text is neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | datetime):
        raise ValueError("a time is RFC 3339 (2026-01-31T12:00:00Z) or epoch milliseconds")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if re.fullmatch(r"-?\d+", value):
            return int(value)
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                "a time is RFC 3339 (2026-01-31T12:00:00Z) or epoch milliseconds"
            ) from None
    if value.tzinfo is None:
        raise ValueError("a time needs its offset from UTC: end it with Z or +01:00")
    since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return round(since.total_seconds() * 1000)
