"""Judge a finished run from its topics alone: what must stand there, and what does stand there.

Each check returns what is wrong, in words; nothing is right that could not be counted. The second
opinion on posts is `scan_oracle`, that on signals `enforce_oracle`; both read one record at a time
and share no code with the stages.
"""

from __future__ import annotations

import json
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support import scan_oracle
from tests.support.deployment import Read
from tests.support.enforce_oracle import Oracle
from tests.support.enforce_stories import oracle_for, told_of
from tests.support.scan_oracle import Lists, Post, Signal
from worker.policy.bundle import load_bundle

SHOWN = 3  # differences that a violation names


class Expected:
    """Work through the input once, partition by partition, in order of offset."""

    def __init__(self, posts: Iterable[Read], bundle: Path) -> None:
        self.lists = Lists(bundle)
        self.by_partition: dict[int, list[tuple[int, Post | None]]] = defaultdict(list)
        for read in posts:
            post = next(iter(scan_oracle.read_posts([read.value or b""])))
            self.by_partition[read.partition].append((read.offset, post))
        self.inputs = sum(map(len, self.by_partition.values()))
        self.signals: dict[int, list[tuple[int, Signal, int | None]]] = {}
        self.deletes: dict[int, list[tuple[int, str, str]]] = {}
        self.dead: set[tuple[int, int]] = set()
        for partition, held in self.by_partition.items():
            self.signals[partition] = list(self._screen(held))
            self.deletes[partition] = [
                (offset, post.account, post.id)
                for offset, post in held
                if post is not None and post.op == "delete"
            ]
            self.dead |= {(partition, offset) for offset, post in held if post is None}

    def _screen(
        self, held: Sequence[tuple[int, Post | None]]
    ) -> Iterator[tuple[int, Signal, int | None]]:
        """Yield offset, signal and, of a flooding rule, the count that its window must show."""
        windows = scan_oracle.AccountWindows()
        at, counts = -1, {"flood": 0, "parrot": 0}

        def fed() -> Iterator[Post | None]:
            nonlocal at
            for offset, post in held:
                at = offset
                if post is not None and post.op != "delete":
                    counts["flood"] = windows.posts_1m(post)
                    counts["parrot"] = windows.repeats_10m(post)
                yield post

        for signal in scan_oracle.screen_signals(fed(), self.lists):
            yield at, signal, counts.get(signal.rule)

    def campaigns(self) -> set[Signal]:
        posts = [post for held in self.by_partition.values() for _, post in held if post]
        posts.sort(key=lambda post: post.time)
        return scan_oracle.campaign_rule_signals(posts, self.lists)


def check_screen(expected: Expected, signals: Iterable[Read], letters: Iterable[Read]) -> list[str]:
    """I1, I2, I4, I10: each post's signals once, in order, with its counts; or its dead letter."""
    found: dict[int, list[tuple[int, Signal, int | None]]] = defaultdict(list)
    deletes: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    noticed: list[tuple[int, int]] = []
    for read in signals:
        record = read.json
        origin = record["origin"]
        at = origin["offset"]
        if record["kind"] == "notice":
            noticed.append((origin["partition"], at))
        elif record["kind"] == "delete":
            one = (at, record["account"]["id"], record["post"]["id"])
            deletes[origin["partition"]].append(one)
        elif record["policy"] != "coordination":
            windows = record["evidence"]["windows"]
            count = windows.get({"flood": "posts_1m", "parrot": "repeats_10m"}.get(record["rule"]))
            found[origin["partition"]].append((at, signal_of(record), count))
    dead = [
        (int(r.header("weir.dlq.partition")), int(r.header("weir.dlq.offset"))) for r in letters
    ]
    wrong = []
    for partition in expected.by_partition:
        where = f"signals of posts-{partition}"
        wrong += differences(where, expected.signals[partition], found[partition])
        where = f"deletes of posts-{partition}"
        wrong += differences(where, expected.deletes[partition], deletes[partition])
    wrong += differences("dead letters", sorted(expected.dead), sorted(dead))
    wrong += differences("notices", sorted(expected.dead), sorted(noticed))
    return wrong


