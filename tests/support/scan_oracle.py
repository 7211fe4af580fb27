"""Work out what the example bundle decides on a stream of posts, sharing no code with Weir.

A slow, plain second opinion: the lists are read from the bundle, the rules of bundle.yaml are
written again below in Python. Only what the rules need is here; text is folded by unicodedata2.
Posts come in order of time, so nothing is late.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import unicodedata2

from tests.support.url_campaign_oracle import Share, campaign_signals

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
# Default_Ignorable_Code_Point of Unicode 15.0.
_IGNORABLE = [
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
]  # fmt: skip
_IGNORED = {point: None for first, last in _IGNORABLE for point in range(first, last + 1)}
_LINK = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)


class Signal(NamedTuple):
    policy: str
    rule: str
    account: str
    post: str
    revision: int


class Action(NamedTuple):
    kind: str
    account: str
    post: str
    revision: int
    policy: str


@dataclass
class Post:
    line: int
    id: str
    op: str
    revision: int
    account: str
    age_days: int
    time: int
    text: str
    urls: list[str]
    device: str
    scores: dict[str, float]


@cache  # streams repeat their texts
def fold(text: str) -> str:
    """NFKC_Casefold (Unicode 3.13, D146) with the normaliser of Unicode 15.0."""
    once = unicodedata2.normalize("NFKC", unicodedata2.normalize("NFD", text).casefold())
    twice = unicodedata2.normalize("NFKC", once.casefold()).translate(_IGNORED)
    return str(unicodedata2.normalize("NFC", twice))


def is_word(character: str) -> bool:
    category = unicodedata2.category(character)
    return category[0] in "LMN" or category == "Pc"


def holds_word(folded: str, pattern: str) -> bool:
    """Find the pattern as whole words; all patterns of the example begin and end in letters."""
    start = folded.find(pattern)
    while start >= 0:
        end = start + len(pattern)
        before = start > 0 and is_word(folded[start - 1])
        after = end < len(folded) and is_word(folded[end])
        if not before and not after:
            return True
        start = folded.find(pattern, start + 1)
    return False


def links_of(post: Post) -> list[str]:
    found = (link.group().rstrip(".,;:!?)]}'\"") for link in _LINK.finditer(post.text))
    return [*post.urls, *found]


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


@cache
def canonical_url(url: str) -> str:
    """Enough of the canonical form for this sample: case, user, port, dot segments, fragment."""
    parts = urlsplit(url)
    port = (
        f":{parts.port}"
        if parts.port not in (None, {"http": 80, "https": 443}[parts.scheme])
        else ""
    )
    path: list[str] = []
    for segment in parts.path.split("/")[1:]:
        if segment == "..":
            path = path[:-1]
        elif segment != ".":
            path.append(segment)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme.lower()}://{host_of(url)}{port}/{'/'.join(path)}{query}"


@cache
def text_key(text: str) -> str:
    """The normalised text under which copies are counted; empty where nothing is left."""
    folded = re.sub(r"(?:https?://|www\.)\S*", "\1", fold(text))
    folded = re.sub(r"@\w+", "\2", folded)
    folded = "".join("0" if unicodedata2.category(c) == "Nd" else c for c in folded)
    folded = re.sub("0+", "0", folded)
    key = "".join(c for c in folded if c in "\1\2" or unicodedata2.category(c)[0] in "LMN")
    return key if key.strip("\1\2") else ""


def read_list(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


class Lists:
    def __init__(self, bundle: Path) -> None:
        lists = bundle / "lists"
        self.words = {
            name: [fold(entry) for entry in read_list(lists / f"{name}.txt")]
            for name in ("incitement", "harassment", "slurs", "news_quote")
        }
        self.domains = set(read_list(lists / "spam_domains.txt"))
        self.exempt = set(read_list(lists / "exempt_accounts.txt"))
        self.phrases = {fold(phrase) for phrase in read_list(lists / "common_phrases.txt")}

    def any(self, name: str, folded: str) -> bool:
        return any(holds_word(folded, pattern) for pattern in self.words[name])

    def spam(self, post: Post) -> bool:
        return any(
            host == domain or host.endswith("." + domain)
            for host in map(host_of, links_of(post))
            for domain in self.domains
        )


def read_posts(lines: Iterable[bytes]) -> Iterator[Post | None]:
    """Yield each line's post, None for a dead letter."""
    for number, line in enumerate(lines, 1):
        yield _read(number, line)


