"""Build posts.ndjson.gz, the sample that `weir scan` runs on, from the data folder.

    python deploy/example/build_sample.py DATA_FOLDER [OUTPUT]

The same data gives the same bytes: there is no clock in it, and every choice is a hash of what it
is about. Sources, licences and what is made up: ATTRIBUTION.md beside this file.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import html
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from planted import planted_lines

STREAM_CSV = "german_elections_2021.csv.gz"
TWEETS_CSV = "labeled_tweets.csv.gz"
START_S = 1_631_725_200  # 2021-09-15T17:00:00Z: the 50 hours with most URL campaigns in them
POSTS = 8_300  # posts of the stream; the planted ones come on top
DAY_S = 86_400
ACCOUNTS_SINCE_S = 1_230_768_000  # 2009-01-01T00:00:00Z, the oldest made-up account
YOUNG_PER_MILLE = 40  # made-up share of accounts younger than 30 days
TEXT_BESIDE_CONTENT_PER_MILLE = 250  # share of posts with a URL or image that also have a text
NEITHER = "2"  # the crowd's label for texts that are neither hateful nor offensive


class Line(NamedTuple):
    """Place one line of the sample: by time, then by order of making."""

    time_ms: int
    order: int
    data: bytes


def draw(*parts: object) -> int:
    """Return 64 bits that depend on the parts alone, equal under every version of Python."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a gzipped CSV file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def iso(seconds: int) -> str:
    """Write epoch seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def account_of(account: str) -> dict[str, object]:
    """Make up what the stream does not hold of an account: its age and its followers."""
    if draw("young", account) % 1_000 < YOUNG_PER_MILLE:
        created = START_S - draw("age", account) % (30 * DAY_S)
    else:
        created = ACCOUNTS_SINCE_S + draw("age", account) % (
            START_S - 30 * DAY_S - ACCOUNTS_SINCE_S
        )
    magnitude = draw("magnitude", account) % 5
    followers = draw("followers", account) % 10**magnitude
    return {"id": account, "created_at": iso(created), "followers": followers}


class Tweets:
    """Deal out the labelled tweets, each once, in a fixed shuffled order."""

    def __init__(self, rows: Iterable[dict[str, str]]) -> None:
        ordered = sorted(rows, key=lambda row: draw("tweet", row["id"]))
        calm = [row for row in ordered if row["class"] == NEITHER]
        rough = [row for row in ordered if row["class"] != NEITHER]
        # Calm texts first in line, so that they do not run out before the rough ones do.
        self._pools = (calm, rough)
        self._taken = [0, 0]

    def deal(self, post: str) -> tuple[str, dict[str, float]]:
        """Return a text and the shares of raters who called it hateful or offensive."""
        pool = 0 if draw("pool", post) % 2 == 0 else 1
        if self._taken[pool] == len(self._pools[pool]):
            pool = 1 - pool
        row = self._pools[pool][self._taken[pool]]
        self._taken[pool] += 1
        votes = {name: int(row[name]) for name in ("hate_speech", "offensive_language", "neither")}
        total = sum(votes.values())
        scores = {
            name: round(votes[name] / total, 3) for name in ("hate_speech", "offensive_language")
        }
        return html.unescape(row["tweet"]), scores


def stream_posts(rows: Iterable[dict[str, str]]) -> list[dict[str, list[str]]]:
    """Merge the rows of each post of the chosen hours; lists of ids in order of appearance."""
    posts: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in rows:
        if int(row["timestamp"]) < START_S:
            continue
        key = (row["account_id"], row["post_id"])
        if key not in posts and len(posts) == POSTS:
            break
        post = posts.setdefault(key, {"account_id": [], "post_id": [], "timestamp": []})
        for column, value in row.items():
            if value and value not in post.setdefault(column, []):
                post[column].append(value)
    return list(posts.values())


def stream_lines(data: Path) -> list[Line]:
    """Join stream and tweets to posts."""
    rows = read_csv(data / STREAM_CSV)
    domains = {row["url_id"]: row["domain_id"] for row in reversed(rows) if row["domain_id"]}
    tweets = Tweets(read_csv(data / TWEETS_CSV))
    lines = []
    for order, ids in enumerate(stream_posts(rows)):
        account, post, seconds = ids["account_id"][0], ids["post_id"][0], int(ids["timestamp"][0])
        content = bool(ids.get("url_id") or ids.get("phash_id"))
        record: dict[str, object] = {
            "id": post,
            "account": account_of(account),
            "created_at": iso(seconds),
        }
        scores = None
        if not content or draw("text", post) % 1_000 < TEXT_BESIDE_CONTENT_PER_MILLE:
            record["text"], scores = tweets.deal(post)
            record["lang"] = "en"
        if "url_id" in ids:
            record["urls"] = [
                f"https://d{domains.get(url, '0')}.example/u{url}" for url in ids["url_id"]
            ]
        if "hashtag_id" in ids:
            record["hashtags"] = [f"h{hashtag}" for hashtag in ids["hashtag_id"]]
        if "phash_id" in ids:
            record["media"] = [{"pdq": pdq_of(p), "pdq_quality": 100} for p in ids["phash_id"]]
        record["client"] = {"device": f"dev-{draw('device', account):016x}"}
        if scores is not None:
            record["scores"] = scores
        lines.append(Line(seconds * 1_000, order, encode(record)))
    return lines


def pdq_of(phash: str) -> str:
    """Make 64 hex digits that stand for one perceptual hash of the stream."""
    return hashlib.sha256(f"image {phash}".encode()).hexdigest()


def encode(record: dict[str, object]) -> bytes:
    """Write a record as one line of compact UTF-8 JSON."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def build(data: Path) -> bytes:
    """Return the sample as NDJSON, sorted by time."""
    lines = stream_lines(data)
    lines += [
        Line(time_ms, POSTS + order, line if isinstance(line, bytes) else encode(line))
        for order, (time_ms, line) in enumerate(planted_lines(START_S * 1_000))
    ]
    return b"".join(line.data for line in sorted(lines))


def main() -> None:
    """Build the sample from the folder named on the command line."""
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "posts.ndjson.gz"
    ndjson = build(Path(sys.argv[1]))
    output.write_bytes(gzip.compress(ndjson, 9, mtime=0))
    count = ndjson.count(b"\n")
    sys.stdout.write(f"{output}: {count:,} lines, {len(ndjson):,} bytes\n")


if __name__ == "__main__":
    main()
