"""URLs, hosts and names equal the twin's and the cases of published standards."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import hashes
from fastpath.reference import urls as twin
from fastpath.reference.hashes import ExactLists
from fastpath.reference.text import fold_text, view_folded
from fastpath.spec import MAX_NAMES, MAX_WRAPS, HashList
from fastpath.url_data import generate, suffixes, tracking
from tests.support.generated_records import LINKS, URLS

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


@settings(max_examples=1_000)
@given(fragments | any_text)
def test_urls_found_equal_the_twins(text: str) -> None:
    due = [url.encode() for url in twin.find_urls(text)]
    assert hashes.urls_in(text.encode()) == due


def assert_equal_forms(url: str) -> twin.Url:
    due = twin.canonical_url(url, fold_text)
    assert hashes.canonical_url_of(url.encode()) == (
        *(part.encode() for part in due[:4]),
        due.userinfo,
    )
    return due


@settings(max_examples=1_500)
@given(fragments | any_text | fragments.map("http://".__add__))
def test_canonical_urls_equal_the_twins(url: str) -> None:
    assert_equal_forms(url)


@settings(max_examples=500)
@given(fragments.map("https://h.example/".__add__))
def test_canonical_form_keeps_its_host(url: str) -> None:
    """Canonicalising twice keeps the host: decoded escapes never become delimiters."""
    canonical, host, *_ = twin.canonical_url(url, fold_text)
    if host and host.isascii():
        assert twin.canonical_url(canonical, fold_text).host == host


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
    assert assert_equal_forms(url)[:2] == CANONICAL[url]


# RFC 3986: the cases of sections 5.2.4, 6.2.2 and 6.2.3 that have an authority.
RFC_3986 = {
    "HTTP://www.EXAMPLE.com/": "http://www.example.com/",
    "http://a/b/c/./../../g": "http://a/g",
    "http://a/mid/content=5/../6": "http://a/mid/6",
    "http://a/b/c/%7Bfoo%7D": "http://a/b/c/%7Bfoo%7D",
    "hTTp://a/./b/../b/%63/%7bfoo%7d": "http://a/b/c/%7Bfoo%7D",
    "http://example.com": "http://example.com/",
    "http://example.com/": "http://example.com/",
    "http://example.com:/": "http://example.com/",
    "http://example.com:80/": "http://example.com/",
    "http://a/b/%2e%2E/%2e": "http://a/",
}
# URL Standard, sections 3.5 and 4.4 and its examples: hosts that are read as an address, user
# names, backslashes, default ports. What it refuses stays as it is written, and is left out here.
URL_STANDARD = {
    "https://EXAMPLE.com/../x": "https://example.com/x",
    "https://example.com:443": "https://example.com/",
    "http://example.com:8080/": "http://example.com:8080/",
    "https://user:password@example.com/": "https://example.com/",
    "https://example.com\\path\\..\\b": "https://example.com/b",
    "https://0x.0x.0": "https://0.0.0.0/",
    "http://192.0x00A80001": "http://192.168.0.1/",
    "http://192.168.257": "http://192.168.1.1/",
    "http://0300.168.0.0xF0": "http://192.168.0.240/",
    "https://ex%41mple.com/": "https://example.com/",
    "https://faß.example/": "https://fass.example/",
    "http://日本語。com/": "http://xn--wgv71a119e.com/",
    "http://Ｇｏ.com": "http://go.com/",
    "http://www.foo。bar.com": "http://www.foo.bar.com/",
    "http://foo.com/%7Ea/b%2Fc": "http://foo.com/~a/b%2Fc",
    "http://h/?a#b?c": "http://h/?a",
}


@pytest.mark.parametrize("url", {**RFC_3986, **URL_STANDARD})
def test_cases_of_the_standards(url: str) -> None:
    assert assert_equal_forms(url).canonical == {**RFC_3986, **URL_STANDARD}[url]


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://h/?utm_source=a", "https://h/"),
        ("https://h/?a=1&UTM_Source=a&b=2&fbclid=x#c", "https://h/?a=1&b=2"),
        ("https://h/?%75tm_source=a&a", "https://h/?a"),
        ("https://h/?utm=1&gclid2=2&xgclid", "https://h/?utm=1&gclid2=2&xgclid"),
        ("https://h/?&gclid", "https://h/?"),
        ("https://h/?", "https://h/?"),
        ("https://h/?a=utm_source=b&&", "https://h/?a=utm_source=b&&"),
    ],
)
def test_parameters_that_track_are_left_out(url: str, canonical: str) -> None:
    assert assert_equal_forms(url).canonical == canonical


def test_every_tracking_name_is_left_out_whole_and_no_longer_one() -> None:
    for name in (*tracking.NAMES, *(prefix + "x" for prefix in tracking.PREFIXES)):
        assert assert_equal_forms(f"http://h/p?{name}=1").canonical == "http://h/p"
        assert assert_equal_forms(f"http://h/p?{name}").canonical == "http://h/p"
    for name in tracking.NAMES:
        assert assert_equal_forms(f"http://h/p?{name}s=1").canonical == f"http://h/p?{name}s=1"
        if not name.startswith("_"):
            url = f"http://h/p?_{name}=1"
            assert (assert_equal_forms(url).canonical == url) is ("_" + name not in tracking.NAMES)


def test_only_a_user_before_the_host_is_flagged() -> None:
    for url in ("https://bank.example@evil.example/", "http://@h", "http://a:b@h:1/"):
        assert assert_equal_forms(url).userinfo
    for url in ("https://h/@user", "https://h?@", "https://h#@", "mailto:a@b", "http://a@"):
        assert not assert_equal_forms(url).userinfo


WRAPPED = {
    "https://www.google.com/url?sa=t&q=https%3A%2F%2Fevil.example%2Fa%3Fb%3D1&usg=x":
        ["https://evil.example/a?b=1"],
    "https://l.facebook.com/l.php?u=HXXPS%3a%2F%2Fevil.example%2F&h=AT0":
        ["https://evil.example/"],
    "https://href.example/?https://evil.example/?a=b&c=d": ["https://evil.example/?a=b&c=d"],
    "https://a.example/?u=https%3A%2F%2Fb.example%2F%3Fu%3Dhttp%253A%252F%252Fevil.example":
        ["https://b.example/?u=http%3A%2F%2Fevil.example", "http://evil.example/"],
    "https://a.example/?x=1&u=http://evil.example?y=2&z=3": ["http://evil.example/?y=2"],
    "https://a.example/?u=http%3A%2F%2F": [],
    "https://a.example/?u=ftp://evil.example&v=%zz": [],
    "https://a.example/http://evil.example/": [],
    "https://a.example/?u=http%3A%2F%2Fb.example%2F%C3%A9%0a": ["http://b.example/%C3%A9"],
}  # fmt: skip


@pytest.mark.parametrize("url", WRAPPED)
def test_redirectors_are_unwrapped(url: str) -> None:
    steps, more = twin.wrapped_urls(url, fold_text)
    assert ([step.canonical for step in steps[1:]], more) == (WRAPPED[url], False)
    for step in (url, *(step.target for step in steps)):
        assert_equal_forms(step)


def test_wraps_inside_wraps_end() -> None:
    url = "http://h/?" * 40
    steps, more = twin.wrapped_urls(url, fold_text)
    assert len(steps) == 1 + MAX_WRAPS
    assert more
    assert not twin.wrapped_urls("http://h/?" * (MAX_WRAPS + 1), fold_text)[1]


@settings(max_examples=600)
@given(st.lists(st.sampled_from((
    "?", "&", "=", "u=", "utm_", "utm_source", "gclid", "http://", "https%3A%2F%2F", "%68ttp://",
    "%3a%2f%2f", "%253A", "h", "a.b", "%", "%0", "%80", "é", "#", "hxxp:", "//", "http",
)), max_size=14).map("".join))  # fmt: skip
def test_queries_equal_the_twins(query: str) -> None:
    for step in twin.wrapped_urls("http://h/?" + query, fold_text)[0]:
        assert_equal_forms(step.target)
    assert_equal_forms("http://h/?" + query)


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


DOMAINS = HashList(
    "domains", "domain", ("evil.com", "evil.co.uk", "xn--p1acf.xn--p1ai", "evil.example", "co.uk")
)


TWIN_LISTS = ExactLists([DOMAINS], fold_text)
LISTS = hashes.ExactLists([DOMAINS], bytes(16))


def names_in(text: str) -> list[str]:
    due, too_many = twin.find_names(view_folded(text), TWIN_LISTS.last_labels, fold_text)
    compiled = hashes.names_in(text.encode(), LISTS)
    assert compiled == ([name.encode() for name in due], too_many)
    return due


NAMED = {
    "go to evil.com now": ["evil.com"],
    "EVIL.COM, then": ["evil.com"],
    "(www.evil.com/x?y)": ["www.evil.com"],
    "evil.com.": ["evil.com"],
    "evil[.]com evil(.)com evil{dot}com": ["evil.com"] * 3,
    "evil [.] com, evil [DOT] com, evil (dot)com": ["evil.com"] * 3,
    "evil . com or evil dot com": ["evil.com", "evil.com"],
    "w . evil dot co . uk": ["w.evil.co.uk"],
    "e\u200bvil。com ｅｖｉｌ．ｃｏｍ evil｡com": ["evil.com"] * 3,
    "👉evil.com👈": ["evil.com"],
    "hxxp://evil . com/x": ["evil.com"],
    "ftp://evil.com": ["evil.com"],
    "кто.рф": ["xn--j1ail.xn--p1ai"],
    "例え.com ตัวอย่าง。com": ["xn--r8jz45g.com", "xn--72c1a1bt4awk9o.com"],
    "漢.evil.com evil.com。": ["xn--hex.evil.com", "evil.com"],
    "evil.com:80 evil.com:": ["evil.com", "evil.com"],
    "a dot dot com": ["dot.com"],
    "dot dot dot . com": ["dot.dot.com"],
    "evil.example evil.org": [],  # no registry sells the first; no list holds such as the second
    "evil. com evil .com evil..com evil  .  com": [],
    "I like dot com. The end": ["like.com"],  # the list decides; it holds no such name
    "user@evil.com evil.com@host": [],
    "https://a.example/evil.com?u=evil.com&evil.com #evil.com": [],
    "evil.com.example evil.com[.]example": [],
    "evil.comet com": [],
    ".com dot com": ["com.com"],
    ".com com dot": [],
    "": [],
}


@pytest.mark.parametrize("text", NAMED)
def test_names_without_a_scheme(text: str) -> None:
    assert names_in(text) == NAMED[text]


pieces = st.lists(
    st.sampled_from((
        "evil", "com", "uk", "co", "рф", ".", "。", "｡", " ", "dot", "[.]", "(dot)", "[", "]", "(",
        ")", "@", "/", "://", "=", "-", "_", "é", "\u0301", "\u200b", "a" * 120, "\n", "漢",
        " . ", " dot ", "com ", "#", "👉",
    )),
    max_size=16,
).map("".join)  # fmt: skip


@settings(max_examples=1_500)
@given(pieces | any_text)
def test_names_equal_the_twins(text: str) -> None:
    names_in(text)


def test_places_of_names_end_at_a_cap() -> None:
    for text in ("a.com " * (MAX_NAMES + 1), "x/a.com " * (MAX_NAMES + 1), "a . com " * 300):
        names_in(text)
    assert hashes.names_in(b"a.com " * MAX_NAMES, LISTS) == ([b"a.com"] * MAX_NAMES, False)
    assert hashes.names_in(b"a.com " * (MAX_NAMES + 1), LISTS)[1]


def test_a_name_longer_than_any_keeps_its_end() -> None:
    name = ".".join(["label"] * 60) + ".evil.com"
    (found,) = names_in("x/" + name)
    assert len(found) <= twin.MAX_NAME
    assert name.endswith(found)
    assert names_in("a" * 300 + ".com") == ["com"]


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


CASES = [
    line.split()
    for line in (Path(__file__).parents[1] / "golden" / "registered_domains.txt")
    .read_text(encoding="utf-8")
    .splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("host", "due"), CASES, ids=[case[0] for case in CASES])
def test_registered_domains_are_the_published_ones(host: str, due: str) -> None:
    found = suffixes.registered_domain(twin.canonical_host(host, fold_text), private=True)
    assert found == ("" if due == "-" else twin.canonical_host(due, fold_text))


def test_the_sections_of_the_list_are_told_apart() -> None:
    assert suffixes.registered_domain("a.b.github.io") == "github.io"
    assert suffixes.registered_domain("a.b.github.io", private=True) == "b.github.io"
    assert suffixes.registered_domain("github.io", private=True) == ""
    assert suffixes.registered_domain("co.uk.") == ""
    assert [suffixes.is_known(host) for host in ("a.co.uk", "a.ck", "a.example")] == [1, 1, 0]


def test_the_table_is_made_from_a_published_list() -> None:
    published = (
        "// VERSION: 1\n// ===BEGIN ICANN DOMAINS===\n\n// uk : x\nco.uk\n*.ck\n!www.ck\n"
        "// ===END ICANN DOMAINS===\n// ===BEGIN PRIVATE DOMAINS===\n公司.cn  // x\n"
    )
    assert list(generate.table_of(published)) == [
        "# VERSION: 1", "[icann]", "co.uk", "*.ck", "!www.ck", "[private]", "xn--55qx5d.cn",
    ]  # fmt: skip


def test_a_public_suffix_in_a_list_matches_nothing() -> None:
    for host, entry in (
        ("a.evil.co.uk", 1), ("evil.co.uk", 1), ("fine.co.uk", None), ("co.uk", None)
    ):  # fmt: skip
        url = twin.canonical_url(f"http://{host}/", fold_text)
        assert TWIN_LISTS.find([], [], [url], []) == ([] if entry is None else [(0, entry)])
