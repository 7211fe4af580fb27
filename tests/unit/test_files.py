"""Hold the NDJSON reader to its lines and the result folder to all-or-nothing."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import Fatal
from worker.transport import files
from worker.transport.files import InputError, LineReader, ResultFolder

LINES = st.lists(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\x1f", b"")),
    min_size=1,
    max_size=12,
)


def read_all(path: Path, chunk_bytes: int = files.CHUNK_BYTES) -> list[files.Block]:
    reader = LineReader(str(path), chunk_bytes=chunk_bytes)
    try:
        return list(reader)
    finally:
        reader.close()


@given(lines=LINES, chunk_bytes=st.integers(1, 64), compressed=st.booleans(), ended=st.booleans())
def test_blocks_are_the_lines_in_order_whatever_the_chunk(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    chunk_bytes: int,
    compressed: bool,
    ended: bool,
) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    path = tmp_path_factory.mktemp("lines") / ("p.ndjson.gz" if compressed else "p.ndjson")
    path.write_bytes(gzip.compress(data) if compressed else data)

    blocks = read_all(path, chunk_bytes)

    text = data.removeprefix(b"\xef\xbb\xbf")
    if text and not text.endswith(b"\n"):
        text += b"\n"
    assert b"".join(block.data for block in blocks) == text
    first = 1
    for block in blocks:
        assert block.data.endswith(b"\n")
        assert block.first_line == first
        first += block.data.count(b"\n")


def test_one_byte_chunks_give_one_line_per_block(tmp_path: Path) -> None:
    path = tmp_path / "p.ndjson"
    path.write_bytes(b"aa\n\nbb\nccc")
    assert read_all(path, 1) == [(b"aa\n", 1), (b"\n", 2), (b"bb\n", 3), (b"ccc\n", 4)]


def test_gzip_members_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "p.ndjson.gz"
    path.write_bytes(gzip.compress(b"a\nb") + gzip.compress(b"c\nd\n"))
    assert b"".join(block.data for block in read_all(path)) == b"a\nbc\nd\n"


def test_gzip_is_known_by_content_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        buffer = io.BytesIO(gzip.compress(b"a\nb\n"))

    monkeypatch.setattr("sys.stdin", Pipe)
    reader = LineReader("-")
    assert list(reader) == [(b"a\nb\n", 1)]
    assert reader.name == "stdin"
    assert reader.size is None


@pytest.mark.parametrize("chunk_bytes", [1, 2, 4096])
def test_byte_order_mark_is_skipped(tmp_path: Path, chunk_bytes: int) -> None:
    path = tmp_path / "p.ndjson"
    path.write_bytes(b"\xef\xbb\xbf{}\n")
    assert b"".join(block.data for block in read_all(path, chunk_bytes)) == b"{}\n"


def test_progress_counts_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "p.ndjson.gz"
    path.write_bytes(gzip.compress(os.urandom(40_000).hex().encode() + b"\n"))
    reader = LineReader(str(path), chunk_bytes=4096)
    assert reader.size == path.stat().st_size
    for _ in reader:
        pass
    assert reader.position == reader.size
    reader.close()


def test_named_pipe_has_lines_and_no_size(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(b"a\nb\n"),))
    writer.start()
    reader = LineReader(str(path))
    assert b"".join(block.data for block in reader) == b"a\nb\n"
    assert (reader.size, reader.position) == (None, 0)
    reader.close()
    writer.join(10)
    assert not writer.is_alive()


def broken_gzip() -> bytes:
    whole = gzip.compress(os.urandom(20_000).hex().encode() + b"\n")
    return whole[: len(whole) // 2]


def wrong_checksum() -> bytes:
    whole = bytearray(gzip.compress(b"a\n" * 100))
    whole[-8] ^= 1
    return bytes(whole)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("half.ndjson.gz", broken_gzip(), "broken gzip data after line 0"),
        ("sum.ndjson.gz", wrong_checksum(), "broken gzip data after line 0: CRC check failed"),
        ("plain.ndjson.gz", b'{"id":"1"}\n', "is named .gz but begins with 7b 22"),
    ],
    ids=["half", "sum", "plain"],
)
def test_broken_gzip_names_the_file_and_the_way_out(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_all(path)
    assert str(path) in str(caught.value)


def test_lines_before_the_break_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"a\n" * 1000) + gzip.compress(os.urandom(20_000).hex().encode())
    path = tmp_path / "p.ndjson.gz"
    path.write_bytes(whole[:-9000])
    with pytest.raises(InputError, match="after line 1000"):
        read_all(path, 512)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        LineReader(str(tmp_path / "none.ndjson"))
    with pytest.raises(InputError, match="is a directory"):
        LineReader(str(tmp_path))


@pytest.mark.parametrize(("start", "hint"), [(b"[", "jq -c"), (b"{", "one post per line")])
def test_endless_line_is_refused_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes, hint: str
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "p.ndjson"
    path.write_bytes(b"{}\n" + start + b"x" * (1 << 21))
    with pytest.raises(InputError, match="line 2: longer than 1 MiB") as caught:
        read_all(path, 4096)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b/posts.ndjson.gz", "posts.ndjson"), ("posts.ndjson", "posts.ndjson"), ("-", "stdin")],
)
def test_logical_name_leaves_out_folder_and_compression(path: str, name: str) -> None:
    assert files.logical_name(path) == name


NAMES = ("actions", "dlq")


def test_nothing_is_visible_before_publish(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "out", NAMES)
    folder.send("actions", None, b"one")
    assert sorted(p.name for p in folder.folder.iterdir()) == [
        "actions.ndjson.part",
        "dlq.ndjson.part",
    ]
    folder.publish(b"{}\n")
    assert {p.name: p.read_bytes() for p in folder.folder.iterdir()} == {
        "actions.ndjson": b"one\n",
        "dlq.ndjson": b"",
        "summary.json": b"{}\n",
    }


def test_close_without_publish_keeps_the_older_result(tmp_path: Path) -> None:
    first = ResultFolder(tmp_path, NAMES)
    first.send("actions", None, b"old")
    first.publish(b"{}\n")
    second = ResultFolder(tmp_path, NAMES)
    second.send("actions", None, b"new")
    second.close()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        "actions.ndjson": b"old\n",
        "dlq.ndjson": b"",
        "summary.json": b"{}\n",
    }


def test_older_result_and_leftovers_of_a_killed_run_are_replaced(tmp_path: Path) -> None:
    ResultFolder(tmp_path, NAMES).publish(b"{}\n")
    (tmp_path / "actions.ndjson.part").write_bytes(b"half")
    folder = ResultFolder(tmp_path, NAMES)
    folder.send("actions", None, b"new")
    folder.publish(b"{}\n")
    assert (tmp_path / "actions.ndjson").read_bytes() == b"new\n"


@pytest.mark.parametrize("lines", [1, 5_000], ids=["when-published", "while-sent"])
def test_full_disk_is_said_and_leaves_the_older_result(tmp_path: Path, lines: int) -> None:
    older = ResultFolder(tmp_path, NAMES)
    older.send("actions", None, b"old")
    older.publish(b"{}\n")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    (tmp_path / f"{NAMES[-1]}.ndjson.part").symlink_to("/dev/full")
    folder = ResultFolder(tmp_path, NAMES)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):  # noqa: PT012
        for _ in range(lines):
            folder.send(NAMES[0], None, b"new")
            folder.send(NAMES[-1], None, b"x" * 500)
        folder.publish(b"{}\n")
    folder.close()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_folder_with_other_files_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis\.txt"):
        ResultFolder(tmp_path, NAMES)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_file_as_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("")
    with pytest.raises(InputError, match="is a file"):
        ResultFolder(file, NAMES)


def test_close_after_publish_keeps_the_result(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path, NAMES)
    folder.publish(b"{}\n")
    folder.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "actions.ndjson",
        "dlq.ndjson",
        "summary.json",
    ]


@pytest.mark.parametrize(
    ("topic", "value", "said"),
    [
        ("campaigns", b"{}", "no file for campaigns"),
        ("dlq", None, "line of dlq"),
        ("dlq", b"a\nb", "newline"),
    ],
)
def test_what_is_no_line_of_a_file_is_refused(
    tmp_path: Path, topic: str, value: bytes | None, said: str
) -> None:
    folder = ResultFolder(tmp_path, NAMES)
    with pytest.raises(Fatal, match=said):
        folder.send(topic, None, value)
    folder.close()
