"""Declare what Python sees of the choice of kernels."""

LEVELS: tuple[str, ...]
ISA: str
