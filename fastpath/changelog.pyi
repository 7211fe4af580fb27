"""Declare what Python sees of packed state entries."""

from collections.abc import Iterable

from fastpath.spec import Entry

SLICES: int  # parts of a table that are snapshotted one at a time; a key's is its first byte
MAX_VALUE_BYTES: int

def pack(entries: Iterable[Entry]) -> bytes: ...
def unpack(packed: bytes) -> list[Entry]: ...
def split(packed: bytes, limit: int) -> list[bytes]: ...
