"""The table of fingerprints equals its twin, and goes on from its changelog as if never stopped."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.columns import Sighting
from fastpath.fingerprints import FingerprintTable
from fastpath.reference import fingerprints as twin
from fastpath.spec import FINGERPRINT_TYPES
from tests.support.fingerprints import (
    SEEDS,
    Judge,
    counts,
    dump,
    feed,
    spec_of,
)

KEYS = {name: bytes([n + 1]) * 8 + bytes([n]) * 7 for n, name in enumerate(FINGERPRINT_TYPES)}


def sighting(
    of: str, fingerprint: int, account: int, post: int, time: int, offset: int = 0
) -> Sighting:
    return Sighting(
        of, KEYS[of] + bytes([fingerprint]), f"u{account}", None if account % 3 == 0 else account,
        f"p{post}", post % 2, time, bytes([account % 256]) * 16, 0, account % 4, offset,
    )  # fmt: skip


sightings = st.builds(
    sighting,
    st.sampled_from(["text", "text", "text", "device", "url", "media", "media"]),
    st.integers(0, 2),
    st.integers(0, 40),
    st.integers(0, 3),
    st.integers(-5_000, 90_000),
    st.integers(0, 2**40),
)


@st.composite
def streams(draw: st.DrawFn) -> list[Sequence[Sighting]]:
    """Draw records whose times mostly rise, with steps back, repeats and jumps ahead."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    scale = rng.choice([0, 1, 50, 400, 3_000])
    now, made, records = 0, [], []
    for _ in range(draw(st.integers(1, 12))):
        record = []
        for _ in range(rng.randrange(1, 40)):
            now += rng.randrange(scale + 1)
            if rng.random() < 0.01:
                now += rng.choice([20_000, 90_000, 10**8])
            time = now - rng.choice([0, 0, 0, 1_000, 9_000, 20_000, 25_000])
            of = rng.choice(["text", "text", "media", "media", "device", "url"])
            account, post = rng.randrange(rng.choice([3, 60])), rng.randrange(9)
            new = sighting(of, rng.randrange(3), account, post, time, rng.randrange(10**9))
            record.append(rng.choice(made) if made and rng.random() < 0.1 else new)
            made.append(record[-1])
        records.append(record)
    records.append(draw(st.lists(sightings, min_size=1, max_size=10)))
    return records


@settings(max_examples=300, deadline=None)
@given(streams(), st.integers(0, 30), st.sampled_from([7, 60, 10**6]))
def test_the_table_equals_its_twin_under_any_seed(
    records: list[Sequence[Sighting]], least: int, cap: int
) -> None:
    spec = spec_of(max_sightings=cap)
    judge = Judge(spec, least)
    tables = [twin.FingerprintTable(spec), *(FingerprintTable(spec, seed) for seed in SEEDS)]
    due, *found = [feed(table, judge, list(enumerate(records))) for table in tables]
    for each, table in zip(found, tables[1:], strict=True):
        assert each == due
        assert counts(table) == counts(tables[0])
    assert dump(tables[1]) == dump(tables[2])
