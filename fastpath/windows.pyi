"""Declare what Python sees of the account windows."""

from collections.abc import Sequence

from fastpath.spec import WindowSpec

COUNTS: tuple[str, ...]

def partitioners_of(key: bytes) -> tuple[int, int]: ...

class AccountWindows:
    partition: int
    def __init__(
        self,
        windows: Sequence[WindowSpec],
        max_keys: int,
        partition: int,
        placement_seed: bytes,
    ) -> None: ...
    @property
    def stream_time(self) -> int | None: ...
    @property
    def accounts(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...
    def changes(self) -> bytes: ...
    def snapshot(self, slice_: int) -> bytes: ...
    def restore(self, stream_time: int, entries: bytes) -> None: ...
    def clear(self, slice_: int) -> None: ...
    def count(
        self,
        account: bytes,
        name: bytes,
        time: int,
        links: int,
        targets: Sequence[bytes],
        digest: bytes | None,
    ) -> tuple[tuple[int, ...], bool, bool, bool]: ...
