"""Pack and unpack state entries with plain slicing: the meaning of the packed format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastpath.errors import CorruptImage
from fastpath.spec import Entry

KEY_BYTES = 16
MAX_VALUE_BYTES = 2**27


def varint(number: int) -> bytes:
    """Write an unsigned LEB128 varint: seven bits a byte, the lowest first."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def read_varint(packed: bytes, at: int) -> tuple[int, int]:
    """Read a varint of at most 64 bits and return it with the place behind it."""
    number = shift = 0
    while at < len(packed) and shift < 64:
        byte = packed[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >= 2**64 or (byte == 0 and shift > 0):
                break
            return number, at
        shift += 7
    raise CorruptImage(f"varint before byte {at} is cut, too long or not minimal")


def zigzag(number: int) -> int:
    """Fold the sign into bit 0, so that small negative numbers stay small."""
    return 2 * number if number >= 0 else -2 * number - 1


def unzigzag(number: int) -> int:
    """Undo `zigzag`."""
    return number >> 1 if number % 2 == 0 else -(number >> 1) - 1


def pack(entries: Iterable[Entry]) -> bytes:
    """Pack entries in order."""
    return b"".join(
        entry.key + varint(len(entry.value) << 1 | entry.deleted) + entry.value for entry in entries
    )


def unpack(packed: bytes) -> list[Entry]:
    """Return the entries in order; CorruptImage where one is cut or malformed."""
    return [entry for entry, _ in _walk(packed)]


def split(packed: bytes, limit: int) -> list[bytes]:
    """Cut packed entries between entries into pieces of at most `limit` bytes, at least one."""
    pieces, start, before = [], 0, 0
    for _, end in _walk(packed):
        if end - start > limit and before > start:
            pieces.append(packed[start:before])
            start = before
        before = end
    return [*pieces, packed[start:]]


def _walk(packed: bytes) -> Iterator[tuple[Entry, int]]:
    at = 0
    while at < len(packed):
        key = packed[at : at + KEY_BYTES]
        head, at = read_varint(packed, at + KEY_BYTES)
        size, deleted = head >> 1, bool(head & 1)
        value = packed[at : at + size]
        at += size
        if at > len(packed) or size > MAX_VALUE_BYTES:
            raise CorruptImage(f"an entry of {size} bytes ends past byte {len(packed)}")
        yield Entry(key, value, deleted), at
