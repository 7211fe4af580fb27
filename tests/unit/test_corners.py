"""Corners of a monotone condition say exactly where it holds, or more where there are too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.spec import Corner
from tests.support.stage_inputs import KEY, bundle_with
from worker.policy.corners import MAX_CORNERS, MOST, find_corners
from worker.stages.correlate import CorrelateStage


def reaches(corners: tuple[Corner, ...], accounts: int, sightings: int) -> bool:
    return any(accounts >= corner[0] and sightings >= corner[1] for corner in corners)


counts = st.integers(0, 60)


@given(st.lists(st.tuples(counts, counts), max_size=10), counts, counts)
def test_corners_hold_exactly_where_the_condition_does(
    least: list[tuple[int, int]], accounts: int, sightings: int
) -> None:
    def holds(a: int, s: int) -> bool:
        return any(a >= corner[0] and s >= corner[1] for corner in least)

    corners = find_corners(holds)
    assert reaches(corners, accounts, sightings) is holds(accounts, sightings)
    assert len(corners) <= len(least)


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_long_staircase_is_taken_in_one_last_step(accounts: int, sightings: int) -> None:
    corners = find_corners(lambda a, s: a + s >= 100)
    assert len(corners) == MAX_CORNERS
    if accounts + sightings >= 100:
        assert reaches(corners, accounts, sightings)
    if accounts < MAX_CORNERS - 1:
        assert reaches(corners, accounts, sightings) is (accounts + sightings >= 100)


def test_a_condition_that_never_holds_has_none() -> None:
    assert find_corners(lambda a, s: False) == ()
    assert find_corners(lambda a, s: True) == (Corner(0, 0),)
    assert find_corners(lambda a, s: a >= MOST and s >= MOST) == (Corner(MOST, MOST),)


@pytest.mark.parametrize(
    ("when", "corners"),
    [
        ("windows.copies_10m >= 20", [(20, 0)]),
        ("windows.copies_10m > 20 && fingerprint.sightings >= 50", [(21, 50)]),
        ("windows.copies_10m >= 20 || fingerprint.sightings > 99", [(0, 100), (20, 0)]),
        ("3 <= windows.copies_10m && fingerprint.type == 'text'", [(3, 0)]),
        ("windows.copies_10m >= 3 && fingerprint.type == 'url'", []),
        ("(!(windows.copies_10m < 7))", [(7, 0)]),
        ("windows.copies_10m >= 3 && 1 / size('') > 0", []),
    ],
)
def test_corners_of_conditions(when: str, corners: list[tuple[int, int]]) -> None:
    stage = CorrelateStage(bundle_with({"windows.copies_10m >= 20": when}), 0, KEY)
    (gate, *_) = stage.spec.gates
    assert list(gate.corners) == corners
