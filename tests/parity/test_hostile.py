"""Hostile posts, each unit of attack at and beside every width of a block: as the twin says."""

from __future__ import annotations

import pytest

from fastpath import isa
from fastpath import text as compiled
from fastpath.hashes import ExactLists, canonical_url_of, names_in, urls_in
from fastpath.isa import LEVELS
from fastpath.keywords import Keywords
from fastpath.posts import PostReader, fields_of
from fastpath.reference import skeleton, squeezed
from fastpath.reference import text as twin
from fastpath.reference import urls as twin_urls
from fastpath.reference.keywords import Keywords as TwinKeywords
from fastpath.spec import HashList, KeywordList
from tests.support.hostile_units import MEMBERS, REPEATS, TEXTS, post_of
from tests.support.post_readings import CANONICAL, check

LISTS = (
    KeywordList(name="nested", patterns=("a", "aa", "aab", "b", "ab"), lanes=("raw",),
                boundary="none"),
    KeywordList(name="words", patterns=("pay", "paypal", "ab", "文"), boundary="word",
                lanes=("folded", "skeleton", "squeezed"), insist=True),
)  # fmt: skip
KEYWORDS, TWIN_KEYWORDS = Keywords(LISTS), TwinKeywords(LISTS)
READERS = [PostReader(None, level) for level in LEVELS[: LEVELS.index(isa.ISA) + 1]]
DOMAINS = ExactLists((HashList("domains", "domain", ("evil.com",)),), bytes(16))
VIEWS = {
    "view_raw": twin.view_raw,
    "view_folded": twin.view_folded,
    "normalised_text": twin.normalised_text,
    "view_skeleton": skeleton.view_skeleton,
    "view_squeezed": squeezed.view_squeezed,
}


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("unit", TEXTS)
def test_a_hostile_text_is_read_as_the_twin_reads_it(unit: str, repeats: int) -> None:
    text = TEXTS[unit] * repeats
    for name, view in VIEWS.items():
        assert getattr(compiled, name)(text) == view(text), name
    assert KEYWORDS.find(text) == TWIN_KEYWORDS.find(text)
    urls = twin_urls.find_urls(text)
    assert urls_in(text.encode()) == [url.encode() for url in urls]
    for url in urls[:4]:
        due = twin_urls.canonical_url(url, twin.fold_text)
        parts = (*(part.encode() for part in due[:4]), due.userinfo)
        assert canonical_url_of(url.encode()) == parts
    names, too_many = twin_urls.find_names(twin.view_folded(text), {"com"}, twin.fold_text)
    assert names_in(text.encode(), DOMAINS) == ([name.encode() for name in names], too_many)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("name", MEMBERS)
def test_a_hostile_member_is_read_as_the_twin_and_orjson_read_it(name: str, repeats: int) -> None:
    value = post_of(name, repeats)
    check(value)
    due = fields_of(CANONICAL, value)
    assert all(fields_of(reader, value) == due for reader in READERS), "on every level"


def test_there_are_two_thousand_cases_and_they_differ() -> None:
    texts = {unit * repeats for unit in TEXTS.values() for repeats in REPEATS}
    posts = {post_of(name, repeats) for name in MEMBERS for repeats in REPEATS}
    assert len(texts) + len(posts) >= 2_000
    outcomes = [fields_of(CANONICAL, post) for post in posts]
    assert sum(isinstance(outcome, dict) for outcome in outcomes) > 200
    assert len({outcome for outcome in outcomes if not isinstance(outcome, dict)}) > 1
