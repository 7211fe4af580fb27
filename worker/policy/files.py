"""Read the files of a bundle once each: what is hashed is what was parsed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from worker.domain.errors import EXHAUSTED

ROOT_FILE = "bundle.yaml"
MAPPED_BYTES = 16 << 20  # a smaller file is read at once
MAX_READ_BYTES = 1 << 62  # never mapped

Content: TypeAlias = bytes | mmap


class FileRefused(ValueError):
    """Say why a file of a bundle cannot be read, and what to change."""

    def __init__(self, message: str, hint: str) -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


class BundleFiles:
    """Read files below the bundle's directory and remember their contents by relative path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[str, Content] = {}

    def shown(self, name: str) -> str:
        """Name a file for people, as the caller named the bundle."""
        return str(self.root / name)

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read a file named relative to the bundle.

        Raises:
            FileRefused: It is absent, unreadable, too large, or lies outside the bundle.
        """
        return bytes(self._load(name, max_bytes, MAX_READ_BYTES))

    def map(self, name: str, max_bytes: int) -> Content:
        """Read a file; one of 16 MiB or more as a view of its pages, which takes no memory of ours.

        Such a file is replaced by renaming another over it: what is written into it is seen.

        Raises:
            FileRefused: As `read` does.
        """
        return self._load(name, max_bytes, MAPPED_BYTES)

    def _load(self, name: str, max_bytes: int, mapped_bytes: int) -> Content:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise FileRefused(
                f"`{name}` leaves the bundle", "name a file relative to the bundle, without `..`"
            )
        key = str(path)
        if key not in self.contents:
            self.contents[key] = self._read(key, max_bytes, mapped_bytes)
        return self.contents[key]

    def _read(self, key: str, max_bytes: int, mapped_bytes: int) -> Content:
        path = self.root / key
        try:
            if not path.resolve().is_relative_to(self.root.resolve()):
                raise FileRefused(f"`{key}` is a link out of the bundle", "copy the file into it")
            if path.stat().st_size > max_bytes:
                raise FileRefused(
                    f"`{key}` is larger than {max_bytes:,} bytes", "split it or shorten it"
                )
            if path.stat().st_size < mapped_bytes:
                return path.read_bytes()
            with path.open("rb") as file:
                return mmap(file.fileno(), 0, access=ACCESS_READ)
        except FileNotFoundError:
            raise FileRefused(f"there is no file `{key}`", self._similar(key)) from None
        except RuntimeError:  # what Path.resolve() of Python 3.11 and 3.12 raises for a loop
            raise FileRefused(f"`{key}` is a link to itself", "replace it by a file") from None
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            raise FileRefused(f"`{key}` cannot be read: {error.strerror}", "") from None

    def _similar(self, key: str) -> str:
        folder = (self.root / key).parent
        if not folder.is_dir():
            return f"there is no folder `{PurePosixPath(key).parent}` either"
        names = sorted(each.name for each in folder.iterdir() if each.is_file())[:8]
        return "files there: " + (", ".join(f"`{name}`" for name in names) or "none")


def digest(contents: Mapping[str, Content]) -> str:
    """Name a bundle: SHA-256 over its files in order of path, as 64 hex digits.

    Each file gives u32 LE length of its path, the path (UTF-8, `/` between parts, relative to
    the bundle), u64 LE length of its content, the content. Where the bundle lies, and in which
    order its files were read, leaves no trace.
    """
    total = hashlib.sha256()
    for name in sorted(contents, key=lambda each: each.encode()):
        raw = name.encode()
        content = contents[name]
        total.update(len(raw).to_bytes(4, "little") + raw)
        total.update(len(content).to_bytes(8, "little"))
        total.update(content)
    return total.hexdigest()
