"""Declare what Python sees of fetched record batches."""

from collections.abc import Sequence

from fastpath.records import BatchView

class RecordBatches:
    topic: str
    partition: int
    next_offset: int
    leader_epoch: int
    def __init__(
        self,
        topic: str,
        partition: int,
        buffer: bytes,
        *,
        fetch_offset: int = 0,
        check_crcs: bool = True,
        aborted: Sequence[tuple[int, int]] | None = None,
        check_header_keys: bool = True,
    ) -> None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def ended(self) -> bool: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def old_format(self) -> bytes | None: ...
    @property
    def bad(self) -> bytes | None: ...
    @property
    def after_bad(self) -> bytes: ...
    def read(self) -> BatchView | None: ...

def raw_record(view: BatchView, index: int) -> bytes: ...
def record_headers(view: BatchView, index: int) -> tuple[tuple[bytes, bytes], ...]: ...
