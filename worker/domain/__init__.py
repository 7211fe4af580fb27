"""Hold values and errors; the standard library alone."""
