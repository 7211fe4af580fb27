"""Read the fields of posts from JSON bytes: the first row of the budget that depends on content.

Weir reads a batch into its own columns, without Python objects; a peer makes what its users read
the fields from. Every engine is then asked for all fields of all posts, and they must be equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from benchmarks import corpora
from benchmarks.definition import OWN_ENGINE, Definition
from benchmarks.jobs import peer
from benchmarks.measured import Engine, Measured, repeated
from fastpath.posts import PostReader, fields_of
from fastpath.records import BatchView

BROKER = False
FRESH = False
POSTS = "posts.ndjson"

Fields: TypeAlias = dict[str, Any]


class Peer(Protocol):
    """Name what an adapter of a JSON library offers."""

    def reader(self) -> Callable[[Sequence[bytes]], object]:
        """Return what reads documents as its documentation recommends; this is timed."""

    def fields(self, document: bytes) -> Fields:
        """Return all fields of one document, read in the same way; this is compared."""


@contextmanager
def prepared(definition: Definition, folder: Path) -> Iterator[dict[str, str]]:
    """Write the posts, one per line; with `escaped` everything beyond ASCII as escapes."""
    escaped = definition.options.get("escaped", False)
    posts = corpora.posts(definition.corpus)
    lines = (
        json.dumps(post, ensure_ascii=escaped, separators=(",", ":")).encode() for post in posts
    )
    corpora.write_lines(folder / POSTS, lines)
    yield {"posts": corpora.digest_of(folder / POSTS)}


def engine(name: str, definition: Definition, folder: Path) -> Engine:
    """Make Weir's reader or the adapter of a peer."""
    del definition
    documents = (folder / POSTS).read_bytes().splitlines()
    if name == OWN_ENGINE:
        return Extraction(documents, *_own(documents))
    adapter = cast("Peer", peer(name))
    read = adapter.reader()
    return Extraction(documents, lambda: read(documents), adapter.fields)


class Extraction:
    """Read all documents, again and again for a while."""

    def __init__(
        self,
        documents: list[bytes],
        run: Callable[[], object],
        fields: Callable[[bytes], Fields],
    ) -> None:
        self._documents = documents
        self._run = run
        self._fields = fields

    def measure(self) -> Measured:
        """Time the reading; the fields are compared afterwards."""
        calls, watch = repeated(self._run)
        found = [self._fields(document) for document in self._documents]
        counts = {
            "posts": len(found),
            "text_bytes": sum(len(post["text"].encode()) for post in found),
            "urls": sum(len(post["urls"]) for post in found),
            "media": sum(len(post["media"]) for post in found),
            "followers": sum(post["followers"] for post in found),
        }
        return Measured(
            calls * len(found),
            watch.seconds,
            watch.cpu_seconds,
            counts,
            (json.dumps(post, sort_keys=True) for post in found),
            calls * sum(map(len, self._documents)),
        )

    def close(self) -> None:
        """Hold nothing but memory."""


def _own(documents: list[bytes]) -> tuple[Callable[[], object], Callable[[bytes], Fields]]:
    reader = PostReader()
    count = len(documents)
    view = BatchView.from_records(
        "posts", 0, [None] * count, documents, [0] * count, list(range(count))
    )

    def fields(document: bytes) -> Fields:
        read = fields_of(reader, document)
        if isinstance(read, str):
            raise AssertionError(f"{read}: {document!r}")
        media = cast("list[tuple[str, str, str]]", read["media"])
        names = ("id", "account", "followers", "created_at", "text", "lang", "urls", "reply_to")
        return {name: read[name] for name in names} | {
            "account_created_at": read["account_created_at"],
            "device": read["device"],
            "media": [medium[0] for medium in media],
        }

    return lambda: reader.count(view), fields
