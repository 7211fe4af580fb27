"""Generate records of a posts topic: ordinary posts, odd ones, hostile ones; seeded and cheap.

Texts, URLs and ids come from small pools, so that windows fill, texts repeat and the slow twin can
remember what it folded.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

import orjson

from fastpath.records import BatchView
from tests.support.json_documents import ACCEPT, REJECT
from tests.support.texts import PIECES, seeded_texts

START_MS = 1_610_000_000_000

URLS = (
    "https://example.org/a", "HTTPS://Example.ORG:443/a#x", "http://example.org/%61/../a?",
    "http://a.b.evil.example/x", "http://EVIL.example.", "https://user@evil.example:8443\\p?q#f",
    "http://ｅｖｉｌ．example/", "http://bücher.example/ü?ü=%c3%bc",
    "ftp://evil.example/", "evil.example", "http://", "https://:80/", "http://[::1]:80/x",
    "http://h:0080/./%2e%2E/a/", "", "  ",
    "\u3000http://known.example/path \n", "http://known.example/path", "http://x/\0", "http://a..b/",
    "http://h:99999999999/%zz%4", "https://h:443:443/", "http://evil%2eexample/",
    "http://%65vil.example", "https://h/?u=http%3A%2F%2Fevil.example%2Fa&gclid=1",
    "http://h/?" * 7 + "https://b.evil.example", "http://known.example/path?utm_source=x&a=1",
)  # fmt: skip
LINKS = (
    "see http://evil.example/a.", "(https://known.example/path)", '"http://q.example/"x',
    "http://.", "hhttps://h/a,b;", "HtTp://known.example/path!?", "http:/no", "https://«x»",
    "a://b http://\u2028c", "http://a\u00a0http://b", "xhttp://\u201cq", "http://evil.example'",
    "at evil.com", "evil [.] com", "w . evil dot com", "a.com " * 70, "me@evil.com",
    "https://h/?u=http://evil.com",
)  # fmt: skip
WORDS = (
    "scam", "buy now", "straße", "naïve", "ＦＵＬＬ width", "free money", "漢字", "ไทย", "a_b",
    "@you", "#tag", "you should know", "12 34 ٣٤", "Good Morning", "...", "🙂🙃", "👩‍👩‍👧",
    "e\u0301", "I", "ı", "ﬁn",
)  # fmt: skip
IDS = ("1", "p-7", "é", "\u0000", "漢" * 85, "x" * 256, "00", " ", "😀", "9" * 19)
SHA256 = tuple(f"{n:064x}" for n in range(4))
# Near each other, in steps of 16 bits, and far from both.
PDQ = ("f" * 64, "f" * 60 + "0" * 4, "F" * 56 + "0" * 8, "0" * 64, "5" * 64)
COPIES = (
    "Dear friends, the hall is open tonight, bring everyone you know and stay until the end",
    "dear friends, the hall is open tonite, bring everyone you know and stay until the end!",
    "DEAR FRIENDS, the hall is closed tonight, bring everyone you know & stay until the end",
    "@anna dear friends, see https://a.example/12 tonight, code 123, and stay until the end",
    "@bert dear friends, see http://b.example/999 tonight, code 98765, and stay until the end",
)
MD5 = tuple(f"{n:032x}" for n in range(4))
BAD_VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1.5, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63), 2**64, "", "x", [],
    {}, [None], ["a"], [1], [[]], {"id": 1}, "2021-01-01T00:00:00Z", 253402300799999,
    253402300800000,
)  # fmt: skip
TIMES: tuple[object, ...] = (
    "2021-01-07T06:13:20Z", "2021-01-07t06:13:20.5z", "2021-01-07T06:13:20.123999+01:30",
    "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:01", "2020-02-29T23:59:59.9-23:59",
    "2021-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "2021-01-07 06:13:20Z", "2021-01-07T24:00:00Z",
    "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-00:01", "2021-13-01T00:00:00Z", "2021-01-07",
    "2021-01-07T06:13:20", "2021-01-07T06:13:20.Z", "2021-1-7T06:13:20Z", "٢021-01-07T06:13:20Z",
    "2021-01-07T06:13:20+0100", "2021-01-07T06:13:20z ", 1_609_900_000_000, 0, 1_610_000_000_000,
)  # fmt: skip


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    time: int


def batch(records: list[Record], first_offset: int, partition: int = 3) -> BatchView:
    return BatchView.from_records(
        "posts",
        partition,
        [record.key for record in records],
        [record.value for record in records],
        [record.time for record in records],
        list(range(first_offset, first_offset + len(records))),
    )


def generated_records(seed: int, count: int) -> Iterator[Record]:
    """Yield `count` records, the same for the same seed; about a third are odd in some way."""
    rng = random.Random(seed)
    pool = [*_plain_texts(rng, 600), *seeded_texts(seed, 400), *_floods(rng), *COPIES * 20]
    time = START_MS
    for number in range(count):
        time += rng.choice((0, 1, 40, 40, 900, 7_000)) if rng.random() < 0.98 else 4_000_000
        seen = time - rng.choice((0, 0, 0, 0, 5_000, 61_000, 700_000))
        account = f"u{rng.randrange(40)}" if rng.random() < 0.9 else rng.choice(IDS)
        post = _post(rng, pool, number, account, seen)
        value = _written(rng, post)
        key: bytes | None = account.encode()
        odd = rng.random()
        if odd < 0.06:
            value = mutated(rng, value)
        elif odd < 0.08:
            value = _document(rng)
        elif odd < 0.085:
            key = rng.choice((None, b"", b"other", account.encode() + b"\0"))
        yield Record(key, None if rng.random() < 0.002 else value, _stamp(rng, seen))


def _stamp(rng: random.Random, time: int) -> int:
    return time if rng.random() < 0.998 else rng.choice((-1, -(2**63), 2**63 - 1, 0))


def _plain_texts(rng: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        parts = rng.choices((*WORDS, *PIECES[:19], *LINKS), k=rng.randint(0, 8))
        yield rng.choice((" ", " ", "", "\n")).join(parts)


def _floods(rng: random.Random) -> list[str]:
    return [
        "e" + "\u0301" * 200,
        "\u0323\u0301" * 100,
        "\ufdfa" * 300,
        "http://" * 50,
        " ".join(f"http://h{n}.example/{n}" for n in range(90)),
        "http://" + "a." * 400 + "evil.example",
        "scam " * 120,
        "aaaa" * 100,
        "@" * 200,
        "\0" * 40,
        rng.choice(("漢", "ไ")) * 500,
    ]


def _post(
    rng: random.Random, pool: list[str], number: int, account: str, time: int
) -> dict[str, object]:
    """Make one post, most of whose fields are as they should be."""
    post: dict[str, object] = {"id": str(number), "account": {"id": account}}
    optional: dict[str, Callable[[], object]] = {
        "op": lambda: rng.choice(("create", "create", "edit", "delete")),
        "revision": lambda: rng.randrange(3),
        "created_at": lambda: time - rng.choice((0, 0, 299_999, 300_000, 300_001, -300_001)),
        "lang": lambda: rng.choice(("en", "de", "", "zh-Hant")),
        "urls": lambda: rng.choices(URLS, k=rng.choice((0, 1, 1, 2, 5, 70))),
        "hashtags": lambda: rng.choices(("x", "y", ""), k=rng.randrange(4)),
        "media": lambda: [_medium(rng) for _ in range(rng.choice((0, 1, 1, 2, 3, 18)))],
        "repost_of": lambda: f"p{rng.randrange(400)}",
        "reply_to": lambda: f"p{rng.randrange(400)}",
        "client": lambda: {"device": f"d{rng.randrange(9)}", "ip": "203.0.113.9"},
        "scores": lambda: {n: _score(rng) for n in rng.sample(("tox", "spam", 'q"é', "z"), k=2)},
        "unknown": lambda: rng.choice(([1, {"a": [None, "\\"]}], "x\ty", -0.25, {"id": {}})),
    }
    if rng.random() < 0.93:
        text = rng.choice(pool)
        post["text"] = text if rng.random() < 0.9 else f"{text} {number}"
    for name, make in optional.items():
        if rng.random() < (0.12 if name in ("op", "media", "unknown") else 0.3):
            post[name] = make()
    if rng.random() < 0.4:
        made = rng.choice((None, 86_400_000 * 400, 86_400_000 * 3 - 1, -5))
        post["account"] = {
            "id": account,
            "created_at": None if made is None else time - made,
            "followers": rng.choice((0, 12, 2**40, None)),
        }
    if rng.random() < 0.06:
        post[rng.choice((*post, "media", "urls", "scores"))] = rng.choice(BAD_VALUES)
    if rng.random() < 0.04:
        post["created_at"] = rng.choice(TIMES)
    if rng.random() < 0.02:
        post["id"] = rng.choice((*IDS, number, -number, 2**63, 1.0, "", "y" * 257))
    return post


def _medium(rng: random.Random) -> object:
    if rng.random() < 0.05:
        return rng.choice(BAD_VALUES)
    medium: dict[str, object] = {}
    if rng.random() < 0.5:
        medium["sha256"] = rng.choice((*SHA256, SHA256[3].upper(), "ABCDEF" + "0" * 58, None))
    if rng.random() < 0.5:
        medium["md5"] = rng.choice((*MD5, "F" * 32))
    if rng.random() < 0.3:
        medium |= {"pdq": rng.choice(PDQ), "pdq_quality": rng.choice((0, 100, 50, None))}
    if rng.random() < 0.02:
        medium["md5"] = "g" * 32
    return medium


def _score(rng: random.Random) -> object:
    return rng.choice((0, 1, 0.5, 0.1 + 0.2, rng.random(), 1e-7, 1e22, -0.0, 2**53 + 1, None))


def _written(rng: random.Random, post: dict[str, object]) -> bytes:
    """Write a post as JSON in one of many ways that mean the same, or repeat a key."""
    style = rng.random()
    if style < 0.7:
        try:
            return orjson.dumps(post)
        except TypeError:  # an integer of more than 64 bits
            return json.dumps(post).encode()
    if style < 0.85:
        return json.dumps(post, indent=rng.choice((None, 1)), separators=(" ,", " : ")).encode()
    if style < 0.92:
        members = list(post.items())
        rng.shuffle(members)
        return json.dumps(dict(members), ensure_ascii=False).encode("utf-8", "surrogatepass")
    text = json.dumps(post)
    name = rng.choice(list(post))
    if style < 0.96:
        again = json.dumps({name: rng.choice(BAD_VALUES)})
        return f"{text[:-1]}, {again[1:]}".encode()
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
    return text.replace(f'"{name}"', f'"{escaped}"', 1).encode()


def mutated(rng: random.Random, value: bytes) -> bytes:
    """Break a value somewhere: flip, drop, insert, cut, or nest it."""
    place = rng.randrange(len(value) + 1)
    kind = rng.randrange(6)
    if kind == 0:
        return value[:place]
    if kind == 1:
        return value[:place] + value[place + 1 :]
    if kind == 2:
        inserted = rng.choice(
            (b"\\", b'"', b",", b"}", b"\xff", b"\0", b"\xed\xa0\x80", b"\\ud800", b"e9")
        )
        return value[:place] + inserted + value[place:]
    if kind == 3:
        flipped = value[place : place + 1]
        return (
            value[:place]
            + bytes([flipped[0] ^ 1 << rng.randrange(8)] if flipped else b"")
            + value[place + 1 :]
        )
    if kind == 4:
        depth = rng.choice((20, 22, 23, 24, 30, 31, 32, 200))
        return value[:-1] + b',"deep":' + b"[" * depth + b"]" * depth + b"}"
    return value[:-1] + b',"deep":' + b'{"a":' * 31 + b"1" + b"}" * rng.choice((30, 31)) + b"}"


def _document(rng: random.Random) -> bytes:
    """Put a hostile JSON document where a post, an unread value or a read value stands."""
    _, document = rng.choice(rng.choice((ACCEPT, REJECT)))
    name = rng.choice((b"unknown", b"text", b"scores", b"revision", b"lang", b"media"))
    if rng.random() < 0.2:
        return document
    return b'{"id":"1","account":{"id":"u1"},"repost_of":"p","%b":%b}' % (name, document)
