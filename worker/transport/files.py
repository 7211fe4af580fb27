"""Read posts from NDJSON and write records as NDJSON: the transport that needs no broker.

Reading streams: one block of complete lines is held at a time, whatever the size of the input.
Writing goes to temporary names that are renamed when everything is there, so a run that failed
leaves nothing that looks like a result.
"""

from __future__ import annotations

import gzip
import io
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fastpath.records import BatchView, count_lines
from worker.domain.errors import Fatal, UserError
from worker.transport.protocols import Headers, Partition, Polled

STDIN = "-"
# Bytes read at once. Large enough that a compiled step is long against its call; three blocks
# (read, screened, joined) stay far below the memory of the window tables.
CHUNK_BYTES = 1024 * 1024
# A longer line is not a post of any platform but a file of another form, for example one JSON
# array. It is 256 times fastpath's MAX_RECORD_BYTES; what lies between becomes a dead letter.
MAX_LINE_BYTES = 64 * 1024 * 1024

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = len(_UTF8_BOM)  # enough to know gzip and a byte order mark
_PART = ".part"

SUMMARY = "summary.json"


class InputError(UserError):
    """Report an input or output path that cannot be used: wrong usage, not a failed check."""

    exit_code = 2


class Block(NamedTuple):
    """Hold complete lines, each ended by a newline, and the 1-based number of the first."""

    data: bytes
    first_line: int


