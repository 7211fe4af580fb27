"""What stands in a list file and what comes out of it."""

from __future__ import annotations

import pytest

from fastpath.text import fold_text
from worker.policy.lists import ListKind, read_list

DIGEST = "0123456789abcdef" * 4


def entries(content: str, kind: ListKind = "keyword", name: str = "lists/a.txt") -> tuple[str, ...]:
    found = read_list(name, content.encode(), kind, fold_text if kind == "keyword" else None)
    assert found.errors == ()
    return found.entries


def test_comments_blank_lines_and_white_space_are_no_entries() -> None:
    assert entries("# head\n\n  storm it \n\t# indented\nburn it\n") == ("storm it", "burn it")


def test_a_keyword_may_begin_with_a_hash_or_a_backslash() -> None:
    assert entries("\\#stopit\n\\\\n\nwe \\# go\n") == ("#stopit", "\\n", "we \\# go")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_any_line_end_and_a_byte_order_mark_are_accepted(newline: str) -> None:
    assert entries("\ufeffone" + newline + "two") == ("one", "two")


def test_keywords_stay_as_written_and_repeat_by_their_folded_form() -> None:
    content = "Straße\nSTRASSE\nstrasse\n\uff53top\nstop\n"
    found = read_list("a.txt", content.encode(), "keyword", fold_text)
    assert found.entries == ("Straße", "\uff53top")
    assert [(each.line, each.message) for each in found.warnings] == [
        (2, "same as line 1"),
        (3, "same as line 1"),
        (5, "same as line 4"),
    ]


def test_digests_come_out_in_lower_case() -> None:
    assert entries(DIGEST.upper() + "\n", "sha256") == (DIGEST,)
    assert entries(DIGEST[:32].upper(), "md5") == (DIGEST[:32],)


def test_csv_takes_the_column_named_like_the_kind() -> None:
    content = f'# exported\nsource,SHA256 ,note\n"desk, night",{DIGEST},"two\nlines"\n\n'
    content += f"desk,{DIGEST[::-1]},x\n"
    assert entries(content, "sha256", "a.csv") == (DIGEST, DIGEST[::-1])


@pytest.mark.parametrize(
    "domain",
    [
        "evil.example",
        "EVIL.example.",
        "xn--e1afmkfd.xn--p1ai",
        "пример.рф",
        "a_b.example",
        "1.2.3.4",
    ],
)
def test_domains_that_are_fine(domain: str) -> None:
    assert entries(domain, "domain") == (domain,)


@pytest.mark.parametrize(
    ("kind", "entry", "hint"),
    [
        ("domain", "https://user@evil.example:80/x", "write `evil.example`"),
        ("domain", "evil.example:80", "write `evil.example`"),
        ("domain", ".evil.example", "write `evil.example`"),
        ("domain", "-evil.example", "labels of"),
        ("domain", "evil..example", "labels of"),
        ("domain", "x" * 64 + ".example", "labels of"),
        ("domain", "localhost", "whole domain"),
        ("url", "ftp://evil.example/", "one URL"),
        ("url", "https://", "one URL"),
        ("url", "https://[broken", "one URL"),
        ("md5", DIGEST, "looks like sha256"),
        ("md5", "z" * 32, "one digest"),
        ("account", "x" * 257, "one id"),
        ("keyword", "x" * 1_025, "shorten"),
        ("keyword", "\ufdfa" * 60, "shorten"),
        ("keyword", "\u200b", "remove the line"),
    ],
)
def test_entries_that_are_refused(kind: ListKind, entry: str, hint: str) -> None:
    content = f"# first line\n  {entry}\n".encode()
    found = read_list("a.txt", content, kind, fold_text if kind == "keyword" else None)
    assert found.entries == ()
    (error,) = found.errors
    assert (error.line, error.column) == (2, 3)
    assert hint in error.hint


def test_bytes_that_are_not_utf8_name_their_line() -> None:
    found = read_list("a.txt", b"one\ntwo\n\xff\n", "keyword")
    assert [(each.line, each.message) for each in found.errors] == [(3, "byte 8 is not UTF-8")]
