"""CRC-32C by table and by instruction equals another implementation."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.checksum import crc32c_of

MOST = 20_000  # past the widest step of the instruction's version, 3 x 2,048 bytes


@pytest.mark.parametrize("scalar", [False, True])
@settings(max_examples=200)
@given(size=st.integers(0, MOST), start=st.integers(0, 16), seed=st.integers(0, 2**32))
def test_crc32c_equals_another_implementation(
    scalar: bool, size: int, start: int, seed: int
) -> None:
    data = random.Random(seed).randbytes(start + size)[start:]
    assert crc32c_of(data, scalar=scalar) == crc32c.crc32c(data)


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize("size", [*range(40), 383, 384, 385, 6_143, 6_144, 6_145, 12_288])
def test_every_edge_of_a_step_is_right(size: int, scalar: bool) -> None:
    data = random.Random(size).randbytes(size)
    assert crc32c_of(data, scalar=scalar) == crc32c.crc32c(data)


def test_the_check_value() -> None:
    assert crc32c_of(b"123456789") == crc32c_of(b"123456789", scalar=True) == 0xE3069283


def test_the_instruction_can_be_switched_off() -> None:
    program = "from fastpath.checksum import HARDWARE; print(HARDWARE)"
    environment = {**os.environ, "FASTPATH_ISA": "scalar"}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )
    assert found.stdout == b"False\n"
