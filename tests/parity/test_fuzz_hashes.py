"""The fuzz targets of hashes and URLs run: on their seeds, and on seeds with bytes changed."""

from __future__ import annotations

import random
from types import ModuleType

import pytest

from tests.fuzz import fuzz_hash_lists, fuzz_urls


@pytest.mark.parametrize("target", [fuzz_hash_lists, fuzz_urls])
def test_changed_seeds_pass(target: ModuleType) -> None:
    rng = random.Random(1)
    for seed in target.seeds():
        target.test_one(seed)
        for _ in range(40):
            changed = bytearray(seed)
            for _ in range(rng.randrange(1, 6)):
                place = rng.randrange(len(changed) + 1)
                changed[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
            target.test_one(bytes(changed))