def _read(number: int, line: bytes) -> Post | None:
    try:
        record = json.loads(line.decode(), parse_constant=lambda _: 1 / 0)
        json.dumps(record, ensure_ascii=False).encode()  # lone surrogates fail here
        account, op = record["account"], record.get("op", "create")
        time = _time(record["created_at"])
    except (ValueError, TypeError, KeyError, ZeroDivisionError):
        return None
    content = any(record.get(n) is not None for n in ("text", "media", "urls", "repost_of"))
    for name in (record.get("id"), account.get("id")):
        if isinstance(name, bool) or not isinstance(name, str | int):
            return None
        if isinstance(name, int) and not -(2**63) <= name < 2**63:
            return None
    if op != "delete" and not content:
        return None
    created = account.get("created_at")
    age = -1 if created is None else (time - _time(created)) // DAY
    client, text = record.get("client") or {}, record.get("text") or ""
    return Post(
        number, str(record["id"]), op, record.get("revision", 0), str(account["id"]), age, time,
        text, record.get("urls") or [], client.get("device", ""), record.get("scores") or {},
    )  # fmt: skip


def _time(value: object) -> int:
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(str(value))
    return round(moment.timestamp() * 1_000)


class AccountWindows:
    """Rule 2: ticks of an eighth, the newest eight kept; the sum includes the record itself."""

    def __init__(self) -> None:
        self._posts: dict[str, list[int]] = defaultdict(list)
        self._texts: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)

    def posts_1m(self, post: Post) -> int:
        tick = post.time // (MINUTE // 8)
        kept = [t for t in self._posts[post.account] if t > tick - 8] + [tick]
        self._posts[post.account] = kept
        return len(kept)

    def repeats_10m(self, post: Post) -> int:
        tick = post.time // (10 * MINUTE // 8)
        kept = [entry for entry in self._texts[post.account] if entry[0] > tick - 8]
        folded = fold(post.text)
        if folded:
            kept.append((tick, folded, any(folded == text for _, text, _ in kept)))
        self._texts[post.account] = kept
        return sum(repeated for _, _, repeated in kept)


def screen_signals(posts: Iterable[Post | None], lists: Lists) -> Iterator[Signal]:
    """Yield the signals of the rules `on: post`, in order of posts."""
    windows = AccountWindows()
    for post in posts:
        if post is None or post.op == "delete":
            continue
        folded = fold(post.text)
        quoted = lists.any("news_quote", folded)
        inciting, slur = lists.any("incitement", folded), lists.any("slurs", folded)
        hate = post.scores.get("hate_speech", -1.0)
        held = {
            ("violence", "incitement"): inciting and not quoted,
            ("violence", "incitement-quoted"): inciting and quoted,
            ("harassment", "abuse"): lists.any("harassment", folded) and not quoted,
            ("harassment", "slur"): slur and not quoted and hate >= 0.6,
            ("harassment", "slur-unsure"): slur and not quoted and 0.3 <= hate < 0.6,
            ("spam", "domains"): lists.spam(post),
            ("flooding", "flood"): windows.posts_1m(post) > 15,
            ("flooding", "parrot"): windows.repeats_10m(post) >= 10,
        }
        for (policy, rule), holds in held.items():
            if holds:
                yield Signal(policy, rule, post.account, post.id, post.revision)


