"""Make the posts and patterns of benchmarks, the same bytes for the same description.

Texts come from the sample that is shipped with the example bundle. A corpus of more posts than
that splices the head of one text to the tail of another: words, lengths and scripts stay those of
people, and no two posts share a text. Files are kept under build/benchmarks by the digest of
what they were made from.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "deploy" / "example" / "posts.ndjson.gz"
CACHE = ROOT / "build" / "benchmarks"
FIRST_ID = 1_438_000_000_000_000_000
FIRST_TIME_MS = 1_631_700_000_000  # 2021-09-15, the days of the sample
_SHORTENED = re.compile(r"t\.co/\w+", re.ASCII)
_WORD = re.compile(r"[a-z]+")


@cache
def sample_texts() -> tuple[str, ...]:
    """Return the distinct texts of the shipped sample, in order."""
    texts: dict[str, None] = {}
    with gzip.open(SAMPLE, "rb") as lines:
        for line in lines:
            try:
                text = json.loads(line)["text"]
                text.encode()
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # planted lines that are no posts
            if text:
                texts[text] = None
    return tuple(texts)


def spliced(seed: int, *, ascii_only: bool = False) -> Iterator[str]:
    """Yield texts without end: the head of one real text and the tail of another."""
    chance = random.Random(seed)
    words = [text.split() for text in sample_texts() if text.isascii() or not ascii_only]
    while True:
        head, tail = chance.choice(words), chance.choice(words)
        cut, rest = chance.randint(0, len(head)), chance.randint(0, len(tail))
        if text := " ".join(head[:cut] + tail[rest:]):
            # A shortened link is made for one post; repeated, it would look like a campaign.
            yield _SHORTENED.sub(lambda _: f"t.co/{chance.randrange(36**10):010x}", text)


def patterns(seed: int, count: int) -> list[str]:
    """Return distinct patterns near to real text: misspelt words and pairs of words.

    Each begins like words that people write, so that an automaton walks into it, and hardly any
    stands in a real text.
    """
    chance = random.Random(seed)
    vocabulary = sorted(
        {word for text in sample_texts() for word in _WORD.findall(text.lower()) if len(word) >= 4}
    )
    real = frozenset(vocabulary)
    found: dict[str, None] = {}
    while len(found) < count:
        word = chance.choice(vocabulary)
        if chance.random() < 0.4:
            found[f"{word} {chance.choice(vocabulary)}"] = None
            continue
        place = chance.randrange(2, len(word))
        made = word[:place] + chance.choice("abcdefghijklmnopqrstuvwxyz") + word[place:]
        if made not in real:
            found[made] = None
    return list(found)


def texts(what: Mapping[str, Any], wanted: Sequence[str] = ()) -> Iterator[str]:
    """Yield the texts of a corpus: `hit_share` of them hold one of `wanted` between two words."""
    chance = random.Random(what["seed"] + 1)
    share = what.get("hit_share", 0)
    for text in spliced(what["seed"], ascii_only=what.get("ascii", False)):
        if chance.random() < share:
            words = text.split(" ")
            words.insert(chance.randint(0, len(words)), chance.choice(wanted))
            yield " ".join(words)
        else:
            yield text


def posts(what: Mapping[str, Any], wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the posts of a corpus, in the order and with the skew of a real stream.

    `accounts` write `posts` posts, `per_s` of them a second; `link_share`, `media_share` and
    `reply_share` of them have a link, an image, or answer another post; `copy_share` repeat a
    text. Listed links, domains and images are among them.
    """
    chance = random.Random(what["seed"])
    source = texts(what, wanted)
    copied = ""
    for number in range(what["posts"]):
        text = next(source)
        if chance.random() < what.get("copy_share", 0):
            text = copied
        elif number % 97 == 0:
            copied = text
        yield _post(number, text, chance, what)


def post_file(what: Mapping[str, Any], wanted: Sequence[str]) -> Path:
    """Return the posts of a corpus as NDJSON."""
    named = {"posts": what, "wanted": hashlib.sha256("\n".join(wanted).encode()).hexdigest()}
    return kept(named, ".ndjson", lambda path: write_lines(path, map(encode, posts(what, wanted))))


def _post(number: int, text: str, chance: random.Random, what: Mapping[str, Any]) -> dict[str, Any]:
    # Half of the posts come from a few busy accounts, as in the data that the sample is made of.
    many = what["accounts"]
    account = int(many * chance.random() ** 2) if chance.random() < 0.5 else chance.randrange(many)
    made: dict[str, Any] = {
        "id": str(FIRST_ID + number),
        "account": {
            "id": f"u{account * 2_654_435_761 % 2**32}",
            "created_at": FIRST_TIME_MS - account * 40_503 % 4_000_000 * 100_000,
            "followers": account * 7_919 % 5_000,
        },
        "created_at": FIRST_TIME_MS + number * 1000 // what["per_s"],
        "text": text,
        "lang": "en",
        "client": {"device": f"d{account:x}"},
    }
    if chance.random() < what.get("reply_share", 0):
        made["reply_to"] = str(FIRST_ID + chance.randrange(max(number, 1)))
    if chance.random() < what.get("link_share", 0):
        made["urls"] = [_link(chance)]
    if chance.random() < what.get("media_share", 0):
        # One in 200 is listed where the list has `listed_images` entries.
        made["media"] = [{"sha256": listed_image(chance.randrange(200 * what["listed_images"]))}]
    return made


def _link(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.005:
        return listed_link(chance.randrange(2_000))
    if kind < 0.01:
        return f"https://www.{listed_domain(chance.randrange(500))}/a/{chance.randrange(10**6)}"
    site = int(5_000 * chance.random() ** 4)  # few sites have most of the links
    return f"https://site-{site}.example.org/{chance.randrange(200_000):x}?id={chance.randrange(9)}"


def listed_image(number: int) -> str:
    """Return the digest of a listed image."""
    return hashlib.sha256(b"image %d" % number).hexdigest()


def listed_link(number: int) -> str:
    """Return a listed URL."""
    return f"https://shop-{number % 997}.example/offer/{number:x}"


def listed_domain(number: int) -> str:
    """Return a listed domain."""
    return f"lure-{number:x}.example"


# Entry number n of each list of `benchmarks.bundles`.
LISTED: dict[str, Callable[[int], str]] = {
    "images": listed_image,
    "links": listed_link,
    "domains": listed_domain,
}


def encode(made: Mapping[str, Any]) -> bytes:
    """Write a post as JSON, as an ingest would."""
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()


def kept(what: Mapping[str, Any], suffix: str, write: Callable[[Path], None]) -> Path:
    """Return the file made from a description, making it by `write` when it is not there."""
    sources = (Path(__file__), SAMPLE)
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps(what, sort_keys=True).encode())
    for source in sources:
        digest.update(source.read_bytes())
    path = CACHE / f"{digest.hexdigest()}{suffix}"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write(part)
        part.replace(path)
    return path


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines, each ended by a newline."""
    with path.open("wb", buffering=1 << 20) as out:
        for line in lines:
            out.write(line)
            out.write(b"\n")


def digest_of(path: Path) -> str:
    """Name the bytes of a file."""
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