class LineReader:
    """Stream complete lines out of a plain file, a gzip file or standard input; blocks on read.

    Gzip is known by its first two bytes, so compressed standard input works as well. A byte
    order mark at the start is skipped. The last line need not end with a newline.

    Raises:
        InputError: the input is missing, a directory, unreadable, a broken gzip file, or holds a
            line longer than MAX_LINE_BYTES; the message names the file and, where known, the line.
    """

    def __init__(self, path: str, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        if chunk_bytes < 1:
            raise ValueError(f"chunk_bytes must be at least 1, got {chunk_bytes}")
        self.path = path
        self.name = logical_name(path)
        self.size: int | None = None  # bytes on disk; unknown for pipes and standard input
        self._chunk_bytes = chunk_bytes
        self._line = 1
        self._file = self._open(path)

    def _open(self, path: str) -> BinaryIO:
        if path == STDIN:
            return sys.stdin.buffer
        try:
            file = Path(path).open("rb")  # noqa: SIM115 - closed by close()
            status = Path(path).stat()
        except FileNotFoundError:
            raise InputError(
                f"{path}: no such file. Give an NDJSON file (plain or .gz), or - for standard input"
            ) from None
        except IsADirectoryError:
            raise InputError(
                f"{path}: is a directory. Give one NDJSON file; "
                f"several can be piped: cat {path}/*.ndjson | weir scan - ..."
            ) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        if stat.S_ISREG(status.st_mode):  # a pipe has no size, and no position to ask for
            self.size = status.st_size
        return file

    @property
    def position(self) -> int:
        """Return how many bytes on disk were read so far (compressed ones for gzip)."""
        return self._file.tell() if self.size is not None else 0

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks in order; a block ends with a line and holds at least one."""
        pending: list[bytes] = []
        pending_bytes = 0
        for chunk in self._chunks():
            cut = chunk.rfind(b"\n") + 1
            if cut == 0:
                pending.append(chunk)
                pending_bytes += len(chunk)
                self._check_length(pending_bytes, pending)
                continue
            head = chunk[:cut]
            yield self._block(b"".join((*pending, head)) if pending else head)
            pending = [chunk[cut:]] if cut < len(chunk) else []
            pending_bytes = len(chunk) - cut
        if pending:
            yield self._block(b"".join((*pending, b"\n")))

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.path != STDIN:
            self._file.close()

    def _block(self, data: bytes) -> Block:
        block = Block(data, self._line)
        self._line += count_lines(data)
        return block

    def _check_length(self, pending_bytes: int, pending: list[bytes]) -> None:
        if pending_bytes <= MAX_LINE_BYTES:
            return
        array = pending[0].lstrip()[:1] == b"["
        hint = (
            "it begins with [, so it may be one JSON array: jq -c '.[]' makes NDJSON of it"
            if array
            else "NDJSON has one post per line"
        )
        raise InputError(
            f"{self.path}, line {self._line}: longer than {MAX_LINE_BYTES >> 20} MiB; {hint}"
        )

    def _chunks(self) -> Iterator[bytes]:
        head = self._read(self._file, _HEAD_BYTES)
        stream: BinaryIO | gzip.GzipFile = self._file
        if head.startswith(_GZIP_MAGIC):
            # One chunk is inflated at a time, over all members of the file (RFC 1952).
            stream = gzip.GzipFile(fileobj=_Rejoined(head, self._file))
            head = self._read(stream, _HEAD_BYTES)
        elif self.path.endswith(".gz") and head:
            raise InputError(
                f"{self.path}: is named .gz but begins with {head[:2].hex(' ')} instead of the "
                "1f 8b of gzip. Rename it if it is plain NDJSON, else fetch it again"
            )
        head = head.removeprefix(_UTF8_BOM)
        chunk = head + self._read(stream, max(0, self._chunk_bytes - len(head)))
        while chunk:
            yield chunk
            chunk = self._read(stream, self._chunk_bytes)

    def _read(self, file: BinaryIO | gzip.GzipFile, size: int) -> bytes:
        try:
            return file.read(size)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise InputError(
                f"{self.path}: broken gzip data after line {self._line - 1}: {error}. "
                "Fetch or compress the file again (gzip -t tests it)"
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read after line {self._line - 1}: {error.strerror}"
            ) from None


class _Rejoined(io.RawIOBase):
    """Put bytes already read in front of the rest, for input that cannot seek (a pipe)."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._first:
            taken, self._first = (
                (self._first, b"") if size < 0 else (self._first[:size], self._first[size:])
            )
            return taken
        return self._rest.read(size)


def logical_name(path: str) -> str:
    """Name an input in records: its file name without `.gz`; `stdin` for standard input.

    Without the folder and the compression, so that the same posts give the same bytes wherever
    and however they are stored.
    """
    return "stdin" if path == STDIN else Path(path).name.removesuffix(".gz")


class PostFile:
    """Read the posts of an NDJSON input as the one partition of a topic; poll blocks on reads.

    Offsets are 1-based line numbers, blank lines counted; the topic is the input's logical name.
    """

    def __init__(self, path: str, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._lines = LineReader(path, chunk_bytes=chunk_bytes)
        self._views = self._batches()
        self._rest: BatchView | None = None
        self.at_end = False
        self.name = self._lines.name
        self.partition = Partition(self.name, 0)
        self.size = self._lines.size

    @property
    def position(self) -> int:
        """Return how many of `size` bytes were read."""
        return self._lines.position

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """Return the next block of posts, at most `max_records`; none once `at_end` is set."""
        del timeout_s  # a file answers at once, a pipe when its writer does
        view = self._rest if self._rest is not None else next(self._views, None)
        if view is None:
            self.at_end = True
            return Polled()
        self._rest = view.slice(max_records, len(view)) if len(view) > max_records else None
        taken = view.slice(0, max_records) if self._rest is not None else view
        return Polled((taken,), {self.partition: taken.offset(len(taken) - 1) + 1})

    def close(self, timeout_s: float = 0) -> None:
        """Close the file; standard input stays open."""
        del timeout_s
        self._lines.close()

    def _batches(self) -> Iterator[BatchView]:
        for block in self._lines:
            view = BatchView.from_lines(self.name, block.data, block.first_line)
            if len(view):  # a block may hold blank lines alone
                yield view


class ResultFolder:
    """Write records to `<name>.ndjson` files in a folder, all visible at once by `publish`.

    A topic is the name of a file. While a run lasts its files end in `.part`. `publish` removes
    the old summary first and writes the new one last: a folder that holds a summary holds a whole
    result. Blocks on disk writes.

    Raises:
        InputError: the folder is a file, holds files that no scan made, or cannot be written,
            now or later.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self._names = tuple(names)
        self._unflushed = 0
        self._published = False
        self._check_replaceable()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files: dict[str, BinaryIO] = {
                name: (folder / f"{name}.ndjson{_PART}").open("wb", buffering=CHUNK_BYTES)
                for name in self._names
            }
        except OSError as error:
            raise self._unwritable(error) from None

    def path(self, name: str) -> Path:
        """Return where the records called `name` stand once published."""
        return self.folder / f"{name}.ndjson"

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Append a value as one line to the file of a topic; a line has no key and no headers.

        Raises:
            Fatal: there is no such file, or the value is none or holds a newline.
        """
        del key, partition, headers
        file = self._files.get(topic)
        if file is None:
            raise Fatal(f"{self.folder} has no file for {topic}; it has {', '.join(self._files)}")
        if value is None or b"\n" in value:
            raise Fatal(f"a line of {topic} must be a value without a newline")
        try:
            file.write(value)
            file.write(b"\n")
        except OSError as error:
            raise self._unwritable(error) from None
        self._unflushed += 1

    def flush(self, timeout_s: float) -> int:
        """Hand what was sent to the operating system; return how many lines it was."""
        del timeout_s
        try:
            for file in self._files.values():
                file.flush()
        except OSError as error:
            raise self._unwritable(error) from None
        flushed, self._unflushed = self._unflushed, 0
        return flushed

    def publish(self, summary: bytes) -> None:
        """Give all files their names, the summary last; the folder then replaces an old result."""
        old_summary = self.folder / SUMMARY
        part = self.folder / (SUMMARY + _PART)
        try:
            for file in self._files.values():
                file.close()  # writes what is left: the disk may be full now, before any rename
            part.write_bytes(summary)
            old_summary.unlink(missing_ok=True)
            for name, file in self._files.items():
                Path(file.name).replace(self.path(name))
            part.replace(old_summary)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise self._unwritable(error) from None
        self._published = True

    def close(self, timeout_s: float = 0) -> None:
        """Remove what was not published; an older result stays as it was."""
        del timeout_s
        for file in self._files.values():
            with suppress(OSError):  # a full disk was reported by what wrote to it
                file.close()
            if not self._published:
                Path(file.name).unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"{self.folder}: cannot be written: {error.strerror}")

    def _check_replaceable(self) -> None:
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: is a file. Give --out a folder")
        results = {SUMMARY, *(f"{name}.ndjson" for name in self._names)}
        foreign = sorted(
            entry.name
            for entry in self.folder.iterdir()
            if entry.name.removesuffix(_PART) not in results
        )
        if foreign:
            raise InputError(
                f"{self.folder}: holds {foreign[0]}, which is no result of a scan, so nothing is "
                "replaced. Give --out an empty or new folder"
            )
