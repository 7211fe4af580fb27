"""Fuzz list files and indexes of hashes: `python -m tests.fuzz hash_lists`.

The first byte chooses: the reader of digest files against Python's, digest sets against a
dictionary, indexes by distance (built, added to, merged) against brute force.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from fastpath.distances import NearFound
from fastpath.exact import Digests, DigestSet, pack_digests, read_digests, without_repeats
from fastpath.near import PdqIndex, SimHashIndex

KEY = bytes(16)
_HEX = frozenset(b"0123456789abcdefABCDEF")


def python_reads(content: bytes, width: int, column: int) -> list[str] | int:
    """Read a list file; the 1-based line where that fails."""
    entries = []
    for number, line in enumerate(content.split(b"\n"), 1):
        field = line.strip(b" \t\r")
        if not field or field.startswith(b"#"):
            continue
        if column >= 0:
            fields = field.split(b",")
            field = fields[column].strip(b" \t\r") if column < len(fields) else b""
        if len(field) != 2 * width or not _HEX.issuperset(field):
            return number
        entries.append(field.decode().lower())
    return entries


def fuzz_file(data: bytes) -> None:
    """Read a file as Python reads it, or refuse it at the same line."""
    width, column = (16, 32)[data[0] & 1], data[0] % 5 - 1
    start = data[0] >> 5
    read = read_digests(data[1:], width, column, start)
    due = python_reads(data[1 + start :], width, column)
    if isinstance(read, Digests):
        assert list(read) == due
    else:
        assert read[0] == due


def fuzz_set(data: bytes) -> None:
    """Find what a dictionary finds, equal entries and late differences among them."""
    entries = [
        (data[at : at + 1] * 31 + data[at + 1 : at + 2]).hex() for at in range(len(data) - 1)
    ]
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        first.setdefault(entry, place)
    packed = pack_digests(entries, 32)
    queries = [*entries, "00" * 32, "ff" * 32]
    found = DigestSet(packed, KEY).find(pack_digests(queries, 32))
    assert list(found) == [first.get(query, -1) for query in queries]
    assert list(without_repeats(packed, KEY)) == list(first)


def brute(hashes: Sequence[int], query: int, radius: int) -> list[tuple[int, int]]:
    """Compare with every entry."""
    near = ((entry, (held ^ query).bit_count()) for entry, held in enumerate(hashes))
    return [(entry, distance) for entry, distance in near if distance <= radius]


def hits(found: NearFound, queries: int) -> list[list[tuple[int, int]]]:
    """Return (entry, distance) of each query."""
    pairs = list(zip(found.entries, found.distances, strict=True))
    return [pairs[found.starts[i] : found.starts[i + 1]] for i in range(queries)]


def fuzz_indexes(data: bytes) -> None:
    """Build, add and merge; what is found is what brute force finds."""
    radius, split, rest = data[0] % 32, data[1], data[2:]
    words = [int.from_bytes(rest[at : at + 8], "little") for at in range(0, len(rest) - 7, 4)]
    wide = [word | word << 64 | words[at - 1] << 128 for at, word in enumerate(words)]
    held, added = words[:split], words[split:]
    simhashes = SimHashIndex(array("Q", held), radius % 8)
    simhashes.add(array("Q", added))
    queries = [*words[:8], *(word ^ 0x8001 for word in words[-8:])]
    due = [brute(words, query, radius % 8) for query in queries]
    for index in (simhashes, simhashes.merged()):
        assert hits(index.query(array("Q", queries)), len(queries)) == due
    pdqs = PdqIndex(raw(wide[:split]), radius)
    pdqs.add(raw(wide[split:]))
    due = [brute(wide, query, radius) for query in wide[:9]]
    for held_pdqs in (pdqs, pdqs.merged()):
        assert hits(held_pdqs.query(raw(wide[:9])), len(wide[:9])) == due


def raw(hashes: Sequence[int]) -> bytes:
    """Return 256-bit hashes as bytes."""
    return b"".join(each.to_bytes(32, "little") for each in hashes)


def test_one(data: bytes) -> None:
    """Run one input; the first byte says against what."""
    if len(data) < 4:
        return
    (fuzz_file, fuzz_file, fuzz_set, fuzz_indexes)[data[0] & 3](data[1:])


def seeds() -> Iterator[bytes]:
    """Yield inputs to begin with."""
    digest = b"0123456789abcdefABCDEF0123456789"
    yield b"\0\0# list\n" + digest + b"\r\n\n " + digest + b"\t\n"
    yield b"\0\1" + digest * 2 + b"\n"
    yield b"\1\2x," + digest + b",y\n"
    yield b"\2" + bytes(range(60)) * 2
    yield b"\3\7\4" + bytes(range(200))
