"""The rules of a post, one by one: what is read, and why the rest is a dead letter."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fastpath.field_maps import load_field_map
from fastpath.slow_path import Canonical, Rejected, canonicalize
from fastpath.spec import MAX_RECORD_BYTES, MAX_TEXT_BYTES, REJECT_REASONS

TIME_DUE = "where a time (RFC 3339 or epoch milliseconds, 1970 to 9999) is due"
ID_DUE = "where a string or an integer is due"
POST = {"id": "1", "account": {"id": "a"}, "text": "t"}


def reject(value: bytes) -> Rejected:
    result = canonicalize(value)
    assert isinstance(result, Rejected), result
    assert result.reason in REJECT_REASONS
    return result


def accept(value: bytes) -> Canonical:
    result = canonicalize(value)
    assert isinstance(result, Canonical), result
    return result


def with_fields(**fields: Any) -> bytes:
    return orjson.dumps({**POST, **fields})


def test_least_post() -> None:
    assert accept(b'{"text":"t","account":{"id":"a"},"id":"1"}') == Canonical(
        {"id": "1", "op": "create", "revision": 0, "account": {"id": "a"}, "text": "t"},
        b'{"id":"1","op":"create","revision":0,"account":{"id":"a"},"text":"t"}',
        duplicate_key=False,
    )


@pytest.mark.parametrize(
    ("fields", "reason", "error"),
    [
        ({"id": None}, "field_missing", "id is required"),
        ({"id": True}, "field_type", f"id: boolean {ID_DUE}"),
        ({"id": 1.0}, "field_type", f"id: number {ID_DUE}"),
        ({"id": ["1"]}, "field_type", f"id: array {ID_DUE}"),
        ({"id": ""}, "id_out_of_range", "id: 0 bytes; 1 to 256 are allowed"),
        ({"id": "ä" * 129}, "id_out_of_range", "id: 258 bytes; 1 to 256 are allowed"),
        ({"id": 2**63}, "id_out_of_range", "id: an integer outside 64 bits"),
        ({"account": None}, "field_missing", "account.id is required"),
        ({"account": "a"}, "field_type", "account: string where an object is due"),
        ({"account": {"id": None}}, "field_missing", "account.id is required"),
        ({"account": {"id": {}}}, "field_type", f"account.id: object {ID_DUE}"),
        (
            {"account": {"id": "a", "followers": -1}},
            "field_type",
            "account.followers: an integer outside 0 to 9223372036854775807",
        ),
        (
            {"account": {"id": "a", "created_at": "soon"}},
            "field_type",
            f"account.created_at: string {TIME_DUE}",
        ),
        ({"op": "upsert"}, "field_type", "op: a string other than create, edit, delete"),
        ({"op": 1}, "field_type", "op: integer where a string is due"),
        ({"revision": -1}, "field_type", "revision: an integer outside 0 to 2147483647"),
        ({"revision": 2**31}, "field_type", "revision: an integer outside 0 to 2147483647"),
        ({"revision": "1"}, "field_type", "revision: string where an integer is due"),
        ({"created_at": 1.5}, "field_type", f"created_at: number {TIME_DUE}"),
        ({"created_at": -1}, "field_type", f"created_at: integer {TIME_DUE}"),
        ({"created_at": True}, "field_type", f"created_at: boolean {TIME_DUE}"),
        ({"text": 1}, "field_type", "text: integer where a string is due"),
        ({"text": None}, "field_missing", "one of text, media, urls, repost_of is required"),
        ({"lang": 1}, "field_type", "lang: integer where a string is due"),
        ({"urls": "u"}, "field_type", "urls: string where an array is due"),
        ({"urls": ["u", 1]}, "field_type", "urls[1]: integer where a string is due"),
        ({"hashtags": {}}, "field_type", "hashtags: object where an array is due"),
        ({"media": [{}, 7]}, "field_type", "media[1]: integer where an object is due"),
        (
            {"media": [{"sha256": "0" * 63}]},
            "field_type",
            "media[0].sha256: a string that is not 64 hex digits",
        ),
        (
            {"media": [{"md5": "g" * 32}]},
            "field_type",
            "media[0].md5: a string that is not 32 hex digits",
        ),
        (
            {"media": [{"pdq": "0" * 64, "pdq_quality": 101}]},
            "field_type",
            "media[0].pdq_quality: an integer outside 0 to 100",
        ),
        ({"repost_of": ""}, "id_out_of_range", "repost_of: 0 bytes; 1 to 256 are allowed"),
        ({"reply_to": False}, "field_type", f"reply_to: boolean {ID_DUE}"),
        ({"client": []}, "field_type", "client: array where an object is due"),
        (
            {"client": {"device": "d" * 257}},
            "id_out_of_range",
            "client.device: 257 bytes; 1 to 256 are allowed",
        ),
        ({"client": {"ip": 1}}, "field_type", "client.ip: integer where a string is due"),
        (
            {"scores": {"secret words": "0.5"}},
            "field_type",
            "scores.*: string where a number is due",
        ),
        ({"scores": {"a": True}}, "field_type", "scores.*: boolean where a number is due"),
    ],
)
def test_fields_refused(fields: dict[str, Any], reason: str, error: str) -> None:
    assert reject(with_fields(**fields)) == Rejected(reason, error)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "json_invalid"),
        (b"[]", "field_type"),
        (b"null", "field_type"),
        (b'"post"', "field_type"),
        (b"\xef\xbb\xbf" + orjson.dumps(POST), "json_invalid"),
        (orjson.dumps(POST) + b"x", "json_invalid"),
        (b'{"id":"1","account":{"id":"a"},"text":"\\ud800"}', "json_invalid"),
        (b'{"id":"1","account":{"id":"a"},"text":"\xed\xa0\x80"}', "encoding_invalid"),
        (b'{"id":"1","account":{"id":"a"},"text":"\xc0\xaf"}', "encoding_invalid"),
        (b'{"id":"1","account":{"id":"a"},"text":"t","scores":{"a":NaN}}', "json_invalid"),
        (b'{"id":"1","account":{"id":"a"},"text":"t","scores":{"a":1e400}}', "json_invalid"),
        (b'{"id":18446744073709551616,"account":{"id":"a"},"text":"t"}', "id_out_of_range"),
        (b'{"id":-9223372036854775809,"account":{"id":"a"},"text":"t"}', "id_out_of_range"),
        (b'{"id":' + b"9" * 300 + b',"account":{"id":"a"},"text":"t"}', "id_out_of_range"),
        (b'{"id":"1","account":{"id":9223372036854775808},"text":"t"}', "id_out_of_range"),
    ],
)
def test_documents_refused(value: bytes, reason: str) -> None:
    assert reject(value).reason == reason


def test_integers_within_64_bits_are_exact() -> None:
    for number in (2**63 - 1, -(2**63), 0, 2**53 + 1):
        value = b'{"id":%d,"account":{"id":%d},"text":"t"}' % (number, number)
        post = accept(value).post
        assert (post["id"], post["account"]) == (str(number), {"id": str(number)})


def test_size_of_record_and_text() -> None:
    room = MAX_RECORD_BYTES - len(with_fields(pad=""))
    accept(with_fields(pad="x" * room))
    assert reject(with_fields(pad="x" * (room + 1))).reason == "record_too_large"
    assert reject(b"\xff" * (MAX_RECORD_BYTES + 1)).reason == "record_too_large"
    accept(with_fields(text="ä" * (MAX_TEXT_BYTES // 2)))
    assert reject(with_fields(text="ä" * (MAX_TEXT_BYTES // 2) + "x")).reason == "record_too_large"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting(opening: bytes, closing: bytes) -> None:
    """The post itself is one level; brackets inside strings are none."""

    def nested(levels: int) -> bytes:
        inner = opening * levels + b"1" + closing * levels
        return b'{"id":"1","account":{"id":"a"},"text":"[[{{\\"[[","x":' + inner + b"}"

    accept(nested(31))
    assert reject(nested(32)) == Rejected("json_too_deep", "document: nesting above 32")
    accept(with_fields(text="[" * 100 + '\\"' + "{" * 100))
    assert reject(b"[" * 100_000).reason == "json_too_deep"
    assert reject(b'["' + b"[" * 100).reason == "json_invalid"


@pytest.mark.parametrize(
    ("value", "flagged"),
    [
        (b'{"id":"1","id":"2","account":{"id":"a"},"text":"t"}', True),
        (b'{"id":"1","account":{"id":"a"},"account":{"id":"b"},"text":"t"}', True),
        (b'{"id":"1","account":{"id":"a","\\u0069d":"b"},"text":"t"}', True),
        (b'{"id":"1","account":{"id":"a"},"text":"t","media":[{},{"md5":null,"md5":null}]}', True),
        (b'{"id":"1","account":{"id":"a"},"text":"t","scores":{"x":1,"x":2}}', True),
        (b'{"id":"1","account":{"id":"a"},"text":"t","x":1,"x":2}', False),
        (b'{"id":"1","account":{"id":"a"},"text":"t","x":{"id":1,"id":2}}', False),
        (b'{"id":"1","account":{"id":"a","x":1,"x":2},"text":"t"}', False),
    ],
)
def test_repeated_keys(value: bytes, flagged: bool) -> None:
    result = accept(value)
    assert result.duplicate_key is flagged
    expected = orjson.loads(value)  # the last of each key wins there
    assert result.post["id"] == expected["id"]
    assert result.post["account"]["id"] == expected["account"]["id"]


def test_repeated_keys_of_another_schema() -> None:
    field_map = load_field_map("twitter_v1")
    hidden = b'{"id_str":"1","user":{"id_str":"a"},"text":"x","entities":%s}'
    listed = b'{"urls":[{"expanded_url":"https://a.example","expanded_url":"https://b.example"}]}'
    result = canonicalize(hidden % listed, field_map)
    assert isinstance(result, Canonical)
    assert result.duplicate_key
    assert result.post["urls"] == ["https://b.example"]
    result = canonicalize(hidden % b'{"x":1,"x":2}', field_map)
    assert isinstance(result, Canonical)
    assert not result.duplicate_key


@pytest.mark.parametrize(
    ("preset", "document", "text"),
    [
        ("generic", '"text":"a","text":"b","text":"a","text":"c"', "c\na\nb"),
        ("generic", '"text":"a","text":null', "a"),
        ("generic", '"text":"a","\\u0074ext":"b"', "b\na"),
        ("generic", '"text":7,"text":"b"', "b"),
        ("generic", '"text":"a","x":{"text":"b"}', "a"),
        ("twitter_v1", '"full_text":"a","full_text":"b","text":"c"', "b\na"),
        ("twitter_v1", '"full_text":"a","full_text":null,"text":"c","text":"d"', "d\na\nc"),
        ("twitter_v1", '"extended_tweet":{"full_text":"a &amp; b","full_text":"c"},'
         '"extended_tweet":{"full_text":"d","full_text":"e"}', "e\nc\na & b\nd"),
    ],
)  # fmt: skip
def test_every_text_under_repeated_keys_is_read(preset: str, document: str, text: str) -> None:
    members = '{"id":"1","id_str":"1","account":{"id":"a"},"user":{"id_str":"a"},%s}'
    result = canonicalize((members % document).encode(), load_field_map(preset))
    assert isinstance(result, Canonical), result
    assert result.post["text"] == text
    assert result.duplicate_key == ('"x":' not in document)


def test_a_repeated_text_of_another_type_is_refused_where_it_is_last() -> None:
    value = b'{"id":"1","account":{"id":"a"},"text":"t","text":7}'
    assert reject(value) == Rejected("field_type", "text: integer where a string is due")


def test_texts_under_repeated_keys_are_bounded() -> None:
    def repeated(times: int) -> bytes:
        return b'{"id":"1","account":{"id":"a"},%b}' % b",".join([b'"text":"t"'] * times)

    assert accept(repeated(64)).post["text"] == "t"
    assert reject(repeated(65)).error == "text: more than 64 texts under repeated keys"


def test_text_keeps_what_json_can_hold() -> None:
    text = "\0\x7f\u2028😀\ufeff"
    result = accept(with_fields(text=text))
    assert result.post["text"] == text
    assert orjson.loads(result.data)["text"] == text


def test_more_urls_and_media_than_are_looked_up_are_kept() -> None:
    result = accept(with_fields(urls=["https://a.example/"] * 100, media=[{}] * 40))
    assert (len(result.post["urls"]), len(result.post["media"])) == (100, 40)


def test_empty_content_counts_as_standing() -> None:
    for content in ({"text": ""}, {"urls": []}, {"media": []}, {"repost_of": "1"}):
        accept(orjson.dumps({"id": "1", "account": {"id": "a"}, **content}))


def test_error_never_quotes_the_post() -> None:
    canary = "canary-7f3a"
    values = [with_fields(**{name: canary}) for name in ("op", "account", "urls", "media")]
    values += [with_fields(scores={canary: canary}), with_fields(created_at=canary)]
    values += [with_fields(media=[{"sha256": canary}]), with_fields(text=canary)[:-1]]
    for value in values:
        assert canary not in reject(value).error


@pytest.mark.parametrize(
    "value",
    [
        b'"' * 200_000,
        b"\\" * 200_000,
        b'{"a":' * 40_000,
        b'"[' * 100_000,
        b"[" * 33 + b'"' + b"\\" * 200_000,
        b'{"id":"1",' + b'"k":1,' * 40_000 + b'"k":1}',
        b'{"id":' + b"1" * 250_000 + b"}",
        b"[" + b"1e5," * 60_000 + b"1]",
    ],
    ids=["quotes", "backslashes", "objects", "open-strings", "tail", "repeats", "digits", "floats"],
)
@pytest.mark.timeout(60)  # catches what grows faster than the record: that takes many minutes
def test_worst_records_cost_linear_time(value: bytes) -> None:
    reject(value)
