"""The allocator hands out aligned, disjoint memory and gives back what a batch took."""

import itertools
import random
import subprocess
import sys

import pytest

from fastpath.arena import Arena

CHUNK_BYTES = 512 * 1024


def test_pieces_are_aligned_and_disjoint():
    rng = random.Random(7)
    arena = Arena()
    pieces = []
    for _ in range(2_000):
        size = rng.choice([0, 1, 15, 16, 17, 300, 5_000, CHUNK_BYTES, CHUNK_BYTES + 1])
        pieces.append((arena.allocate(size), size))
    assert all(address % 16 == 0 for address, _ in pieces)
    ordered = sorted((address, address + size) for address, size in pieces if size)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ordered))


def test_a_reset_arena_serves_the_next_batch_from_the_same_memory():
    arena = Arena()
    first = [arena.allocate(300_000) for _ in range(4)]
    held = arena.held_bytes
    arena.reset(keep=held)
    assert [arena.allocate(300_000) for _ in range(4)] == first
    assert arena.held_bytes == held


def test_a_reset_frees_what_exceeds_the_kept_bytes():
    arena = Arena()
    arena.allocate(16)
    arena.allocate(50_000_000)
    assert arena.held_bytes == CHUNK_BYTES + 50_000_000
    arena.reset(keep=CHUNK_BYTES)
    assert arena.held_bytes == CHUNK_BYTES
    arena.reset()
    assert arena.held_bytes == 0
    assert arena.allocate(16)


def test_kept_chunks_too_small_for_a_request_are_passed_over():
    arena = Arena()
    for _ in range(3):
        arena.allocate(CHUNK_BYTES)
    arena.reset(keep=10 * CHUNK_BYTES)
    arena.allocate(2 * CHUNK_BYTES)
    assert arena.held_bytes == 5 * CHUNK_BYTES


@pytest.mark.parametrize("size", [2**64 - 1, 2**64 - 16, 2**64 - 40, 2**63])
def test_a_size_that_no_machine_has_is_an_error_and_harms_nothing(size):
    arena = Arena()
    before = arena.allocate(16)
    with pytest.raises(MemoryError, match=f"no memory for {size} bytes"):
        arena.allocate(size)
    assert arena.allocate(16) == before + 16


FAULTS = """
import resource
from fastpath.arena import keep_freed
if {keep}:
    assert keep_freed()
fetch = bytearray(4 * 1024 * 1024)
held = [bytes(fetch) for _ in range(8)]
held.clear()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    held = [bytes(fetch) for _ in range(8)]
    held.clear()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    """Return how many pages a process took from the kernel for fetch after fetch."""
    run = [sys.executable, "-c", FAULTS.format(keep=keep)]
    return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


def test_freed_memory_serves_the_next_fetch():
    assert faults(keep=True) * 20 < faults(keep=False)
