"""Declare what Python sees of the writer of record batches."""

HEADER_BYTES: int

class BatchWriter:
    def __init__(self, room: int) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def count(self) -> int: ...
    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: tuple[tuple[str, bytes], ...],
        time: int,
    ) -> bool: ...
    def build(self, producer: int, epoch: int, sequence: int, transactional: bool) -> bytearray: ...

def partition_of(key: bytes, partitions: int) -> int: ...
