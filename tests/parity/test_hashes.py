"""Hashes equal published vectors and other implementations."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath import BuildError, hashes
from fastpath.reference import hashes as twin
from fastpath.spec import HashList
from tests.support import isa_levels

# SipHash-2-4-128 of 00, 00 01, ... under the key 00 01 .. 0f (vectors.h of the reference
# implementation).
SIPHASH_VECTORS = {
    0: "a3817f04ba25a8e66df67214c7550293",
    1: "da87c1d86b99af44347659119b22fc45",
    2: "8177228da4a45dc7fca38bdef60affe4",
    7: "a1f1ebbed8dbc153c0b84aa61ff08239",
    8: "3b62a9ba6258f5610f83e264f31497b4",
    15: "5493e99933b0a8117e08ec0f97cfc3d9",
    63: "5150d1772f50834a503e069a973fbd7c",
}
KEY = bytes(range(16))


@pytest.mark.parametrize("size", SIPHASH_VECTORS)
def test_siphash_equals_the_published_vectors(size: int) -> None:
    data = bytes(range(size))
    assert twin.siphash128(KEY, data).hex() == SIPHASH_VECTORS[size]
    if size:  # the compiled one always hashes a tag byte
        assert hashes.siphash128_of(KEY, data).hex() == SIPHASH_VECTORS[size]


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=300))
def test_siphash_equals_the_twin(key: bytes, data: bytes) -> None:
    assert hashes.siphash128_of(key, data) == twin.siphash128(key, data)


def test_blake2b_equals_hashlib_at_every_block_edge() -> None:
    data = random.Random(3).randbytes(1_100)
    for size in (*range(300), 383, 384, 385, 511, 512, 513, 1_100):
        for key in (b"", b"k", bytes(64)):
            for digest_size in (1, 16, 20, 64):
                due = hashlib.blake2b(data[:size], digest_size=digest_size, key=key).digest()
                assert hashes.blake2b_of(data[:size], digest_size, key) == due


def test_blake2b_of_abc() -> None:
    """RFC 7693, appendix A."""
    assert hashes.blake2b_of(b"abc", 64).hex().startswith("ba80a53f981c4d0d6a2797b69f12f6e9")


@given(st.lists(st.binary(max_size=400) | st.integers(0, 5).map(lambda n: bytes(128 * n))))
def test_digests_side_by_side_equal_hashlib(messages: list[bytes]) -> None:
    due = [hashlib.blake2b(each, digest_size=16).digest() for each in messages]
    assert hashes.blake2b_of_all(messages) == due


def test_digests_side_by_side_at_every_block_edge() -> None:
    """Messages of all lengths, so that each ends beside others in any of their blocks."""
    data = random.Random(5).randbytes(700)
    messages = [data[:size] for size in random.Random(6).sample(range(700), 700)]
    due = [hashlib.blake2b(each, digest_size=16).digest() for each in messages]
    assert hashes.blake2b_of_all(messages) == due


def test_lists_need_a_whole_key() -> None:
    with pytest.raises(BuildError, match="identity key"):
        hashes.ExactLists((HashList("x", "url", ("http://a",)),), b"short")


@pytest.mark.parametrize("level", isa_levels.LOWER)
def test_lower_instruction_sets_make_the_same_digests(level: str) -> None:
    isa_levels.pass_at(level, __file__, "side_by_side")
