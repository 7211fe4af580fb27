"""Fuzz URLs, hosts and SimHashes of text against the twin: `python -m tests.fuzz urls`.

The input is text (what is not UTF-8 is replaced, as a record with it is refused before). URLs that
are found, their canonical forms and hosts, and the SimHash must be the twin's; a canonical form
that is canonicalised again keeps its host. Names without a scheme are the twin's too.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath.hashes import ExactLists, canonical_url_of, names_in, urls_in
from fastpath.reference import near
from fastpath.reference import urls as twin
from fastpath.reference.text import fold_text, view_folded
from fastpath.simhash import gram_text_of, simhash_of
from fastpath.spec import HashList

LISTS = ExactLists((HashList("domains", "domain", ("evil.com",)),), bytes(16))


def check_url(url: str) -> None:
    """Compare one canonical form."""
    due = twin.canonical_url(url, fold_text)
    parts = (*(part.encode() for part in due[:4]), due.userinfo)
    assert canonical_url_of(url.encode()) == parts, url


def test_one(data: bytes) -> None:
    """Read one input; raises AssertionError where two readings differ."""
    text = data.decode("utf-8", "replace")
    found = twin.find_urls(text)
    assert urls_in(text.encode()) == [url.encode() for url in found]
    for url in (*found, text, f"http://{text}", f"hxxps://a@{text[:70]}.b:443/{text}"):
        check_url(url)
    names, too_many = twin.find_names(view_folded(text), {"com"}, fold_text)
    assert names_in(text.encode(), LISTS) == ([name.encode() for name in names], too_many)
    lane = fold_text(text)
    assert gram_text_of(text) == near.gram_text(lane)
    assert simhash_of(text) == near.simhash(lane)


def seeds() -> Iterator[bytes]:
    """Yield inputs to begin with."""
    for text in (
        "see hxxps://evil[.]example(dot)com/a/../b?c#d, and HTTP://0x7f.1:80/%7e",
        "http://bücher.例え。テスト/%C3%A9 https://user:pw@h:0443//./x\\y www.a.example @me 123",
        "http://[::1]:80/ http://1.2.3.4.5 http://08 http://xn--a.b {.} [dot] (.]",
        "evil . com, w[.]evil (dot) com; evil dot com: https://a@h/?u=https%3A%2F%2Fb%3Fgclid#",
        "dear friends, the hall is open tonight, bring everyone you know " * 5,
    ):
        yield text.encode()
