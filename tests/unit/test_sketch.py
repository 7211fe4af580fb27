"""The sketch estimates within its error, merges by tick, and is the same everywhere."""

from __future__ import annotations

import math

import pytest

from fastpath.reference import sketch
from tests.support.stage_inputs import KEY


def filled(first: int, count: int) -> bytearray:
    registers = bytearray(sketch.REGISTERS)
    for n in range(first, first + count):
        sketch.add(registers, sketch.account_hash(KEY, f"u{n}"))
    return registers


@pytest.mark.parametrize("count", [1, 10, 100, 600, 1_000, 5_000, 50_000])
def test_an_estimate_is_within_four_standard_errors(count: int) -> None:
    error = 4 * 1.04 / math.sqrt(sketch.REGISTERS)
    assert abs(sketch.estimate([filled(0, count)]) - count) <= max(1, error * count)


def test_the_union_counts_shared_accounts_once() -> None:
    assert sketch.estimate([filled(0, 800), filled(400, 800)]) == sketch.estimate(
        [filled(0, 1_200)]
    )


def test_the_same_accounts_give_the_same_estimate_on_every_machine() -> None:
    counts = (1, 2, 3, 50, 500, 640, 641, 4_097, 20_000)
    assert [sketch.estimate([filled(0, count)]) for count in counts] == GOLDEN


def test_an_account_seen_before_changes_nothing() -> None:
    registers = filled(0, 300)
    assert not any(sketch.add(registers, sketch.account_hash(KEY, f"u{n}")) for n in range(300))


def test_estimates_equal_the_formula_in_floating_point() -> None:
    for count in (3_000, 9_000, 30_000):
        registers = filled(0, count)
        alpha = 0.7213 / (1 + 1.079 / sketch.REGISTERS)
        raw = alpha * sketch.REGISTERS**2 / sum(2.0**-rank for rank in registers)
        assert abs(sketch.estimate([registers]) - raw) <= 1


def test_small_counts_equal_linear_counting() -> None:
    registers = filled(0, 120)
    empty = registers.count(0)
    expected = round(sketch.REGISTERS * math.log(sketch.REGISTERS / empty))
    assert sketch.estimate([registers]) == expected


GOLDEN = [1, 2, 3, 51, 532, 642, 642, 4048, 22258]
