"""The strict reader accepts nothing that orjson refuses, and reads the values orjson reads.

It may call anything slow; that it calls ordinary posts fast is a test of its own.
"""

from __future__ import annotations

import datetime as dt
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.posts import fields_of
from fastpath.reference.posts import read_post
from fastpath.slow_path import Rejected, canonicalize
from tests.support.generated_records import TIMES, generated_records
from tests.support.json_documents import ACCEPT, REJECT
from tests.support.post_readings import CANONICAL, SCORES, check


def test_generated_posts_read_as_orjson_reads_them() -> None:
    values = [r.value for r in generated_records(41, 15_000) if r.value is not None]
    fast = sum(check(value) for value in values)
    assert 0.55 < fast / len(values) < 0.95  # both ways are taken often


WRAPPINGS = (
    b'{"id":"1","account":{"id":"u"},"text":"t","x":%b}',
    b'{"x":[%b],"id":"1","account":{"id":"u"},"text":"t"}',
    b'{"id":"1","account":{"id":"u","x":{"y":%b}},"text":"t"}',
    b'{"id":"1","account":{"id":"u"},"text":%b}',
    b'{"id":"1","account":{"id":"u"},"text":"t","scores":{"tox":%b}}',
    b'{"id":"1","account":{"id":"u"},"text":"t","lang":%b}',
    b'{"id":%b,"account":{"id":"u"},"text":"t"}',
    b'{"id":"1","account":{"id":"u"},"text":"t","urls":%b,"hashtags":%b}',
    b'{"id":"1","account":{"id":"u"},"media":[{"sha256":%b}]}',
    b'{"id":"1","account":{"id":"u","followers":%b},"text":"t","revision":%b}',
    b"%b",
)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_hostile_documents_read_as_orjson_reads_them(wrapping: bytes) -> None:
    fast = 0
    for _, document in ACCEPT + REJECT:
        fast += check(wrapping.replace(b"%b", document))
    assert fast > 0 or wrapping in (b"%b", WRAPPINGS[8], WRAPPINGS[9])


@pytest.mark.parametrize(("name", "document"), REJECT, ids=[name for name, _ in REJECT])
def test_no_json_is_never_fast(name: str, document: bytes) -> None:
    assert isinstance(fields_of(CANONICAL, WRAPPINGS[0] % document, False), str) or _is_json(
        WRAPPINGS[0] % document
    )


@pytest.mark.parametrize(("field", "element"), [("urls", "x"), ("hashtags", "x"), ("media", {})])
@pytest.mark.parametrize("form", ["%s,", ",%s", "%s,,%s", "%s %s", "%s", "%s,%s"])
def test_arrays_are_read_by_their_grammar(field: str, element: object, form: str) -> None:
    elements = form.replace("%s", json.dumps(element))
    value = f'{{"id":"1","account":{{"id":"u"}},"text":"t","{field}":[{elements}]}}'.encode()
    assert check(value) == (form in ("%s", "%s,%s"))


def _is_json(value: bytes) -> bool:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize("time", TIMES)
def test_times_read_as_slow_path_reads_them(time: object) -> None:
    post = {"id": "1", "account": {"id": "u", "created_at": time}, "text": "", "created_at": time}
    check(orjson.dumps(post))


dates = st.tuples(
    st.integers(1960, 10_001), st.integers(0, 13), st.integers(0, 32), st.integers(0, 25),
    st.integers(0, 61), st.integers(0, 61), st.sampled_from(["", ".1", ".123", ".9999", ".", ".x"]),
    st.sampled_from(["Z", "z", "+00:00", "-23:59", "+24:00", "+12:60", "", "+1:00", "Zz"]),
    st.sampled_from("Tt "),
).map(
    lambda d: f"{d[0]:04}-{d[1]:02}-{d[2]:02}{d[8]}{d[3]:02}:{d[4]:02}:{d[5]:02}{d[6]}{d[7]}"
)  # fmt: skip


@settings(max_examples=3_000)
@given(dates | st.datetimes().map(lambda moment: moment.isoformat() + "Z"))
def test_dates_read_as_slow_path_reads_them(date: str) -> None:
    check(orjson.dumps({"id": "1", "account": {"id": "u"}, "text": "", "created_at": date}))


def test_every_day_of_four_centuries_is_read() -> None:
    first = dt.date(1970, 1, 1)
    for day in range(0, 150_000, 7):
        date = first + dt.timedelta(day)
        value = b'{"id":"1","account":{"id":"u"},"text":"","created_at":"%bT00:00:00Z"}'
        read = fields_of(CANONICAL, value % date.isoformat().encode(), False)
        assert isinstance(read, dict)
        assert read["created_at"] == day * 86_400_000


@settings(max_examples=2_000)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_scores_round_as_orjson_rounds_them(score: float) -> None:
    value = orjson.dumps({"id": "1", "account": {"id": "u"}, "text": "", "scores": {"tox": score}})
    read = fields_of(CANONICAL, value, True, SCORES)
    assert isinstance(read, dict)
    assert read["scores"] == {"tox": score}
    check(value)