def check_campaigns(
    expected: Expected, signals: Iterable[Read], packed: Iterable[Read]
) -> list[str]:
    """I1, I2: every member of a campaign once, and no sighting twice."""
    found = [
        signal_of(record)
        for record in (read.json for read in signals)
        if record["kind"] == "signal" and record["policy"] == "coordination"
    ]
    wrong = differences("campaign signals", sorted(expected.campaigns()), sorted(found))
    seen = Counter(entry for read in packed for entry in sightings(read.value or b""))
    twice = [entry for entry, times in seen.items() if times > 1]
    if twice:
        wrong.append(f"{len(twice)} sightings stand there more than once: {twice[:SHOWN]}")
    return wrong


def check_actions(
    signals: Iterable[Read], actions: Iterable[Read], bundle: Path, key: bytes, partitions: int
) -> list[str]:
    """I2, I3, I4: the actions are those of one reader of the recorded signals, seq and strikes."""
    loaded = load_bundle(bundle)
    held: dict[int, list[Read]] = defaultdict(list)
    for read in signals:
        held[read.partition].append(read)
    expected: dict[tuple[bool, str | None], list[Any]] = defaultdict(list)
    for partition, reads in held.items():
        oracle = oracle_for(loaded, None, partition, partitions)
        oracle.key = key
        for read in reads:
            _tell(oracle, read.json)
        for action in oracle.actions:
            expected[action["shadow"], action["account_id"]].append(action)
    found: dict[tuple[bool, str | None], list[Any]] = defaultdict(list)
    ids: Counter[tuple[bool, str]] = Counter()
    for read in actions:
        action = told_of(read.json)
        ids[action["shadow"], action["action_id"]] += 1
        found[action["shadow"], action["account_id"]].append(action)
    repeated = [identity for identity, times in ids.items() if times > 1]
    wrong = [f"{len(repeated)} repeated action ids: {repeated[:SHOWN]}"] if repeated else []
    for who in sorted({*expected, *found}, key=str):
        by = "account_seq" if who[1] is not None else "action_id"
        mine = sorted(expected[who], key=lambda action: action[by])
        theirs = sorted(found[who], key=lambda action: action[by])
        wrong += differences(f"actions on {who}", mine, theirs)
    return wrong


def _tell(oracle: Oracle, record: dict[str, Any]) -> None:
    origin, account = record["origin"], record["account"] and record["account"]["id"]
    post, time = record["post"], origin["time"]
    if record["kind"] == "signal":
        oracle.signal(
            account, post["id"], post["revision"], record["policy"], record["rule"],
            record["mode"], time,
        )  # fmt: skip
    elif record["kind"] == "delete":
        oracle.delete(account, post["id"], time)
    else:
        place = f"{origin['topic']}/{origin['partition']}/{origin['offset']}"
        named = post and (post["id"], post["revision"])
        oracle.notice(account, named, record["reason"], place, time)


def signal_of(record: dict[str, Any]) -> Signal:
    post = record["post"]
    account = record["account"]["id"]
    return Signal(record["policy"], record["rule"], account, post["id"], post["revision"])


def sightings(value: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield type, fingerprint, origin partition and offset of each entry (docs/records.md)."""
    topic, entries = struct.unpack_from("<HI", value, 6)
    at = 48 + topic
    for _ in range(entries):
        size, kind = struct.unpack_from("<HB", value, at)
        partition, offset = struct.unpack_from("<Iq", value, at + 60)
        yield kind, value[at + 4 : at + 20], partition, offset
        at += size


def differences(what: str, expected: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """Compare two lists, order included; say how many are missing or too many, and the first."""
    if expected == found:
        return []
    left = Counter(json.dumps(each, default=str) for each in expected)
    right = Counter(json.dumps(each, default=str) for each in found)
    missing, extra = left - right, right - left
    if not missing and not extra:
        at = next(
            i for i, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1]
        )
        return [f"{what}: another order from place {at} on: {found[at]}, not {expected[at]}"]
    return [
        f"{what}: {missing.total()} missing, {extra.total()} too many; "
        f"missing {list(missing)[:SHOWN]}, too many {list(extra)[:SHOWN]}"
    ]
