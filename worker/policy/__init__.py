"""Load, check and compile policy bundles."""
