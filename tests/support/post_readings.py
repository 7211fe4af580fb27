"""Hold one reading of the compiled post reader against the twin's."""

from __future__ import annotations

import orjson

from fastpath.posts import PostReader, fields_of
from fastpath.reference.posts import Fields, read_post
from fastpath.slow_path import Canonical, canonicalize
from fastpath.spec import MAX_MEDIA, MAX_URLS

SCORES = ("tox", "spam", 'q"é', "z")
CANONICAL = PostReader()


def due_fields(fields: Fields) -> dict[str, object]:
    return {
        "id": fields.id,
        "op": fields.op,
        "revision": fields.revision,
        "account": fields.account,
        "account_created_at": fields.account_created_at,
        "followers": fields.followers,
        "created_at": fields.created_at,
        "text": fields.text,
        "lang": fields.lang,
        "urls": list(fields.urls[:MAX_URLS]),
        "url_count": len(fields.urls),
        "hashtags": fields.hashtags,
        "media": [(m.sha256, m.md5, m.pdq) for m in fields.media[:MAX_MEDIA]],
        "media_count": len(fields.media),
        "repost_of": fields.repost_of,
        "reply_to": fields.reply_to,
        "device": fields.device,
        "scores": {name: fields.scores[name] for name in SCORES if name in fields.scores},
    }


def check(value: bytes, reader: PostReader = CANONICAL) -> bool:
    """Hold one value's reading against the twin's and orjson's; return whether it was fast.

    A delete drops fields that no consumer of a delete reads, so only its ids are compared.
    """
    read = fields_of(reader, value, score_names=SCORES)
    due = read_post(value, reader.field_map)
    if isinstance(read, dict):
        orjson.loads(value)
        assert isinstance(due, Fields), (value, due)
        assert not due.duplicate_key, value
        _assert_fields(read, due)
    canonical = canonicalize(value, reader.field_map)
    if isinstance(canonical, Canonical):
        again = fields_of(CANONICAL, canonical.data, trusted=True, score_names=SCORES)
        assert isinstance(again, dict), (value, again)
        assert isinstance(due, Fields)
        _assert_fields(again, due)
    return isinstance(read, dict)


def _assert_fields(read: dict[str, object], due: Fields) -> None:
    expected = due_fields(due)
    names = ("id", "op", "revision", "account", "created_at") if due.op == "delete" else expected
    assert {name: read[name] for name in names} == {name: expected[name] for name in names}
