"""Show what runs: metrics, logs, health."""
