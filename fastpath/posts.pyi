"""Declare what Python sees of the post reader; screens are its real caller."""

def fields_of(
    value: bytes, trusted: bool, score_names: tuple[str, ...] = ()
) -> dict[str, object] | None: ...
