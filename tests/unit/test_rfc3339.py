"""Times: every form RFC 3339 allows, and none it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.rfc3339 import MAX_TIME_MS, epoch_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2021-01-08T23:21:04.123Z", 1_610_148_064_123),
        ("2021-01-08t23:21:04.123z", 1_610_148_064_123),
        ("2021-01-09T00:21:04.123+01:00", 1_610_148_064_123),
        ("2021-01-08T15:21:04.123-08:00", 1_610_148_064_123),
        ("2021-01-08T23:21:04.123-00:00", 1_610_148_064_123),
        ("2021-01-08T23:21:04.1Z", 1_610_148_064_100),
        ("2021-01-08T23:21:04.123999999Z", 1_610_148_064_123),
        ("2020-02-29T00:00:00Z", 1_582_934_400_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2017-01-01T00:59:60.5+01:00", 1_483_228_800_500),
        ("9999-12-31T23:59:59.999Z", MAX_TIME_MS),
    ],
)
def test_accepted(text: str, expected: int) -> None:
    assert epoch_ms(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021-01-08",
        "2021-01-08T23:21:04",  # no offset
        "2021-01-08 23:21:04Z",
        "2021-01-08T23:21Z",
        "2021-01-08T23:21:04.Z",
        "2021-01-08T23:21:04,5Z",
        "2021-13-08T23:21:04Z",
        "2021-02-29T23:21:04Z",
        "2021-01-08T24:00:00Z",
        "2021-01-08T23:60:04Z",
        "2021-01-08T23:21:61Z",
        "2021-01-08T23:21:60Z",  # a leap second at 23:21
        "2021-01-08T23:21:04+24:00",
        "2021-01-08T23:21:04+01:60",
        "2021-01-08T23:21:04+0100",
        "2021-01-08T23:21:04Z ",
        "2021-01-08T23:21:04Z\n",
        "٢٠٢١-01-08T23:21:04Z",  # digits of another script
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",  # before 1970 in UTC
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
    ],
)
def test_refused(text: str) -> None:
    assert epoch_ms(text) is None


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 3),  # noqa: DTZ001  # hypothesis wants them bare
        max_value=datetime(9999, 12, 29),  # noqa: DTZ001
    ),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_agrees_with_datetime(local: datetime, offset: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=offset)))
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert epoch_ms(moment.isoformat()) == since // timedelta(milliseconds=1)
