"""Fuzz one target in this process: `python -m tests.fuzz` starts it under the sanitizers.

Arguments: name of the target, folder of its corpus, then options and inputs of libFuzzer's.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

import atheris

from tests.fuzz import sanitized


def main() -> None:
    """Lay the target's seeds into its corpus and hand over to libFuzzer."""
    name, corpus, *options = sys.argv[1:]
    sanitized.require()
    target = importlib.import_module(f"tests.fuzz.fuzz_{name}")
    for seed in target.seeds() if hasattr(target, "seeds") else ():
        (Path(corpus) / hashlib.sha256(seed).hexdigest()[:40]).write_bytes(seed)
    atheris.Setup([sys.argv[0], *options], target.test_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
