"""Move bytes; decide nothing."""