def campaign_rule_signals(posts: list[Post], lists: Lists) -> set[Signal]:
    """Return the signals of the rules `on: campaign`, as a set."""
    shares: dict[str, list[Share]] = {"text": [], "url": [], "device": []}
    ages = {}
    for post in posts:
        if post.op == "delete":
            continue
        name = f"{post.id} {post.revision}"
        ages[post.account, name] = post.age_days
        keys = {"device": [post.device] if post.device else []}
        keys["url"] = list(dict.fromkeys(canonical_url(link) for link in links_of(post)))
        common = fold(post.text).strip() in lists.phrases
        keys["text"] = [] if common or not text_key(post.text) else [text_key(post.text)]
        for kind, found in keys.items():
            shares[kind] += [Share(key, post.account, name, post.time) for key in found]
    signals = set()
    for rule, kind, accounts, over, young in [
        ("copypasta", "text", 20, 10 * MINUTE, True),
        ("device-farm", "device", 10, DAY, True),
        ("link-brigade", "url", 5, MINUTE, False),
    ]:
        for found in campaign_signals(shares[kind], accounts=accounts, over_ms=over):
            if not young or 0 <= ages[found.account, found.post] < 30:
                post_id, _, revision = found.post.rpartition(" ")
                signals.add(Signal("coordination", rule, found.account, post_id, int(revision)))
    return signals


# Rule -> (post action, strikes); link-brigade is a shadow rule and decides nothing.
WEIGHTS = {
    "incitement": ("remove", 3), "incitement-quoted": ("review", 0), "abuse": ("remove", 1),
    "slur": ("limit", 1), "slur-unsure": ("label", 0), "domains": ("remove", 1),
    "flood": ("limit", 1), "parrot": ("limit", 1), "copypasta": ("limit", 1),
    "device-farm": ("review", 1),
}  # fmt: skip
_COOLDOWN = {
    "violence": 0, "harassment": 10 * MINUTE, "spam": HOUR, "flooding": 10 * MINUTE,
    "coordination": DAY,  # not given in the bundle: the longest window that its rules read
}  # fmt: skip
POLICIES = frozenset(_COOLDOWN)
_STEPS = [(5, "suspend", False), (4, "lock", False), (2, "lock", True), (1, "warn", False)]
_GRACE, SEVERE = HOUR, {"violence"}


@dataclass
class Account:
    """One account's ledger; the sample is shorter than strike_ttl, so nothing expires."""

    total: int = 0
    warned_at: int | None = None
    suspended: bool = False
    counted: dict[tuple[str, str, int], int] = field(default_factory=dict)
    struck_at: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, tuple[int, str]] = field(default_factory=dict)  # locks until a post goes


def actions(
    signals: Iterable[tuple[int, Signal]], deletes: Iterable[Post], lists: Lists
) -> set[Action]:
    """Return what enforce does with live signals, given with their origin times, in order."""
    accounts: dict[str, Account] = defaultdict(Account)
    done: set[Action] = set()
    events: list[tuple[int, int, Any]] = [(t, 0, s) for t, s in signals]
    events += [(post.time, 1, post) for post in deletes]
    for time, _, event in sorted(events, key=lambda e: e[:2]):
        account = accounts[event.account]
        if isinstance(event, Post):
            if event.id in account.waiting:
                revision, policy = account.waiting.pop(event.id)
                done.add(Action("restore", event.account, event.id, revision, policy))
            continue
        if event.rule != "link-brigade":
            done |= _judge(account, time, event, event.account in lists.exempt)
    return done


def _judge(account: Account, time: int, signal: Signal, exempt: bool) -> set[Action]:
    post_action, weight = WEIGHTS[signal.rule]
    of = (signal.account, signal.post, signal.revision, signal.policy)
    done = {Action(post_action, *of)}
    severe = signal.policy in SEVERE
    key = (signal.policy, signal.post, signal.revision)
    more = weight - account.counted.get(key, 0)
    last = account.struck_at.get(signal.policy)
    in_grace = account.warned_at is not None and time < account.warned_at + _GRACE
    if more <= 0 or (in_grace and not severe):
        return done
    if last is not None and time < last + _COOLDOWN[signal.policy]:
        return done
    account.counted[key] = weight
    account.struck_at[signal.policy] = time
    account.total += more
    if account.suspended:
        return done
    _, step, until_deleted = next(s for s in _STEPS if s[0] <= account.total)
    if step != "warn" and not severe and account.warned_at is None:
        step, until_deleted = "warn", False
    if exempt:
        return done | {Action("review", *of)}
    if step == "warn":
        account.warned_at = time
    elif step == "suspend":
        account.suspended = True
    elif until_deleted:
        account.waiting[signal.post] = (signal.revision, signal.policy)
    return done | {Action(step, *of)}
