"""Declare what Python sees of the batch views and of packed sightings."""

from collections.abc import Sequence

from fastpath.columns import Sighting as Sighting
from fastpath.columns import SightingRecord as SightingRecord
from fastpath.spec import SightingBatch

MAX_PACKED_BYTES: int
HEADER_BYTES: int
ENTRY_BYTES: int

class BatchView:
    topic: str
    partition: int
    @staticmethod
    def from_records(
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        times: Sequence[int],
        offsets: Sequence[int],
    ) -> BatchView: ...
    @staticmethod
    def from_lines(topic: str, data: bytes, first_line: int) -> BatchView: ...
    def __len__(self) -> int: ...
    def value(self, index: int) -> bytes | None: ...
    def key(self, index: int) -> bytes | None: ...
    def time(self, index: int) -> int: ...
    def offset(self, index: int) -> int: ...
    def slice(self, start: int, stop: int) -> BatchView: ...

def count_lines(data: bytes) -> int: ...

class SightingPacker:
    def __init__(self, topic: str, bundle_digest: bytes, partitions: int) -> None: ...
    def pack(self, sightings: Sequence[Sighting]) -> list[SightingBatch]: ...

def unpack_sightings(value: bytes) -> SightingRecord: ...
