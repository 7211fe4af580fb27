"""Measure Weir beside its peers on verified jobs: `python -m benchmarks --help`."""
