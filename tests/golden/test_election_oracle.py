"""The known answer on the election stream, so that the oracle itself is held."""

from __future__ import annotations

import pytest

from tests.support.election import election_posts, election_rows, expected_signals, url_of
from tests.support.url_campaign_oracle import Share, Signal, campaign_signals


@pytest.mark.shared
def test_known_answer() -> None:
    signals = expected_signals()
    assert len(signals) == 792
    assert len({signal.url for signal in signals}) == 94
    assert len({signal.account for signal in signals}) == 213


@pytest.mark.shared
def test_posts_carry_every_share_in_order() -> None:
    posts = list(election_posts())
    times = [post["created_at"] for post in posts]
    assert times == sorted(times)
    shares = {(p["account"]["id"], p["id"], url) for p in posts for url in p["urls"]}
    rows = election_rows()
    assert shares == {
        (r["account_id"], r["post_id"], url_of(r["url_id"])) for r in rows if r["url_id"]
    }


def test_run_of_eight_ticks() -> None:
    """Five accounts within 8 ticks count, a fifth in the ninth tick does not."""
    near = [Share("u", f"a{n}", f"p{n}", n * 7_500) for n in (0, 1, 2, 3)]
    inside, outside = Share("u", "a4", "p4", 59_999), Share("u", "a4", "p4", 60_000)
    assert campaign_signals([*near, inside]) == {
        Signal(s.account, s.post, "u") for s in [*near, inside]
    }
    assert campaign_signals([*near, outside]) == set()
    assert campaign_signals([*near, Share("u", "a3", "p9", 0)]) == set()
