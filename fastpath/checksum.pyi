"""Declare what Python sees of the checksum."""

HARDWARE: bool

def crc32c_of(data: bytes, *, scalar: bool = False) -> int: ...
