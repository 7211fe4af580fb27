"""Match batches of posts: bytes in, columns out, without the GIL.

Importing fails when the compiled modules are missing or were built from other sources:
there is no silent fallback. `fastpath.reference` is the pure-Python twin, the specification
and the oracle, chosen only by naming it.
"""