@settings(max_examples=2_000)
@given(st.text(max_size=30), st.booleans())
def test_strings_decode_as_orjson_decodes_them(text: str, ascii_only: bool) -> None:
    post = {"id": "1", "account": {"id": "u"}, "text": text, "urls": [text], "lang": text}
    value = json.dumps(post, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    check(value)


@settings(max_examples=3_000)
@given(st.integers(0, 400), st.integers(0, 1), st.data())
def test_broken_bytes_read_as_orjson_reads_them(seed: int, kind: int, data: st.DataObject) -> None:
    value = next(r.value for r in generated_records(seed % 40 + 1_000, 3) if r.value)
    place = data.draw(st.integers(0, len(value) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    check(value[:place] + byte + value[place + kind :])


ORDINARY = (
    {"id": "1348", "op": "create", "revision": 0,
     "account": {"id": "u9", "created_at": "2020-12-30T09:00:00Z", "followers": 12},
     "created_at": "2021-01-08T23:21:04.123Z", "text": "ä \n \"x\" 🙂", "lang": "en",
     "urls": ["https://example.org/a"], "hashtags": ["x"],
     "media": [{"sha256": "0" * 64, "md5": "F" * 32, "pdq": "a" * 64, "pdq_quality": 88}],
     "repost_of": None, "reply_to": None,
     "client": {"device": "d7", "ip": "203.0.113.9"}, "scores": {"toxicity": 0.91}},
    {"id": "2", "account": {"id": "u"}, "text": ""},
    {"id": -12, "account": {"id": 10**17}, "text": "", "x": 1.5e-7},
    {"id": "2", "account": {"id": "u"}, "media": []},
    {"id": "2", "account": {"id": "u"}, "op": "delete"},
    {"id": "2", "account": {"id": "u"}, "urls": ["http://x"] * 500, "created_at": 1_610_000_000},
)  # fmt: skip


@pytest.mark.parametrize("post", ORDINARY)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_ordinary_posts_are_fast(post: dict[str, object], ascii_only: bool) -> None:
    assert check(json.dumps(post, ensure_ascii=ascii_only).encode())


UNUSUAL = {
    "escaped_key": b'{"\\u0069d":"1","account":{"id":"u"},"text":""}',
    "repeated_key": b'{"id":"1","id":"1","account":{"id":"u"},"text":""}',
    "repeated_key: of scores":
        b'{"id":"1","account":{"id":"u"},"text":"","scores":{"a":1,"a":1}}',
    "type: a long id": b'{"id":"%b","account":{"id":"u"},"text":""}' % (b"x" * 257),
    "type: 19 digits": b'{"id":%b,"account":{"id":"u"},"text":""}' % (b"1" * 19),
    "type: -0": b'{"id":-0,"account":{"id":"u"},"text":""}',
    "number": b'{"id":"1","account":{"id":"u"},"text":"","x":1e200}',
    "number: long": b'{"id":"1","account":{"id":"u"},"text":"","x":%b}' % (b"1" * 41),
    "nesting": b'{"id":"1","account":{"id":"u"},"text":"","x":%b}' % (b"[" * 32 + b"]" * 32),
    "syntax: a byte order mark": b'\xef\xbb\xbf{"id":"1","account":{"id":"u"},"text":""}',
    "incomplete": b'{"id":"1","account":{"id":"u"}}',
    "type: an unknown op": b'{"id":"1","account":{"id":"u"},"text":"","op":"undo"}',
    "type: an account that is no object": b'{"id":"1","account":[{"id":"u"}],"text":""}',
    "size": b'{"id":"1","account":{"id":"u"},"text":"","urls":[%b]}' % b",".join([b'""'] * 17_000),
    "size: of a text": b'{"id":"1","account":{"id":"u"},"text":"%b"}' % (b"x" * 65_537),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSUAL)
def test_unusual_posts_are_slow(what: str) -> None:
    assert not check(UNUSUAL[what])
    assert fields_of(CANONICAL, UNUSUAL[what]) == what.partition(":")[0]


def test_reading_is_linear_in_hostile_input() -> None:
    """Nesting, many keys, many scores and many strings end at once or cost one pass."""
    size = 250_000
    hostile = [
        b"[" * size, b'{"a":' * (size // 5), b'{"id":"' + b"\\" * size, b'"' * size,
        b'{"scores":{' + b",".join(b'"%d":1' % n for n in range(size // 10)) + b"}}",
        b'{"urls":[' + b",".join([b'""'] * (size // 3)) + b"]}", b" " * size, b"1" * size,
        b'{"text":"' + b"\\u0000" * (size // 6) + b'"}',
    ]  # fmt: skip
    for value in hostile:
        assert isinstance(fields_of(CANONICAL, value, False), str)


def test_rejection_is_always_slow_paths_own() -> None:
    """What the reader leaves and slow_path refuses carries slow_path's reason."""
    read = read_post(b'{"id":"1"}', None)
    assert (
        read == canonicalize(b'{"id":"1"}') == Rejected("field_missing", "account.id is required")
    )
