"""Who pushed one link together in a real stream: scan's answer against the oracle's."""

from __future__ import annotations

import pytest

from tests.support.election import (
    expected_signals,
    write_election_bundle,
    write_election_posts,
)
from tests.support.scan_run import Results, scan

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("election")
    count = write_election_posts(folder / "posts.ndjson")
    bundle = write_election_bundle(folder / "bundle")
    results = scan(folder / "posts.ndjson", bundle, folder / "out")
    assert results.summary["posts"] == count
    return results


def test_signals_equal_the_oracle(results: Results) -> None:
    found = {(r["account"]["id"], r["post"]["id"]) for r in results.signals}
    expected = expected_signals()
    assert found == {(signal.account, signal.post) for signal in expected}
    assert len({account for account, _ in found}) == 213


def test_signals_by_url_equal_the_oracle(results: Results) -> None:
    """A post that shares several URLs is signalled once for each campaign it is part of."""
    by_fingerprint: dict[str, set[tuple[str, str]]] = {}
    for record in results.signals:
        key = record["evidence"]["campaign"]["fingerprint"]["key"]
        pair = (record["account"]["id"], record["post"]["id"])
        members = by_fingerprint.setdefault(key, set())
        assert pair not in members
        members.add(pair)
    by_url: dict[str, set[tuple[str, str]]] = {}
    for signal in expected_signals():
        by_url.setdefault(signal.url, set()).add((signal.account, signal.post))
    assert sorted(map(sorted, by_fingerprint.values())) == sorted(map(sorted, by_url.values()))
    assert len(results.signals) == 792
    # A link that comes back after its sightings were forgotten is a campaign anew.
    opened = [(r["fingerprint"]["key"], r["opened_at"]) for r in results.campaigns]
    assert len(opened) == len(set(opened))
    assert {key for key, _ in opened} == set(by_fingerprint)
    assert len(by_fingerprint) == 94


def test_actions_name_each_post_once(results: Results) -> None:
    labelled = [(r["account_id"], r["post"]["id"]) for r in results.actions]
    assert {r["kind"] for r in results.actions} == {"label"}
    assert len(labelled) == len(set(labelled))
    assert set(labelled) == {(signal.account, signal.post) for signal in expected_signals()}


def test_no_post_of_the_stream_is_refused(results: Results) -> None:
    assert results.dead_letters == []
