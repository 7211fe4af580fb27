"""Batches that the core writes are, byte for byte, those of the client's own builder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2
from kafka.record.default_records import DefaultRecordBatchBuilder

from fastpath.batch_writer import HEADER_BYTES, BatchWriter, partition_of

fields = st.none() | st.binary(max_size=200)
headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=40)), max_size=3).map(tuple)
records = st.lists(st.tuples(fields, fields, headers, st.integers(-(2**40), 2**42)), min_size=1)
states = st.tuples(
    st.integers(0, 2**63 - 1), st.integers(0, 2**15 - 1), st.integers(0, 2**31 - 1), st.booleans()
)


def builder(room: int) -> DefaultRecordBatchBuilder:
    return DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=False, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=room,
    )  # fmt: skip


@given(records=records, room=st.integers(HEADER_BYTES, 2_000), state=states)
def test_the_bytes_are_those_of_the_client(
    records: list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...], int]],
    room: int,
    state: tuple[int, int, int, bool],
) -> None:
    ours, theirs = BatchWriter(room), builder(room)
    taken = 0
    for key, value, held, time in records:
        due = theirs.append(taken, time, key, value, list(held))
        assert ours.append(key, value, held, time) is (due is not None)
        taken += due is not None
        assert (ours.count, ours.size) == (taken, theirs.size())
    theirs.set_producer_state(*state)
    assert ours.build(*state) == theirs.build()
    assert ours.build(*state) == ours.build(*state)


def test_a_first_record_larger_than_the_room_is_taken() -> None:
    writer = BatchWriter(100)
    assert writer.append(None, b"x" * 100_000, (), 0)
    assert not writer.append(None, b"", (), 0)


@given(key=st.binary(max_size=40), partitions=st.integers(1, 2**31 - 1))
def test_keys_are_placed_as_by_the_client(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


def test_there_is_no_placing_without_partitions() -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        partition_of(b"k", 0)
