"""Time one part of the core each; a module is a job (docs/benchmarks.md)."""
