"""Declare what Python sees of the choice of kernels."""

ISA: str
