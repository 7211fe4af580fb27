"""Read posts in plain Python: slow_path judges every one, this names its fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, cast

from fastpath.field_maps import FieldMap
from fastpath.slow_path import Rejected, canonicalize

_Json: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Medium:
    """Hold the digests of one image or video, lower-case hex, "" where absent."""

    sha256: str = ""
    md5: str = ""
    pdq: str = ""
    pdq_quality: int | None = None

    def key(self) -> str:
        """Return what names it across accounts, "" where nothing does."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        if self.md5:
            return f"md5:{self.md5}"
        return f"pdq:{self.pdq}" if self.pdq else ""


@dataclass(frozen=True, slots=True)
class Fields:
    """Hold the fields of one accepted post; "" and empty where absent, times in ms."""

    post: _Json
    id: str
    op: str
    revision: int
    account: str
    account_created_at: int | None
    followers: int  # -1 where unknown
    created_at: int | None
    text: str
    lang: str
    urls: tuple[str, ...]
    hashtags: int
    media: tuple[Medium, ...]
    repost_of: str
    reply_to: str
    device: str
    scores: dict[str, float] = field(default_factory=dict)
    duplicate_key: bool = False


def read_post(value: bytes | None, field_map: FieldMap | None) -> Fields | Rejected:
    """Read one record value; a null value is no JSON document."""
    if value is None:
        return Rejected("json_invalid", "document: a null value")
    read = canonicalize(value, field_map)
    if isinstance(read, Rejected):
        return read
    return _fields(read.post, read.duplicate_key)


def _fields(post: _Json, duplicate_key: bool) -> Fields:
    account = cast(_Json, post["account"])
    client = cast(_Json, post.get("client", {}))
    media = cast("list[dict[str, str]]", post.get("media", []))
    qualities = [cast("int | None", medium.get("pdq_quality")) for medium in media]
    return Fields(
        post=post,
        id=cast(str, post["id"]),
        op=cast(str, post["op"]),
        revision=cast(int, post["revision"]),
        account=cast(str, account["id"]),
        account_created_at=cast("int | None", account.get("created_at")),
        followers=cast(int, account.get("followers", -1)),
        created_at=cast("int | None", post.get("created_at")),
        text=cast(str, post.get("text", "")).replace("\0", "\ufffd"),
        lang=cast(str, post.get("lang", "")),
        urls=tuple(cast("list[str]", post.get("urls", []))),
        hashtags=len(cast("list[str]", post.get("hashtags", []))),
        media=tuple(
            Medium(m.get("sha256", ""), m.get("md5", ""), m.get("pdq", ""), quality)
            for m, quality in zip(media, qualities, strict=True)
        ),
        repost_of=cast(str, post.get("repost_of", "")),
        reply_to=cast(str, post.get("reply_to", "")),
        device=cast(str, client.get("device", "")),
        scores=cast("dict[str, float]", post.get("scores", {})),
        duplicate_key=duplicate_key,
    )
