"""Posts of other schemas: the compiled field maps find what the maps find in plain Python.

The reader may call anything slow; that it reads each platform's ordinary posts is a test here.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from fastpath.errors import BuildError
from fastpath.field_maps import PRESETS, load_field_map
from fastpath.field_programs import MAX_NODES
from fastpath.posts import PostReader, fields_of
from fastpath.records import BatchView
from fastpath.slow_path import Canonical, canonicalize
from fastpath.spec import MAX_RECORD_BYTES, SLOW_CAUSES
from tests.support.generated_records import BAD_VALUES, mutated
from tests.support.hostile_posts import hostile_posts
from tests.support.post_readings import check

FOLDER = Path(__file__).parents[1] / "golden" / "presets"
DOCUMENTS = {
    preset: [
        case["document"] for case in json.loads((FOLDER / f"{preset}.json").read_text("utf-8"))
    ]
    for preset in PRESETS
}
READERS = {preset: PostReader(load_field_map(preset)) for preset in PRESETS}
ODD_STRINGS = (
    "", "&amp;", "&lt;b&gt; &#39;x&#x41; R&D", "&copy;", "&#0;", "&#x80;", "&amp",
    "a & b &; &#; &#x;", "&#128512;&nbsp;&quot;&apos;", "&#99999999;",
    "<p>one</p><p>two<br>three</p>", "<a href='x'>",
    "<a href=\"https://a.example/?x=1&amp;y=2\" class=m>l</a><a\thref = https://b.example >",
    "<A HREF=''><a hrefx=1 href=y>", "a<b and b>c </p", "<<p>>\n\n</p>\n", "<pre/>x</blockquote >",
    "<a\u00a0href=x>", "<a href='\u00e9'>", "Wed Oct 10 20:19:24 +0000 2018",
    "Wed Okt 10 20:19:24 +0000 2018", "Thu Feb 30 20:19:24 +0000 2018",
    "2021-01-07T06:13:20.5+01:30", "2016-12-31T23:59:60Z", "1610000000000", "1610000000", "-1",
    "0", "\u0663", "1" * 19, "3l3qo2vutsw2b", "3l3qo2vutsw2", "zzzzzzzzzzzzz",
    "bafkrei" + "a" * 52, "bafkreI" + "7" * 52, "bafkrei" + "a" * 51, "b" + "=" * 58,
    "Bafkrei" + "a" * 52, '{"id":"9"}', " {}", "{", "\0", "x",
)  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_golden_documents(preset: str) -> None:
    """Every accepted one is fast, but for what needs Python's tables or is odd on purpose."""
    slow = []
    for document in DOCUMENTS[preset]:
        value = json.dumps(document, ensure_ascii=False).encode()
        fast = check(value, READERS[preset])
        if not fast and isinstance(canonicalize(value, READERS[preset].field_map), Canonical):
            slow.append(fields_of(READERS[preset], value))
    assert len(slow) <= 1 + len(DOCUMENTS[preset]) // 6, slow


@pytest.mark.parametrize("preset", PRESETS)
def test_mutations(preset: str) -> None:
    rng = random.Random(preset)
    fast = 0
    for _ in range(1_500):
        document = copy.deepcopy(rng.choice(DOCUMENTS[preset]))
        for _ in range(rng.choice((1, 1, 2, 4))):
            _mutate(rng, document)
        try:
            value = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
        except UnicodeEncodeError:
            continue
        if rng.random() < 0.2:
            value = mutated(rng, value)
        fast += check(value, READERS[preset])
    assert fast > 150


def _mutate(rng: random.Random, document: Any) -> None:
    """Change one place of a document: another value, a list of it, a key less or twice."""
    places = list(_places(document))
    if not places:
        return
    holder, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        holder[key] = copy.deepcopy(rng.choice(BAD_VALUES))
    elif kind == 1:
        holder[key] = rng.choice(ODD_STRINGS)
    elif kind == 2:
        holder[key] = [holder[key], None, copy.deepcopy(holder[key])]
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        other, from_key = rng.choice(places)
        holder[key] = copy.deepcopy(other[from_key])
    else:
        holder[key] = rng.choice(([holder[key]] * rng.choice((2, 18, 70)), {str(key): holder[key]}))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = (
        list(value)
        if isinstance(value, dict)
        else range(len(value) if isinstance(value, list) else 0)
    )
    for key in keys:
        yield value, key
        yield from _places(value[key])


