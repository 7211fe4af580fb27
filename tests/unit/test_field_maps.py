"""Maps of one's own: what they can say, and what is refused when they are loaded."""

from __future__ import annotations

import html
import html.entities
from typing import Any

import orjson
import pytest

from fastpath.errors import BuildError
from fastpath.field_maps import load_field_map
from fastpath.pointers import parse_pointer
from fastpath.schema_functions import decode_entities, html_links, html_text
from fastpath.slow_path import Canonical, Rejected, canonicalize


def mapped(document: dict[str, Any], preset: str = "generic", **fields: list[str]) -> Any:
    overrides = {name.replace("__", "."): sources for name, sources in fields.items()}
    result = canonicalize(orjson.dumps(document), load_field_map(preset, overrides))
    return result.post if isinstance(result, Canonical) else result


def test_canonical_posts_need_no_map() -> None:
    assert load_field_map("generic") is None
    assert load_field_map("generic", {}) is None


def test_overrides_stand_in_place_of_the_preset() -> None:
    document = {"id": "1", "author": {"key": 7}, "body": "hi", "text": "other"}
    assert mapped(document, account__id=["/author/key"], text=["/body"]) == {
        "id": "1",
        "op": "create",
        "revision": 0,
        "account": {"id": "7"},
        "text": "hi",
    }


def test_single_values_first_present_wins() -> None:
    base = {"id": "1", "account": {"id": "a"}}
    assert mapped({**base, "b": "B"}, text=["/a", "/b"])["text"] == "B"
    assert mapped({**base, "a": "", "b": "B"}, text=["/a", "/b"])["text"] == ""
    assert mapped({**base, "a": None, "b": "B"}, text=["/a", "/b"])["text"] == "B"


def test_lists_gather_from_every_source_each_value_once() -> None:
    base = {"id": "1", "account": {"id": "a"}, "card": "u2", "more": ["u1", "u3", None]}
    assert mapped(base, urls=["/card", "/more[]", "/more"])["urls"] == ["u2", "u1", "u3"]


def test_scores_by_name_and_media_relative_to_the_medium() -> None:
    document = {
        "id": "1",
        "account": {"id": "a"},
        "labels": [{"name": "toxic", "value": 0.5}, {"name": "spam", "value": 1}],
        "files": [{"hash": "0" * 64}, {"hash": None}, "bare"],
    }
    post = mapped(
        document,
        scores=[],
        scores__spam=["/labels[name=spam]/value"],
        media=["/files[]"],
        media__sha256=["/hash"],
    )
    assert post["scores"] == {"spam": 1.0}
    assert post["media"] == [{"sha256": "0" * 64}, {}, {}]


def test_operations_by_condition() -> None:
    fields = {"op": ["delete(/event=removed)", "edit(/event=changed)"], "revision": ["/version"]}
    base = {"id": "1", "account": {"id": "a"}, "text": "x", "version": 3}
    assert mapped({**base, "event": "removed"}, **fields)["op"] == "delete"
    edited = mapped({**base, "event": "changed"}, **fields)
    assert (edited["op"], edited["revision"]) == ("edit", 3)
    assert mapped({**base, "event": "made"}, **fields)["op"] == "create"


def test_times_in_other_units() -> None:
    base = {"id": "1", "account": {"id": "a"}, "text": "x"}
    for source, value in [
        ("epoch_s(/at)", 1_610_148_064),
        ("epoch_ms(/at)", "1610148064000"),
        ("epoch_us(/at)", 1_610_148_064_000_999),
    ]:
        assert mapped({**base, "at": value}, created_at=[source])["created_at"] == 1_610_148_064_000
    for value in (True, "12:00", 1.5, [1]):
        refused = mapped({**base, "at": value}, created_at=["epoch_s(/at)"])
        assert isinstance(refused, Rejected)
        assert refused.reason == "field_type"


def test_missing_field_names_where_it_was_looked_for() -> None:
    refused = mapped({"id": "1", "text": "x"}, account__id=["/user/id", "/who"])
    assert refused == Rejected("field_missing", "account.id is required (looked at /user/id, /who)")


