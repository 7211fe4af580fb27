"""Read the two forms of time a post may carry: RFC 3339 and epoch milliseconds."""

from __future__ import annotations

import re
from datetime import date

# 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can write. The first is 0, 1970-01-01:
# windows divide origin time, and no post is older.
MAX_TIME_MS = 253_402_300_799_999
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def epoch_ms(text: str) -> int | None:
    """Turn an RFC 3339 date-time into epoch milliseconds; None where it is not one.

    Any offset, any number of fraction digits (those past milliseconds are cut off), lower-case
    `t` and `z`. A leap second (`:60`) is taken at 23:59 UTC only and reads as the first second
    of the next day. Times before 1970 or past the year 9999 are refused.
    """
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    offset = _offset_minutes(found.group(8), found.group(9), found.group(10))
    if offset is None:
        return None
    minutes = days * 1_440 + hour * 60 + minute - offset
    if second == 60 and minutes % 1_440 != 1_439:
        return None
    fraction = int((found.group(7) or "0")[:3].ljust(3, "0"))
    return within_range(minutes * 60_000 + second * 1_000 + fraction)


def within_range(time_ms: int) -> int | None:
    """Return the time unless it lies before 1970 or past the year 9999, then None."""
    return time_ms if 0 <= time_ms <= MAX_TIME_MS else None


def _offset_minutes(sign: str | None, hours: str | None, minutes: str | None) -> int | None:
    if sign is None or hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        return None
    total = int(hours) * 60 + int(minutes)
    return -total if sign == "-" else total
