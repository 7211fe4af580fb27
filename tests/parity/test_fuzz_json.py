"""A bounded run of what the fuzzer does for hours: its seeds, cut, joined and changed."""

from __future__ import annotations

import random

from tests.fuzz import fuzz_json
from tests.support.generated_records import mutated

SEEDS = list(fuzz_json.seeds())


def test_every_seed() -> None:
    for seed in SEEDS:
        fuzz_json.test_one(seed)
    fuzz_json.test_one(b"")


def test_changed_seeds() -> None:
    rng = random.Random(20)
    for _ in range(4_000):
        seed = rng.choice(SEEDS)
        value = seed[1:]
        for _ in range(rng.choice((1, 1, 2, 5))):
            value = mutated(rng, value)
        if rng.random() < 0.2:
            other = rng.choice(SEEDS)[1:]
            value = value[: rng.randrange(len(value) + 1)] + other[rng.randrange(len(other) + 1) :]
        fuzz_json.test_one(seed[:1] + value)
