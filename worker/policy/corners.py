"""Know a campaign rule by its corners: the least counts of a run for which its condition holds.

A condition that is monotone (worker.policy.monotone) holds above a staircase. Its corners are
found by asking CEL at the counts between which the answer changes, so they are exact whatever
the condition is made of, and evaluation may be left out wherever no corner is reached.
"""

from __future__ import annotations

from collections.abc import Callable

from fastpath.spec import Corner

MOST = 2**31 - 1  # no run counts more; sums of counts stay far below the end of int64
MAX_CORNERS = 16  # of a longer staircase the rest is taken in one step: more is asked, none is lost


def find_corners(holds: Callable[[int, int], bool]) -> tuple[Corner, ...]:
    """List the corners of a monotone condition over (accounts, sightings), accounts rising.

    Every (accounts, sightings) at which it holds reaches a corner. The converse is true but for
    the last of MAX_CORNERS corners. Asks some 30 times per corner, 3 microseconds each.
    """
    corners: list[Corner] = []
    accounts, sightings = 0, MOST
    while holds(MOST, sightings):
        accounts = _least(lambda count, at=sightings: holds(count, at), accounts)  # type: ignore[misc]
        if len(corners) == MAX_CORNERS - 1:
            sightings = _least(lambda count: holds(MOST, count), 0)
        else:
            sightings = _least(lambda count, at=accounts: holds(at, count), 0)  # type: ignore[misc]
        corners.append(Corner(accounts, sightings))
        if sightings == 0 or len(corners) == MAX_CORNERS:
            break
        sightings -= 1
    return tuple(corners)


def _least(holds: Callable[[int], bool], low: int) -> int:
    """Find the least count from `low` on at which a rising test holds; it does at MOST."""
    high = MOST
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
