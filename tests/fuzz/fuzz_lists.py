"""Fuzz the list files of bundles: `python -m tests.fuzz lists`.

The first byte chooses the kind and whether it is CSV. A list is read or refused with diagnostics
that point into the file; a digest list is the same through both of its readers; what was read and
is written again, one entry to a line, is read as the same; and it builds the table it is for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from fastpath.hashes import ExactLists
from fastpath.spec import HashList
from worker.policy.lists import ListEntries, ListKind, read_digests_in, read_list

KINDS: tuple[ListKind, ...] = (
    "keyword", "sha256", "md5", "domain", "url", "pdq", "simhash", "account", "phrase",
)  # fmt: skip


def check_diagnostics(found: ListEntries, content: bytes) -> None:
    """Hold that what is said points to a line that there is."""
    lines = content.count(b"\n") + content.count(b"\r") + 2
    for each in (*found.errors, *found.warnings):
        assert 0 <= each.line <= lines + content.count(b"\x0b") * 2, each
        assert each.message


def check_digests(kind: ListKind, name: str, content: bytes, found: ListEntries) -> None:
    """Read with the core too; without quotes and with plain line ends both must agree."""
    if not content.isascii() or set(content) & set(b'"\x0b\x0c\r\x1c\x1d\x1e\x1f\0'):
        return
    assert kind in ("sha256", "md5", "pdq")
    core = read_digests_in(name, content, kind)
    if not found.errors:
        assert tuple(core.entries) == found.entries
    assert bool(core.errors) == bool(found.errors), (core.errors, found.errors)


def check_again(kind: ListKind, entries: tuple[str, ...]) -> None:
    """Write entries one to a line and read them again."""
    if kind in ("keyword", "phrase", "simhash"):
        lines = [f"\\{entry}" if entry.startswith(("#", "\\#", "\\\\")) else entry
                 for entry in entries]  # fmt: skip
    else:
        lines = [entry for entry in entries if not entry.startswith("#")]
    if any(entry != entry.strip() or len(entry.splitlines()) != 1 for entry in entries):
        return  # a quoted field of a CSV file, which a line cannot hold
    again = read_list("again.txt", "\n".join(lines).encode(), kind)
    assert (again.entries, again.errors) == (
        tuple(entry for entry in entries if entry in again.entries), ()
    )  # fmt: skip
    assert len(again.entries) == len(lines)


def test_one(data: bytes) -> None:
    """Read one list."""
    if not data:
        return
    kind = KINDS[data[0] % len(KINDS)]
    name = "list.csv" if data[0] & 128 else "list.txt"
    content = data[1:]
    found = read_list(name, content, kind)
    check_diagnostics(found, content)
    if kind in ("sha256", "md5", "pdq"):
        check_digests(kind, name, content, found)
    if found.errors:
        return
    check_again(kind, found.entries)
    if kind in ("domain", "url"):
        ExactLists([HashList(name="l", kind=kind, entries=found.entries)], bytes(16))


def seeds() -> Iterator[bytes]:
    """Yield inputs to begin with."""
    for place, lines in enumerate(
        (
            ["gold coin", "\\#tag", "straße", "# a comment"],
            ["ab" * 32, "# x"],
            ["cd" * 16],
            ["evil.example", "bücher.example"],
            ["https://a.example/b?c=d"],
            ["ef" * 32],
            ["a text that is long enough to have a SimHash of its own", "0123456789abcdef"],
            ["u1", "9"],
            ["good morning"],
        )
    ):
        yield bytes([place]) + "\n".join(lines).encode()
        written = io.StringIO()
        rows = csv.writer(written)
        rows.writerow(["note", KINDS[place]])
        rows.writerows([["n", line] for line in lines])
        number = next(n for n in range(128, 256) if n % len(KINDS) == place)
        yield bytes([number]) + written.getvalue().encode()
