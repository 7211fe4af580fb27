"""A reader that remembers the shapes of documents reads each as one that has seen none."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import ISA
from fastpath.field_maps import PRESETS, load_field_map
from fastpath.isa import LEVELS
from fastpath.posts import PostReader, fields_of
from tests.parity.test_mapped_posts import DOCUMENTS
from tests.support.generated_records import mutated
from tests.support.post_readings import SCORES, check

REST = 8_192  # documents, as in shapes.pxi
MOST_DOUBT = 48
FRESH = PostReader()
POST: dict[str, Any] = {
    "id": "1348", "account": {"id": "u9", "created_at": 1_600_000_000_000, "followers": 12},
    "created_at": 1_610_000_000_123, "text": "one and another word that goes on for a while",
    "lang": "en", "client": {"device": "d7"},
}  # fmt: skip


def compact(post: object, ascii_only: bool = False) -> bytes:
    return json.dumps(post, ensure_ascii=ascii_only, separators=(",", ":")).encode()


def read_alike(reader: PostReader, value: bytes, fresh: PostReader = FRESH) -> bool:
    """Hold a reading against that of a reader without memory; return whether a shape served."""
    fresh.forget()
    before = reader.shaped
    read = fields_of(reader, value, score_names=SCORES)
    assert read == fields_of(fresh, value, score_names=SCORES), value
    return reader.shaped > before


def followed(*gaps: bytes, of: bytes) -> list[bool]:
    """Read one document with other and other bytes in its gap; return where the shape served."""
    reader = PostReader()
    assert not read_alike(reader, of % b"1")
    served = []
    for gap in gaps:
        served.append(read_alike(reader, of % gap))
        check(of % gap, reader)
    return served


def test_documents_of_one_shape_are_read_by_it() -> None:
    reader = PostReader()
    for n in range(50):
        post = POST | {
            "id": str(n) * 9,
            "text": "x" * n + "é€🙂"[: n % 4],
            "created_at": 10**n % 7**9,
        }
        assert read_alike(reader, compact(post)) == (n > 0)
        check(compact(post), reader)


ENDS = {
    "urls": ["https://example.org/a", "https://example.org/b"],
    "media": [{"sha256": "A" * 64, "pdq_quality": 88}, {"md5": "0" * 32}],
    "hashtags": ["x"], "reply_to": "7", "repost_of": "8", "op": "edit", "revision": 3,
    "scores": {"tox": 0.25, "z": 1, "of nobody": None}, "unknown": [1, {"x": [-2.5e3, "s"]}, True],
}  # fmt: skip


@pytest.mark.parametrize("member", ENDS)
def test_every_field_is_read_by_a_shape(member: str) -> None:
    reader = PostReader()
    document = compact(POST | {member: ENDS[member]})
    for turn in range(3):
        assert read_alike(reader, document) == (turn > 0)
        assert read_alike(reader, compact(POST)) == (turn > 0)
    other = document.replace(b'"en"', b'"fr"').replace(b"example", b"other").replace(b"88", b"100")
    assert read_alike(reader, other)
    check(other, reader)


NUMBERS = (  # far from the document's end and near it, read and unread
    b'{"id":"i","account":{"id":"u","followers":%b},"text":"t","lang":"some language"}',
    b'{"id":"i","account":{"id":"u"},"text":"t","x":{"y":[%b]},"z":"some more of it"}',
    b'{"id":"i","text":"t","account":{"id":"u","followers":%b}}',
)
STRINGS = (
    b'{"id":"i","account":{"id":"u"},"text":"%b","lang":"en","x":[]}',
    b'{"id":"i","account":{"id":"u"},"text":"t","x":"%b","lang":"en","y":0}',
    b'{"id":"i","account":{"id":"u"},"text":"t","reply_to":"%b"}',
)


@pytest.mark.parametrize("form", NUMBERS)
def test_numbers_in_a_gap(form: bytes) -> None:
    digits = [str(10**n - 1).encode() for n in range(1, 21)] + [b"1" + b"0" * n for n in range(20)]
    odd = [b"-0", b"-1", b"01", b"00000001", b"000000000001", b"1.5", b"12345678.5", b"1e2", b"1E2",
           b"1234567890123456e1", b"1e400", b"1.", b".5", b"-", b"+1", b"", b"1 ", b" 1", b"1a",
           b"0x1", b"null", b"true", b"[]", b'"1"', b"9223372036854775807", b"9223372036854775808",
           b"1,2", b"1" * 40, b"1" * 41, b"1234567/", b"1234567:", b"12345678/",
           b"\xb1"]  # fmt: skip
    served = followed(*digits, *odd, of=form)
    assert all(served[:15])
    assert sum(served) >= 30


@pytest.mark.parametrize("pad", range(34))
def test_strings_in_a_gap(pad: int) -> None:
    odd = [b"", b"\x1f", b"\x00", b"\t", b"\x7f", b'"', b"\\", b'\\"', b"\\\\", b"\\n", b"\\u0041",
           b"\\ud83d", b"\\ud83d\\ude00", b"\\x", b"\xc3\xa9", b"\xc3", b"\xa9", b"\xed\xa0\x80",
           b"\xf0\x9f\x99\x82", b'","lang":"fr', b'\\","lang":"fr', b"\xff",
           b"y" * 300]  # fmt: skip
    for form in STRINGS:
        served = followed(*(b"x" * pad + piece for piece in odd), of=form)
        assert sum(served) >= 8


def test_a_document_cut_anywhere_is_refused_as_by_the_walk() -> None:
    reader = PostReader()
    whole = compact(POST)
    for end in range(len(whole) + 1):
        read_alike(reader, whole)
        assert not read_alike(reader, whole[:end]) or end == len(whole)
        read_alike(reader, whole[:end] + b" " + whole[end:])


def test_a_document_may_go_once_it_was_read() -> None:
    reader = PostReader()
    document = compact(POST | {"scores": {"tox": 0.25, "z": 1}, "urls": ["u"]})
    fields_of(reader, bytes(memoryview(document)), score_names=SCORES)
    overwritten = [b"%d" % n * len(document) for n in range(10)]  # where it stood
    assert read_alike(reader, document)
    assert len(set(overwritten)) == 10


def test_what_stands_behind_a_document_is_refused_as_by_the_walk() -> None:
    reader = PostReader()
    for behind in (b"", b"x", b"}", b"\0", b",", b"1", b" x", b"\n", compact(POST)):
        read_alike(reader, compact(POST) + behind)
        read_alike(reader, compact(POST))
        assert not read_alike(reader, compact(POST) + behind + b"x")


def test_shapes_that_never_come_again_are_given_up_for_a_while() -> None:
    reader = PostReader()
    for n in range(MOST_DOUBT):
        assert not read_alike(reader, compact(POST | {f"k{n}": 1}))
    for _ in range(REST):
        assert isinstance(fields_of(reader, compact(POST)), dict)
    assert reader.shaped == 0
    assert not read_alike(reader, compact(POST))
    assert read_alike(reader, compact(POST))


def test_one_shape_among_many_that_never_come_again_is_kept() -> None:
    reader = PostReader()
    served = 0
    for n in range(4_000):
        served += read_alike(reader, compact(POST))
        read_alike(reader, compact(POST | {f"k{n}": n, "urls": ["u"] * (n % 7)}))
    assert served == 3_999


def test_a_trusted_reading_learns_nothing() -> None:
    reader = PostReader()
    for _ in range(3):
        assert isinstance(fields_of(reader, compact(POST), trusted=True), dict)
    assert reader.shaped == 0
    assert not read_alike(reader, compact(POST))


KEYS = st.sampled_from(
    ["id", "account", "created_at", "text", "lang", "client", "urls", "media", "scores",
     "reply_to", "repost_of", "op", "revision", "x", "a key of more than thirty-two bytes, ü"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["1", "", "é🙂", 'q"\\', "\u0000", "x" * 300, 0, -0.0, 7, -1, 10**15, 10**18, 2**63, 1.5, 1e300,
     None, True, [], {}, {"id": "u"}, {"id": 5, "followers": 3}, {"id": "u", "created_at": 1},
     ["a"], ["a", "b"], [{"sha256": "0" * 64}], [{"md5": "A" * 32, "pdq_quality": 3}, {}],
     {"tox": 0.5}, {"tox": 1, "spam": None, 'q"é': 2}, {"device": "d"}, [[1], [2, "3"]]]
)  # fmt: skip
BASES = st.sampled_from([POST, {"id": "1", "account": {"id": "u"}, "text": ""}])
POSTS = st.builds(lambda base, more: base | more, BASES, st.dictionaries(KEYS, VALUES, max_size=3))


def written(post: dict[str, Any], seed: int) -> bytes:
    """Write a post in one of many ways, some of them wrong."""
    rng = random.Random(seed)
    if rng.random() < 0.2:
        post = dict(rng.sample(list(post.items()), len(post)))
    spaces = rng.choice(((",", ":"), (",", ":"), (", ", ": ")))
    value = json.dumps(
        post, ensure_ascii=rng.random() < 0.3, separators=spaces,
        indent=1 if rng.random() < 0.1 else None,
    ).encode()  # fmt: skip
    if rng.random() < 0.1:
        value = value[:-1] + b"," + value[1:]  # every key twice
    if rng.random() < 0.1:
        value = value[: rng.randrange(len(value))]
    return mutated(rng, value) if rng.random() < 0.3 else value


@settings(max_examples=250)
@given(
    st.lists(st.tuples(POSTS, st.integers(0, 5)), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_any_stream_reads_as_its_documents_do(
    posts: list[tuple[dict[str, Any], int]], rng: random.Random
) -> None:
    stream = [written(post, seed) for post, seed in posts for _ in range(2)]
    rng.shuffle(stream)
    reader = PostReader()
    for value in stream:
        read_alike(reader, value)
        check(value, reader)


@pytest.mark.parametrize("isa", LEVELS[: LEVELS.index(ISA) + 1])
@pytest.mark.parametrize("preset", PRESETS)
def test_streams_of_every_platform(preset: str, isa: str) -> None:
    rng = random.Random(preset)
    reader, fresh = (PostReader(load_field_map(preset), isa) for _ in range(2))
    values = [compact(document, rng.random() < 0.5) for document in DOCUMENTS[preset]]
    stream = [mutated(rng, value) if rng.random() < 0.3 else value for value in values * 20]
    rng.shuffle(stream)
    for value in stream:
        read_alike(reader, value, fresh)