KEYS = st.sampled_from(["a", "b", "0", "1", "k", "abcdefgh", "abcdefghi", "abcdefghj"])
LEAVES = st.sampled_from([None, True, 0, -1, 7, 1.5, "", "v", "w", "7", "2021-01-07T06:13:20Z"])
TREES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=24,
)  # fmt: skip
STEPS = st.builds(
    lambda keys, brackets: "/" + "|".join(keys) + brackets,
    st.lists(KEYS, min_size=1, max_size=2),
    st.sampled_from(["", "", "[]", "[k=v]", "[a=]", "[k=/a]", "[b=/a/k]"]),
)
POINTERS = st.lists(STEPS, min_size=1, max_size=3).map("".join)
SOURCES = st.one_of(
    POINTERS,
    st.builds("where({}={}, {})".format, POINTERS, st.sampled_from(["v", "7", ""]), POINTERS),
    st.builds("where({}, epoch_s({}))".format, POINTERS, POINTERS),
    st.builds("at_uri({}, {}, {})".format, POINTERS, POINTERS, POINTERS),
    st.builds("count_revision({})".format, POINTERS),
    st.builds("html_text({}, {})".format, POINTERS, POINTERS),
    st.builds("readable_time({})".format, POINTERS),
)


@settings(max_examples=800)
@given(
    st.dictionaries(
        st.sampled_from(
            ["text", "urls", "hashtags", "media", "media.sha256", "lang", "repost_of", "revision",
             "created_at", "scores", "scores.tox", "client.device", "account.followers"]
        ),
        st.lists(SOURCES, max_size=3), max_size=5,
    ),
    st.lists(TREES, min_size=1, max_size=4),
    st.sampled_from(["osprey", "generic"]),
)  # fmt: skip
def test_any_map_over_any_document(
    overrides: dict[str, list[str]], trees: list[object], preset: str
) -> None:
    ids = {"id": ["/id"], "account.id": ["/account"]}
    field_map = load_field_map(preset, {**ids, "text": ["/a"], **overrides})
    try:
        reader = PostReader(field_map)
    except BuildError as refused:
        if refused.kind != "paths of a field map":
            raise
        reject()
    for tree in trees:
        document = {"id": "1", "account": "u", **(tree if isinstance(tree, dict) else {"a": tree})}
        check(orjson.dumps(document), reader)


def test_a_map_whose_alternatives_multiply_to_too_many_paths_is_refused() -> None:
    paths = ["/a/a/a|b[k=v]", "/a|b/0[k=v]/a|0[k=v]", "/a|0/a|0[k=v]"]
    media = {"media": ["/a|0/a|0[k=v]/a|0"], "media.sha256": paths}
    with pytest.raises(BuildError, match=f"paths of a field map: limit {MAX_NODES}, actual"):
        PostReader(load_field_map("osprey", media))


HOSTILE = list(hostile_posts())


@pytest.mark.parametrize(("name", "preset", "value"), HOSTILE, ids=[case[0] for case in HOSTILE])
@pytest.mark.timeout(60)  # catches what grows faster than the record: that takes many minutes
def test_hostile_records_cost_no_more_than_their_size(name: str, preset: str, value: bytes) -> None:
    """The reader holds no more than a few times the record, and reads it as the twin does."""
    assert len(value) <= MAX_RECORD_BYTES, name
    reader = READERS[preset]
    sums = reader.count(BatchView.from_records("t", 0, [None], [value], [0], [0]))
    assert sum(sums[outcome] for outcome in ("posts", *SLOW_CAUSES)) == 1
    assert reader.held_bytes <= 16 * MAX_RECORD_BYTES
    check(value, reader)
