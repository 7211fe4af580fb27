"""Laws of the slow path: it accepts what orjson accepts, and its output is a fixed point."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastpath.field_maps import PRESETS, load_field_map
from fastpath.slow_path import Canonical, Rejected, canonicalize
from fastpath.spec import REJECT_REASONS
from tests.support.json_documents import ACCEPT, REJECT

NOT_JSON = {"json_invalid", "encoding_invalid", "json_too_deep"}
MUTATIONS = 20_000

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = st.one_of(texts.filter(bool), st.integers(-(2**63), 2**63 - 1))
times = st.one_of(
    st.integers(0, 253_402_300_799_999),
    st.sampled_from(
        ["2021-01-08T23:21:04.123Z", "2016-12-31T23:59:60z", "1999-02-28t01:00:00+14:00"]
    ),
)
digests = st.fixed_dictionaries(
    {},
    optional={
        "sha256": st.binary(min_size=32, max_size=32).map(bytes.hex),
        "md5": st.binary(min_size=16, max_size=16).map(lambda raw: raw.hex().upper()),
        "pdq": st.none(),
        "pdq_quality": st.integers(0, 100),
        "more": texts,
    },
)  # fmt: skip
posts = st.fixed_dictionaries(
    {
        "id": ids,
        "account": st.fixed_dictionaries(
            {"id": ids}, optional={"created_at": times, "followers": st.integers(0, 2**63 - 1)}
        ),
        "text": texts,
    },
    optional={
        "op": st.sampled_from(["create", "edit", "delete", None]),
        "revision": st.integers(0, 2**31 - 1),
        "created_at": times,
        "lang": texts,
        "urls": st.lists(st.one_of(texts, st.none()), max_size=4),
        "hashtags": st.lists(texts, max_size=4),
        "media": st.lists(st.one_of(digests, st.none()), max_size=3),
        "repost_of": ids,
        "reply_to": ids,
        "client": st.fixed_dictionaries({}, optional={"device": ids, "ip": texts}),
        "scores": st.dictionaries(
            texts, st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9))
        ),
        "more": st.recursive(texts, lambda inner: st.lists(inner, max_size=3), max_leaves=5),
    },
)
signs = st.text('"\\\\:{}[],e+1', max_size=6)  # what JSON is made of, inside strings
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), texts,
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


def orjson_accepts(document: bytes) -> bool:
    try:
        orjson.loads(document)
    except orjson.JSONDecodeError:
        return False
    return True


def is_json(document: bytes) -> bool:
    result = canonicalize(document)
    return isinstance(result, Canonical) or result.reason not in NOT_JSON


@pytest.mark.parametrize(("name", "document"), ACCEPT, ids=[name for name, _ in ACCEPT])
def test_corpus_accepted(name: str, document: bytes) -> None:
    assert orjson_accepts(document)
    assert is_json(document)
    inside = b'{"id":"1","account":{"id":"a"},"text":"t","x":' + document + b"}"
    assert isinstance(canonicalize(inside), Canonical)


@pytest.mark.parametrize(("name", "document"), REJECT, ids=[name for name, _ in REJECT])
def test_corpus_rejected(name: str, document: bytes) -> None:
    assert not orjson_accepts(document)
    assert not is_json(document)
    inside = b'{"id":"1","account":{"id":"a"},"text":"t","x":' + document + b"}"
    assert is_json(inside) is orjson_accepts(inside)


@given(posts)
@example({"id": "1", "account": {"id": "a"}, "text": "", "scores": {"b": 1, "a": -0.0}})
def test_output_is_a_fixed_point(post: dict[str, Any]) -> None:
    first = canonicalize(orjson.dumps(post))
    assert isinstance(first, Canonical), first
    assert canonicalize(first.data) == first
    assert orjson.loads(first.data) == first.post
    assert first.post["id"] == str(post["id"])
    if first.post["op"] != "delete":
        assert first.post["text"] == post["text"]


@given(posts, st.randoms(use_true_random=False))
def test_order_of_keys_does_not_matter(post: dict[str, Any], order: random.Random) -> None:
    keys = list(post)
    order.shuffle(keys)
    shuffled = orjson.dumps({key: post[key] for key in keys})
    assert canonicalize(shuffled) == canonicalize(orjson.dumps(post))


@given(json_values, st.sampled_from(sorted(PRESETS)))
def test_any_json_under_any_preset_is_judged(value: Any, preset: str) -> None:
    document = orjson.dumps(value)
    result = canonicalize(document, load_field_map(preset))
    if isinstance(result, Rejected):
        assert result.reason in REJECT_REASONS
    else:
        assert canonicalize(result.data) == result._replace(duplicate_key=False)


@given(json_values)
def test_values_are_those_of_orjson(value: Any) -> None:
    """Read through a map that hands one value on, a string arrives exactly as orjson reads it."""
    document = orjson.dumps({"id": "1", "account": {"id": "a"}, "text": "t", "x": value})
    result = canonicalize(document, load_field_map("generic", {"lang": ["/x"]}))
    expected = orjson.loads(document)["x"]
    if isinstance(expected, str):
        assert isinstance(result, Canonical)
        assert result.post["lang"] == expected
    elif expected is not None:
        assert isinstance(result, Rejected)


@given(
    st.lists(st.tuples(st.sampled_from(["lang", "x", '":', "\\"]), signs), max_size=5),
    st.lists(st.tuples(st.sampled_from(["pdq", "y", "{"]), signs), max_size=3),
    st.booleans(),
)
@example(
    members=[("lang", ""), ("lang", '":"')], medium=[], escaped=True
)  # a colon in place of the one lost
def test_keys_that_repeat_where_they_are_read_are_told(
    members: list[tuple[str, str]], medium: list[tuple[str, str]], escaped: bool
) -> None:
    """Whatever strings hold, a key counts once for each time that it stands; the last one wins."""

    def written(value: str) -> str:
        digits = "".join(f"\\u{ord(sign):04x}" for sign in value)
        return f'"{digits}"' if escaped else json.dumps(value)

    def object_of(pairs: list[tuple[str, str]]) -> str:
        return "{" + ", ".join(f"{written(key)} :{written(value)}" for key, value in pairs) + "}"

    digests = [(key, "0" * 64 if key == "pdq" else value) for key, value in medium]
    document = f"""{{"id":"1","account":{{"id":"a"}},"text":"t","media":[{{}},{object_of(digests)}],
        {object_of(members)[1:-1] or '"z":0'}}}"""
    result = canonicalize(document.encode())
    assert isinstance(result, Canonical)
    read = Counter(key for key, _ in members + medium if key in ("lang", "pdq"))
    assert result.duplicate_key is any(times > 1 for times in read.values())
    assert result.post.get("lang") == dict(members).get("lang")


@given(st.integers(2**62, 2**70), st.sampled_from(["", "-"]))
def test_integers_outside_64_bits_are_no_ids(number: int, sign: str) -> None:
    result = canonicalize(f'{{"id":{sign}{number},"account":{{"id":"a"}},"text":"t"}}'.encode())
    if -(2**63) <= int(f"{sign}{number}") < 2**63:
        assert isinstance(result, Canonical)
        assert result.post["id"] == f"{sign}{number}"
    else:
        assert result == Rejected("id_out_of_range", "id: an integer outside 64 bits")


def test_mutated_posts_are_accepted_as_orjson_accepts_them() -> None:
    """Change, drop, repeat and cross bytes of real-looking posts; the seed is fixed."""
    chance = random.Random(20210108)
    seeds = [document for _, document in (*ACCEPT, *REJECT)] + [
        orjson.dumps(
            {"id": 7, "account": {"id": "ä", "followers": 3}, "created_at": "2021-01-08T23:21:04Z",
             "text": "Tëxt \"quoted\" \\ 😀", "urls": ["https://a.example/?q=%20"],
             "media": [{"sha256": "0" * 64}], "scores": {"a": 0.5, "b": -1e-7}}
        )
    ] * 200  # fmt: skip
    spice = b'"\\{}[]:,0123456789eE+-.utf\x00\x1f\x7f\x80\xc3\xed\xf0\xff \n'
    accepted = 0
    for _ in range(MUTATIONS):
        document = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(document) + 1)
            kind = chance.randrange(4)
            if kind == 0:
                document[place:place] = bytes([chance.choice(spice)])
            elif kind == 1:
                del document[place : place + chance.randint(1, 4)]
            elif kind == 2:
                document[place : place + 1] = bytes([chance.choice(spice)])
            else:
                other = chance.choice(seeds)
                document[place:] = other[chance.randrange(len(other) + 1) :]
        value = bytes(document)
        assert is_json(value) is orjson_accepts(value), value
        accepted += orjson_accepts(value)
    assert accepted > MUTATIONS // 20  # else the mutations test one side alone
