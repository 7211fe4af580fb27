"""Time the whole each, in process or on a real broker; a module is a job (docs/benchmarks.md)."""
