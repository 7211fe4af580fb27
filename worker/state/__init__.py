"""Keep state per partition: fingerprints and the strike ledger."""
