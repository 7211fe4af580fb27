"""Declare what Python sees of sets of digests; lists and screens are their real callers."""

from array import array
from collections.abc import Sequence
from typing import overload

from typing_extensions import Buffer

MAX_DIGESTS: int

class Digests(Sequence[str]):
    width: int
    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __len__(self) -> int: ...

def pack_digests(entries: Sequence[str], width: int) -> Digests: ...
def read_digests(
    content: Buffer, width: int, column: int = -1, start: int = 0
) -> Digests | tuple[int, int]: ...
def without_repeats(digests: Digests, identity_key: bytes) -> Digests: ...

class DigestSet:
    longest_run: int
    memory_bytes: int
    def __init__(self, digests: Digests, identity_key: bytes) -> None: ...
    def __len__(self) -> int: ...
    def find(self, queries: Digests) -> array[int]: ...
