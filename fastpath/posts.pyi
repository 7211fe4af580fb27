"""Declare what Python sees of the post reader; screens are its real caller."""

from fastpath.field_maps import FieldMap
from fastpath.records import BatchView

SLOW_CAUSES: tuple[str, ...]

class PostReader:
    field_map: FieldMap | None
    def __init__(self, field_map: FieldMap | None = None, isa: str = ...) -> None: ...
    @property
    def held_bytes(self) -> int: ...
    def count(self, view: BatchView) -> dict[str, int]: ...

def fields_of(
    reader: PostReader, value: bytes, trusted: bool = False, score_names: tuple[str, ...] = ()
) -> dict[str, object] | str: ...
