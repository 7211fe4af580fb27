"""Weir's worker: stages that decide, an engine that drives them, transports that move bytes."""

__version__ = "0.1.0"
