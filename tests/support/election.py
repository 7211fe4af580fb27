"""Read the election stream: who shared which URL when, and the same as posts.

The CSV has one row per (post, URL, hashtag); rows of one post are merged. Ids stand for the real
values, so URLs and image hashes are made from them; there is no text.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.requirements import require_shared
from tests.support.url_campaign_oracle import Share, Signal, campaign_signals

BUNDLE = """\
name: url-campaign
revision: 1
enforcement: live
windows:
  shares_60s: {per: url, count: distinct_accounts, over: 60s}
policies:
  coordination:
    clause: https://example.org/rules#coordination
    rules:
      - id: five-accounts
        on: campaign
        of: url
        when: windows.shares_60s >= 5
        post_action: label
"""
CSV_NAME = "data/german_elections_2021.csv.gz"


def url_of(url_id: str) -> str:
    return f"https://u{url_id}.example/"


@cache
def election_rows() -> list[dict[str, str]]:
    """Return the rows in order of time; skips the test where the data is missing."""
    with gzip.open(require_shared(CSV_NAME), "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def expected_signals() -> frozenset[Signal]:
    """Return the (account, post, URL) of "at least 5 accounts on one URL within 60 s"."""
    shares = (
        Share(url_of(row["url_id"]), row["account_id"], row["post_id"], _time_ms(row))
        for row in election_rows()
        if row["url_id"]
    )
    return frozenset(campaign_signals(shares))


def election_posts() -> Iterator[dict[str, object]]:
    """Yield the posts that share a URL or an image, in canonical form and order of time.

    A hashtag alone is no content of a post without text, so such posts are left out.
    """
    posts: dict[tuple[str, str], dict[str, list[str]]] = {}
    times: dict[tuple[str, str], int] = {}
    for row in election_rows():
        key = (row["account_id"], row["post_id"])
        times.setdefault(key, _time_ms(row))
        parts = posts.setdefault(key, {"url_id": [], "hashtag_id": [], "phash_id": []})
        for column, values in parts.items():
            if row[column] and row[column] not in values:
                values.append(row[column])
    for (account, post), parts in posts.items():
        if parts["url_id"] or parts["phash_id"]:
            yield {
                "id": post,
                "account": {"id": account},
                "created_at": times[account, post],
                "urls": [url_of(url_id) for url_id in parts["url_id"]],
                "hashtags": [f"h{hashtag_id}" for hashtag_id in parts["hashtag_id"]],
                "media": [{"sha256": image_digest(phash)} for phash in parts["phash_id"]],
            }


def write_election_posts(path: Path) -> int:
    """Write the posts as NDJSON and return how many there are."""
    lines = [json.dumps(post, separators=(",", ":")) for post in election_posts()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def write_election_bundle(folder: Path) -> Path:
    """Write the bundle whose one rule is the one that the oracle answers; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    return folder


def image_digest(phash_id: str) -> str:
    return hashlib.sha256(f"image {phash_id}".encode()).hexdigest()


def _time_ms(row: dict[str, str]) -> int:
    return int(row["timestamp"]) * 1_000