@pytest.mark.parametrize(
    ("pointer", "document", "found"),
    [
        ("/a/b", {"a": {"b": 1}}, [1]),
        ("/a/b", {"a": 5}, []),
        ("/a~1b/~0", {"a/b": {"~": 1}}, [1]),
        ("/a/1", {"a": [5, 6]}, [6]),
        ("/a/9", {"a": [5, 6]}, []),
        ("/a/-1", {"a": [5, 6]}, []),
        ("/a[]", {"a": [1, None, 2]}, [1, 2]),
        ("/a[]", {"a": {"b": 1}}, []),
        ("/a[]/b[]/c", {"a": [{"b": [{"c": 1}, {}]}, {"b": [{"c": 2}]}]}, [1, 2]),
        ("/a[k=v]/c", {"a": [{"k": "v", "c": 1}, {"k": "w", "c": 2}, 3]}, [1]),
        ("/a[k=/me]/c", {"me": 7, "a": [{"k": 8, "c": 1}, {"k": 7, "c": 2}]}, [2]),
        ("/a[k=/x/y]/c", {"a": [{"c": 1}]}, []),
        ("/x|y|z", {"y": None, "z": 3}, [3]),
        ("/", {"": 1}, [1]),
    ],
)
def test_pointers(pointer: str, document: dict[str, Any], found: list[Any]) -> None:
    assert parse_pointer(pointer).find(document, document) == found


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"user.id": ["/u"]}, "'user.id'"),
        ({"acount.id": ["/u"]}, "did you mean account.id?"),
        ({"scores.": ["/u"]}, "'scores.'"),
        ({"text": "/body"}, "field map sources of text"),
        ({"text": [5]}, "field map source of text"),
        ({"text": ["body"]}, "'body'"),
        ({"text": [""]}, "''"),
        ({"text": ["/a[b"]}, "'/a[b'"),
        ({"text": ["/a]"]}, "'/a]'"),
        ({"text": ["html_txt(/a)"]}, "did you mean html_text?"),
        ({"text": ["delete(/a)"]}, "'delete'"),
        ({"text": ["at_uri(/a)"]}, "3 to 3 arguments of at_uri"),
        ({"text": ["html_text(a)"]}, "'a'"),
        ({"text": ["where(/a=1)"]}, "2 to 2 arguments of where"),
    ],
)
def test_refused_maps_name_what_is_wrong(overrides: dict[str, Any], named: str) -> None:
    with pytest.raises(BuildError) as caught:
        load_field_map("generic", overrides)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "flagged"),
    [
        ('{"id":"1","account":{"id":"a"},"content":"x"}', False),
        ('{"id":"1","account":{"id":"a","id":"b"},"content":"x"}', True),
        ('{"id":"1","account":{"id":"a"},"content":"x","emojis":1,"emojis":2}', False),
    ],
)
def test_repeated_keys_inside_json_text(payload: str, flagged: bool) -> None:
    result = canonicalize(orjson.dumps({"payload": payload}), load_field_map("mastodon"))
    assert isinstance(result, Canonical)
    assert result.duplicate_key is flagged


def test_repeated_keys_around_json_text() -> None:
    post = '"{\\"id\\":\\"1\\",\\"account\\":{\\"id\\":\\"a\\"},\\"content\\":\\"x\\"}"'
    event = f'{{"payload":{post},"payload":{post}}}'.encode()
    result = canonicalize(event, load_field_map("mastodon"))
    assert isinstance(result, Canonical)
    assert result.duplicate_key


def test_unknown_preset() -> None:
    with pytest.raises(BuildError, match=r"did you mean mastodon\?"):
        load_field_map("mastadon")


@pytest.mark.parametrize(
    "markup",
    [
        "<" * 200_000,
        "<" + "a" * 200_000,
        "<a" + " b" * 100_000,
        "<a" + "/" * 200_000,
        ("<" + "a" * 400) * 500,
        "<a " * 60_000,
        "<a href='" * 20_000,
        "<a href=\"'<a href='\"" * 10_000,
        "<!--" * 50_000,
        "&" * 200_000,
        "&#" + "9" * 200_000 + ";",
        "&#" + "0" * 200_000 + "65;",
        "&#x" + "f" * 200_000 + ";",
        "<script>" * 25_000,
        "<a\thref=" + "\t" * 200_000 + "x",
        "<a" + " href" * 40_000 + ">",
        "<a" + "\t" * 200_000 + ">",
    ],
)
@pytest.mark.timeout(60)  # catches what grows faster than the markup: that takes minutes
def test_hostile_markup_costs_linear_time(markup: str) -> None:
    html_text([[markup]])
    html_links([[markup]])


def test_entities() -> None:
    assert decode_entities("&lt;&amp;lt;&#65;&#x41;&eacute;&notin;&nope;&") == "<&lt;AAé∉&nope;&"
    assert decode_entities("&#xD800;&#0;&#1114112;") == "\ufffd\ufffd\ufffd"


def test_references_by_number_are_those_of_html() -> None:
    numbers = [*range(0x3000), *range(0xD700, 0x10300), *range(0x1FF00, 0x20100)]
    numbers += [0x10FFFE, 0x10FFFF, 0x110000, 9_999_999]
    text = " ".join(f"&#{number};&#x{number:x}" for number in numbers)
    assert decode_entities(text) == html.unescape(text)


def test_references_by_name_are_those_of_html() -> None:
    forms = (name + rest for name in html.entities.html5 for rest in ("", ";", "x", "x;", "=", "&"))
    text = " ".join(f"&{form}" for form in forms)
    assert decode_entities(text) == html.unescape(text)
    assert decode_entities(10 * text) == html.unescape(10 * text)
