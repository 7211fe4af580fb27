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
FIRST_TIME_MS = 1_631_700_000_000  # 2021-09-15, the days of the sample
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
            yield text


def patterns(seed: int, count: int) -> list[str]:
    """Return distinct patterns near to real text: misspelt words and pairs of words.

    Each begins like words that people write, so that an automaton walks into it, and hardly any
    stands in a real text.
    """
    chance = random.Random(seed)
    vocabulary = sorted(
        {word for text in sample_texts() for word in _WORD.findall(text.lower()) if len(word) >= 4}
    )
    found: dict[str, None] = {}
    while len(found) < count:
        word = chance.choice(vocabulary)
        if chance.random() < 0.4:
            found[f"{word} {chance.choice(vocabulary)}"] = None
            continue
        place = chance.randrange(2, len(word))
        made = word[:place] + chance.choice("abcdefghijklmnopqrstuvwxyz") + word[place:]
        if made not in vocabulary:
            found[made] = None
    return list(found)


def with_hits(
    texts: Iterator[str], wanted: Sequence[str], share: float, seed: int
) -> Iterator[str]:
    """Put one of `wanted` between two words of that share of the texts."""
    chance = random.Random(seed)
    for text in texts:
        if chance.random() < share:
            words = text.split(" ")
            words.insert(chance.randint(0, len(words)), chance.choice(wanted))
            yield " ".join(words)
        else:
            yield text


def post(number: int, text: str, chance: random.Random, accounts: int) -> dict[str, Any]:
    """Return a post of the size and shape of real ones; ids rise, accounts are skewed."""
    account = min(int(chance.paretovariate(1.2) * accounts / 400), accounts) + chance.randrange(
        accounts // 8
    )
    made: dict[str, Any] = {
        "id": str(1_438_000_000_000_000_000 + number),
        "account": {
            "id": f"u{account}",
            "created_at": 1_230_000_000_000 + account * 40_503 % 400_000_000 * 1000,
            "followers": account * 7_919 % 5_000,
        },
        "created_at": FIRST_TIME_MS + number,
        "text": text,
        "lang": "en",
    }
    if chance.random() < 0.1:
        made["reply_to"] = str(1_438_000_000_000_000_000 + chance.randrange(number + 1))
    return made


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
