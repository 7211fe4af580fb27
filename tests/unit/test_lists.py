"""What stands in a list file and what comes out of it."""

from __future__ import annotations

import random
from mmap import mmap
from pathlib import Path

import pytest

from fastpath.text import fold_text
from worker.policy import files
from worker.policy.files import BundleFiles
from worker.policy.lists import (
    MAX_LIST_WARNINGS,
    DigestEntries,
    ListKind,
    read_digests_in,
    read_list,
)

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


def large_list(tmp_path: Path, content: str, name: str = "a.txt") -> DigestEntries:
    """Read through the compiled core, as a list of a megabyte and more is."""
    (tmp_path / name).write_text(content)
    return read_digests_in(name, BundleFiles(tmp_path).map(name, 1 << 40), "sha256")


def test_a_large_list_reads_as_a_small_one(tmp_path: Path) -> None:
    rng = random.Random(1)
    digests = [rng.randbytes(32).hex() for _ in range(3_000)]
    text = "\ufeff# exported\n\n" + "\r\n".join(digests).upper()
    assert list(large_list(tmp_path, text).entries) == digests
    assert entries(text, "sha256") == tuple(digests)
    rows = "# by hand\nsource, SHA256\n" + "".join(f"desk,{each} \n" for each in digests)
    assert list(large_list(tmp_path, rows, "a.csv").entries) == digests
    assert entries(rows, "sha256", "a.csv") == tuple(digests)


def test_a_large_list_names_the_line_that_is_wrong(tmp_path: Path) -> None:
    for content, name, line in (
        (f"{DIGEST}\n# x\n{DIGEST[1:]}\n", "a.txt", 3),
        (f"# x\nsha256\n{DIGEST}\nzz\n", "a.csv", 4),
        (f"# x\nhash\n{DIGEST}\n", "b.csv", 2),
    ):
        found = large_list(tmp_path, content, name)
        assert ([each.line for each in found.errors], len(found.entries)) == ([line], 0)


def test_repeats_of_a_large_list_are_counted(tmp_path: Path) -> None:
    found = large_list(tmp_path, f"{DIGEST}\n{DIGEST[::-1]}\n{DIGEST.upper()}\n")
    assert list(found.entries) == [DIGEST, DIGEST[::-1]]
    assert [each.message for each in found.warnings] == ["1 entries are the same as earlier ones"]


def test_a_mapped_file_counts_in_the_digest_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text(DIGEST)
    plain, mapped = BundleFiles(tmp_path), BundleFiles(tmp_path)
    plain.read("a.txt", 1_000)
    monkeypatch.setattr(files, "MAPPED_BYTES", 1)
    mapped.map("a.txt", 1_000)
    assert isinstance(mapped.contents["a.txt"], mmap)
    assert files.digest(plain.contents) == files.digest(mapped.contents)
    with pytest.raises(files.FileRefused, match="larger than"):
        BundleFiles(tmp_path).map("a.txt", 10)


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


def test_an_image_below_the_floor_is_left_out() -> None:
    content = f"pdq,quality\n{DIGEST},49\n{DIGEST[::-1]},50\n{'ab' * 32},\n"
    found = read_list("a.csv", content.encode(), "pdq", min_quality=50)
    assert found.entries == (DIGEST[::-1], "ab" * 32)
    assert [(each.line, each.message) for each in found.warnings] == [
        (2, "quality 49 is below 50: left out")
    ]


def test_doubtful_domains_stay_and_are_named() -> None:
    names = ("co.uk", "github.io", "a.github.io", "evil.example", "a.evil.example")
    found = read_list("a.txt", "\n".join(names).encode(), "domain")
    assert found.entries == names
    assert [(each.line, each.message.partition(":")[0]) for each in found.warnings] == [
        (1, "`co.uk` is a public suffix"),
        (2, "people get names of their own under `github.io`"),
        (3, "line 2 covers it"),
        (5, "line 4 covers it"),
    ]


def test_doubts_end_before_they_fill_a_screen() -> None:
    names = ["evil.example", *(f"{n}.evil.example" for n in range(100))]
    found = read_list("a.txt", "\n".join(names).encode(), "domain")
    assert len(found.entries) == 101
    assert len(found.warnings) == MAX_LIST_WARNINGS + 1
    assert found.warnings[-1].message == "and 80 more doubtful entries from here on"
