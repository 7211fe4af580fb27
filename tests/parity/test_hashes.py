"""Hashes equal published vectors and other implementations; URLs equal the twin's."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import BuildError, hashes
from fastpath.reference import hashes as twin
from fastpath.reference.text import fold_text
from fastpath.spec import HashList
from tests.support.generated_records import LINKS, URLS

# SipHash-2-4-128 of 00, 00 01, ... under the key 00 01 .. 0f (vectors.h of the reference
# implementation).
SIPHASH_VECTORS = {
    0: "a3817f04ba25a8e66df67214c7550293",
    1: "da87c1d86b99af44347659119b22fc45",
    2: "8177228da4a45dc7fca38bdef60affe4",
    7: "a1f1ebbed8dbc153c0b84aa61ff08239",
    8: "3b62a9ba6258f5610f83e264f31497b4",
    15: "5493e99933b0a8117e08ec0f97cfc3d9",
    63: "5150d1772f50834a503e069a973fbd7c",
}
KEY = bytes(range(16))


@pytest.mark.parametrize("size", SIPHASH_VECTORS)
def test_siphash_equals_the_published_vectors(size: int) -> None:
    data = bytes(range(size))
    assert twin.siphash128(KEY, data).hex() == SIPHASH_VECTORS[size]
    if size:  # the compiled one always hashes a tag byte
        assert hashes.siphash128_of(KEY, data).hex() == SIPHASH_VECTORS[size]


@settings(deadline=None)
@given(st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=300))
def test_siphash_equals_the_twin(key: bytes, data: bytes) -> None:
    assert hashes.siphash128_of(key, data) == twin.siphash128(key, data)


def test_blake2b_equals_hashlib_at_every_block_edge() -> None:
    data = random.Random(3).randbytes(1_100)
    for size in (*range(300), 383, 384, 385, 511, 512, 513, 1_100):
        for key in (b"", b"k", bytes(64)):
            for digest_size in (1, 16, 20, 64):
                due = hashlib.blake2b(data[:size], digest_size=digest_size, key=key).digest()
                assert hashes.blake2b_of(data[:size], digest_size, key) == due


def test_blake2b_of_abc() -> None:
    """RFC 7693, appendix A."""
    assert hashes.blake2b_of(b"abc", 64).hex().startswith("ba80a53f981c4d0d6a2797b69f12f6e9")


fragments = st.lists(
    st.sampled_from((
        *URLS, *LINKS, "http://", "HTTPS://", "/", "\\", "?", "#", "@", ":", ":80", ":443", ".",
        "..", "/../", "/./", "%2e", "%41", "%zz", "%", "%C3%A9", "é", "É", "ß", "．", "。",
        "\u200b", "a", "B", "hxxp://", "HXXPS://", "[.]", "(dot)", "{.)", "[DOT]", "[.",
        "ü", "漢字",
        "0x7f", "017", "127", "256", "4294967295", "4294967296", "0x", "08", "ü" * 64, "xn--",
        " ", "\u00a0", "\u2019", "»", "'", "`", "<", ">", ")", "]", "}",
        "!", ",", "\0", "0", "[::1]",
    )),
    max_size=12,
).map("".join)  # fmt: skip
any_text = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=3_000, deadline=None)
@given(fragments | any_text)
def test_urls_found_equal_the_twins(text: str) -> None:
    due = [url.encode() for url in twin.find_urls(text)]
    assert hashes.urls_in(text.encode()) == due


@settings(max_examples=4_000, deadline=None)
@given(fragments | any_text | fragments.map("http://".__add__))
def test_canonical_urls_equal_the_twins(url: str) -> None:
    canonical, host = twin.canonical_url(url, fold_text)
    assert hashes.canonical_url_of(url.encode()) == (canonical.encode(), host.encode())


@settings(max_examples=1_000, deadline=None)
@given(fragments.map("https://h.example/".__add__))
def test_canonical_form_keeps_its_host(url: str) -> None:
    """Canonicalising twice keeps the host: decoded escapes never become delimiters."""
    canonical, host = twin.canonical_url(url, fold_text)
    if host and host.isascii():
        assert twin.canonical_url(canonical, fold_text)[1] == host


CANONICAL = {
    "HTTP://User:pw@EXAMPLE.com:80": ("http://example.com/", "example.com"),
    "https://example.com:443/?": ("https://example.com/?", "example.com"),
    "https://example.com:80/": ("https://example.com:80/", "example.com"),
    "http://example.com/a/./b/../../c": ("http://example.com/c", "example.com"),
    "http://example.com/../../": ("http://example.com/", "example.com"),
    "http://example.com/%7euser/%2f%c3": ("http://example.com/~user/%2F%C3", "example.com"),
    "http://example.com/x#y?z": ("http://example.com/x", "example.com"),
    "http://example.com?x=/../": ("http://example.com/?x=/../", "example.com"),
    "http://good.example\\@evil.example": ("http://good.example/@evil.example", "good.example"),
    "http://good.example@evil.example/": ("http://evil.example/", "evil.example"),
    "http://ＥＶＩＬ.example": ("http://evil.example/", "evil.example"),
    "http://BÜCHER.example": ("http://xn--bcher-kva.example/", "xn--bcher-kva.example"),
    "http://例え。テスト/x": ("http://xn--r8jz45g.xn--zckzah/x", "xn--r8jz45g.xn--zckzah"),
    "hXXps://evil[.]example(dot)com{.}": ("https://evil.example.com./", "evil.example.com."),
    "http://" + "ü" * 64 + ".de": ("http://" + "ü" * 64 + ".de/", "ü" * 64 + ".de"),
    "http://3627734734/": ("http://216.58.214.206/", "216.58.214.206"),
    "http://0x7F.1": ("http://127.0.0.1/", "127.0.0.1"),
    "http://0177.0.0.1.:80/": ("http://127.0.0.1/", "127.0.0.1"),
    "http://１２７。0。0。1": ("http://127.0.0.1/", "127.0.0.1"),
    "http://256.1.1.1": ("http://256.1.1.1/", "256.1.1.1"),
    "http://1.2.3.4.5": ("http://1.2.3.4.5/", "1.2.3.4.5"),
    "http://08": ("http://08/", "08"),
    "http://99999999999999999999": ("http://99999999999999999999/", "99999999999999999999"),
    "http://h:000080/": ("http://h/", "h"),
    "http://h:/": ("http://h/", "h"),
    "http://h:8a/": ("http://h:8a/", "h:8a"),
    "http:///path": ("http:///path", ""),
    " mailto:x@y ": ("mailto:x@y", ""),
    "": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize("url", CANONICAL)
def test_canonical_form(url: str) -> None:
    assert twin.canonical_url(url, fold_text) == CANONICAL[url]
    assert hashes.canonical_url_of(url.encode()) == tuple(p.encode() for p in CANONICAL[url])


FOUND = {
    "see http://a.b/c, then": ["http://a.b/c"],
    "(https://a.b/c_(d)).": ["https://a.b/c_(d"],
    'href="http://a.b">x</a>': ["http://a.b"],
    "http:// http://. https://": [],
    "HTTPS://A.B!?": ["HTTPS://A.B"],
    "http://a\u3000http://b": ["http://a", "http://b"],
    "http://a/http://b": ["http://a/http://b"],
    "ſhttp://a httpſ://b": ["http://a"],
    "see hxxps://a[.]b/c), HxXp://d": ["hxxps://a[.]b/c", "HxXp://d"],
    "hxttp://a httxp://b": [],
}


@pytest.mark.parametrize("text", FOUND)
def test_urls_in_text(text: str) -> None:
    assert twin.find_urls(text) == FOUND[text]
    assert hashes.urls_in(text.encode()) == [url.encode() for url in FOUND[text]]


def test_domains_above_a_host() -> None:
    assert twin.parent_domains("a.b.evil.example.", 99) == [
        "a.b.evil.example", "b.evil.example", "evil.example", "example",
    ]  # fmt: skip
    assert twin.parent_domains("a.b.evil.example", 12) == ["evil.example", "example"]


def test_url_search_is_linear_in_hostile_text() -> None:
    """A megabyte of starts, of ends and of dot segments each takes far less than a second."""
    for text in (b"http://" * 150_000, b"://" * 350_000, b"http://a" + b"." * 1_000_000):
        hashes.urls_in(text)
    hashes.canonical_url_of(b"http://h/" + b"a/../" * 200_000)
    hashes.canonical_url_of(b"http://h/" + b"a/" * 200_000 + b"../" * 200_000)


def test_lists_need_a_whole_key() -> None:
    with pytest.raises(BuildError, match="identity key"):
        hashes.ExactLists((HashList("x", "url", ("http://a",)),), b"short")
