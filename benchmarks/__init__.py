"""Measure and check at scale; each module is a command."""
