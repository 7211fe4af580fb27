"""The whole scan of the shipped sample against a second opinion that shares no code with it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import scan_oracle
from tests.support.scan_oracle import Action, Lists, Post, Signal
from tests.support.scan_run import Results, scan

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "example"
SAMPLE = EXAMPLE / "posts.ndjson.gz"
BUNDLE = EXAMPLE / "bundle"


class Expected(NamedTuple):
    screen: list[Signal]
    campaigns: set[Signal]
    actions: set[Action]
    dead_lines: set[int]


@pytest.fixture(scope="module")
def expected() -> Expected:
    lists = Lists(BUNDLE)
    lines = gzip.decompress(SAMPLE.read_bytes()).split(b"\n")[:-1]
    read = list(scan_oracle.read_posts(lines))
    posts = [post for post in read if post is not None]
    times = {(post.id, post.revision): post.time for post in posts if post.op != "delete"}
    screen = list(scan_oracle.screen_signals(read, lists))
    campaigns = scan_oracle.campaign_rule_signals(posts, lists)
    # No account of a live campaign is flagged by another rule, so their order is of no account.
    timed = [(times[s.post, s.revision], s) for s in [*screen, *sorted(campaigns)]]
    deletes = [post for post in posts if post.op == "delete"]
    dead = {number for number, post in enumerate(read, 1) if post is None}
    return Expected(screen, campaigns, scan_oracle.actions(timed, deletes, lists), dead)


@pytest.fixture(scope="module", params=["compiled", "reference"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    out = tmp_path_factory.mktemp("scan") / "out"
    return scan(SAMPLE, BUNDLE, out, **{"screen.backend": request.param})


def signal_of(record: dict) -> Signal:
    post = record["post"]
    account = record["account"]["id"]
    return Signal(record["policy"], record["rule"], account, post["id"], post["revision"])


def test_screen_signals(expected: Expected, results: Results) -> None:
    """Lists, not sets: in order of posts, and a post delivered twice is signalled twice."""
    found = [signal_of(r) for r in results.signals if r["kind"] == "signal"]
    assert [signal for signal in found if signal.policy != "coordination"] == expected.screen


def test_campaign_signals(expected: Expected, results: Results) -> None:
    found = [signal_of(r) for r in results.signals if r["kind"] == "signal"]
    by_correlate = [signal for signal in found if signal.policy == "coordination"]
    assert len(by_correlate) == len(set(by_correlate))
    assert set(by_correlate) == expected.campaigns


def test_actions(expected: Expected, results: Results) -> None:
    """Each decision once. Reviews of unreadable posts follow from no policy of the bundle."""
    decided = [
        Action(r["kind"], r["account_id"], r["post"]["id"], r["post"]["revision"], r["policy"])
        for r in results.actions
        if r["policy"] in scan_oracle.POLICIES
    ]
    assert sorted(decided) == sorted(expected.actions)
    assert len({record["action_id"] for record in results.actions}) == len(results.actions)


def test_dead_letters(expected: Expected, results: Results) -> None:
    lines = [record["origin"]["line"] for record in results.dead_letters]
    assert sorted(lines) == sorted(expected.dead_lines)
    reviews = [r for r in results.actions if r["policy"] not in scan_oracle.POLICIES]
    assert {r["kind"] for r in reviews} == {"review"}
    assert len(reviews) == len(lines)


def test_sample_shows_every_rule_and_the_whole_ladder(expected: Expected) -> None:
    """What the demo shows must not shrink unseen: every rule holds and every kind is written."""
    rules = {signal.rule for signal in [*expected.screen, *expected.campaigns]}
    assert rules == {*scan_oracle.WEIGHTS, "link-brigade"}
    kinds = {action.kind for action in expected.actions}
    assert kinds == {"label", "limit", "remove", "review", "warn", "lock", "suspend", "restore"}


def test_nobody_is_banned_without_a_warning(expected: Expected) -> None:
    banned = {a for a in expected.actions if a.kind in ("lock", "suspend")}
    warned = {a.account for a in expected.actions if a.kind == "warn"}
    assert {a.account for a in banned if a.policy not in scan_oracle.SEVERE} <= warned
    assert {a.kind for a in expected.actions if a.account == "syn_newsroom"} == {"remove", "review"}


def test_windows_by_hand() -> None:
    """The oracle's own window, on the worked example of docs/time-and-identity.md."""
    windows = scan_oracle.AccountWindows()

    def post(seconds: int) -> int:
        return windows.posts_1m(Post(0, "", "create", 0, "ann", 0, seconds * 1_000, "", [], "", {}))

    assert [post(s) for s in (1_000, 1_007, 1_030, 1_060, 1_061)] == [1, 2, 3, 3, 4]
