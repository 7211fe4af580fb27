"""Every level of vector instructions reads every document alike, wherever a block ends."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastpath import ISA
from fastpath.errors import BuildError
from fastpath.isa import LEVELS
from fastpath.posts import PostReader, fields_of
from tests.support.json_documents import ACCEPT, REJECT
from tests.support.post_readings import check

READERS = [PostReader(None, isa) for isa in LEVELS[: LEVELS.index(ISA) + 1]]
POST = b'{"id":"1","account":{"id":"u"},"text":"%b","x":%b}'
PIECES = (
    b"\\\\", b'\\"', b"\\n", b"\\u0000", b"\\ud83d\\ude00", b"\\ud83d", b"\\ude00", b"\\u12", b"\\",
    b'"', b"\x00", b"\x1f", b"\n", b"\x7f", b"\xc3\xa9", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80",
    b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf",
    b"\x80", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf5\x80\x80\x80", b"\xff", b"{", b",", b" ",
)  # fmt: skip


def alike(value: bytes) -> None:
    """Read a value on every level, and against the twin."""
    readings = [fields_of(reader, value) for reader in READERS]
    assert all(reading == readings[0] for reading in readings), (value, readings)
    check(value)


@pytest.mark.parametrize("piece", PIECES)
def test_each_piece_at_each_place_of_a_block(piece: bytes) -> None:
    for before in (*range(70), 127, 128, 129):
        for after in (b"", b"y", b"y" * 70):
            alike(POST % (b"x" * before + piece + after, b"1"))


def test_runs_of_backslashes_and_quotes() -> None:
    for run in range(140):
        alike(POST % (b"\\" * run, b"1"))
        alike(POST % (b"\\" * run + b'"', b"1"))
        alike(b" " * run + POST % (b"", b"1") + b"\n" * run)
        alike(POST % (b"", b"[" + b",".join([b'""'] * run) + b"]"))


@pytest.mark.parametrize(("name", "document"), ACCEPT + REJECT)
def test_hostile_documents(name: str, document: bytes) -> None:
    for pad in (0, 13, 38):
        readings = [fields_of(reader, POST % (b"x" * pad, document)) for reader in READERS]
        assert all(reading == readings[0] for reading in readings), name


@settings(max_examples=3_000)
@given(st.lists(st.binary(max_size=9) | st.sampled_from(PIECES), max_size=30).map(b"".join))
@example(b"\xf0\x9f\x98" + b"x" * 29 + b"\x80")
def test_any_bytes_in_a_string(text: bytes) -> None:
    alike(POST % (text, b"1"))


@settings(max_examples=1_500)
@given(st.text(max_size=200), st.booleans())
def test_any_text(text: str, ascii_only: bool) -> None:
    post = {"id": "1", "account": {"id": "u"}, "text": text, "x": [text, {text: text}]}
    alike(json.dumps(post, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))


def test_levels_that_are_not_there_are_refused() -> None:
    for isa in ("sse", *LEVELS[LEVELS.index(ISA) + 1 :]):
        with pytest.raises(BuildError, match="instructions"):
            PostReader(None, isa)
