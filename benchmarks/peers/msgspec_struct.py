"""Read posts with msgspec into typed Structs of the fields that are read, its fastest way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec


class Account(msgspec.Struct, gc=False):
    """Hold the fields of an account."""

    id: str
    created_at: int
    followers: int


class Medium(msgspec.Struct, gc=False):
    """Hold the digest of a medium."""

    sha256: str


class Client(msgspec.Struct, gc=False):
    """Hold the device."""

    device: str


class Post(msgspec.Struct, gc=False):
    """Hold the fields of a post."""

    id: str
    account: Account
    created_at: int
    text: str
    lang: str
    client: Client
    urls: list[str] = []
    media: list[Medium] = []
    reply_to: str = ""


_decode = msgspec.json.Decoder(Post).decode


def reader() -> Callable[[Sequence[bytes]], object]:
    """Decode each document."""
    return lambda documents: [_decode(document) for document in documents]


def fields(document: bytes) -> dict[str, Any]:
    """Return all fields of one document."""
    post = _decode(document)
    return {
        "id": post.id,
        "account": post.account.id,
        "account_created_at": post.account.created_at,
        "followers": post.account.followers,
        "created_at": post.created_at,
        "text": post.text,
        "lang": post.lang,
        "urls": post.urls,
        "media": [medium.sha256 for medium in post.media],
        "reply_to": post.reply_to,
        "device": post.client.device,
    }
