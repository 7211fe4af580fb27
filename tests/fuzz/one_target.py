"""Fuzz one target in this process: `python -m tests.fuzz` starts it under the sanitizers.

Arguments: name of the target, folder of its corpus, then options and inputs of libFuzzer's.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

from tests.fuzz import sanitized

NATIVE = "native_"  # targets of native.pyx, which begin with the seeds of those without it
SEEDED_AS = {"lanes": "urls", "near": "hash_lists"}


def main() -> None:
    """Lay the target's seeds into its corpus and hand over to libFuzzer."""
    name, corpus, *options = sys.argv[1:]
    sanitized.require()
    plain = name.removeprefix(NATIVE)
    target = importlib.import_module(f"tests.fuzz.fuzz_{SEEDED_AS.get(plain, plain)}")
    for seed in target.seeds() if hasattr(target, "seeds") else ():
        (Path(corpus) / hashlib.sha256(seed).hexdigest()[:40]).write_bytes(seed)
    if name.startswith(NATIVE):
        from tests.fuzz import native

        native.fuzz(plain, [sys.argv[0], *options])
    import atheris

    atheris.Setup([sys.argv[0], *options], target.test_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
