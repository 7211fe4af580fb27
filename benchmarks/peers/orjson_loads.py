"""Read posts with orjson: whole documents, from which the fields are taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson


def reader() -> Callable[[Sequence[bytes]], object]:
    """Parse each document."""
    loads = orjson.loads
    return lambda documents: [loads(document) for document in documents]


def fields(document: bytes) -> dict[str, Any]:
    """Return all fields of one document."""
    return fields_in(orjson.loads(document))


def fields_in(post: Any) -> dict[str, Any]:
    """Take the fields out of a parsed document."""
    account = post["account"]
    return {
        "id": post["id"],
        "account": account["id"],
        "account_created_at": account["created_at"],
        "followers": account["followers"],
        "created_at": post["created_at"],
        "text": post["text"],
        "lang": post["lang"],
        "urls": list(post.get("urls", ())),
        "media": [medium["sha256"] for medium in post.get("media", ())],
        "reply_to": post.get("reply_to", ""),
        "device": post["client"]["device"],
    }
