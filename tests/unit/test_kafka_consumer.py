"""What the consumer puts in the client's place, on hand-made batches."""

from __future__ import annotations

import pytest
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record.memory_records import MemoryRecords

from fastpath.batches import RecordBatches
from fastpath.inflate import MAX_INFLATED_BYTES, InflatedTooLargeError
from tests.support.batches import RawKey, batch, broken
from worker.transport.kafka.consumer import RecordHeaders
from worker.transport.kafka.plain_records import KeptRecords
from worker.transport.protocols import Partition

TP = TopicPartition("posts", 0)
GOOD = (b"k", b"v", [])


def kept(buffer: bytes, fetch_offset: int = 0) -> KeptRecords:
    return KeptRecords(fetch_offset, TP, MemoryRecords(buffer))


def test_good_records_come_as_the_client_reads_them() -> None:
    part = kept(batch(0, [GOOD] * 3) + batch(7, [GOOD]))
    assert [record.offset for record in part.take(10)] == [0, 1, 2, 7]
    assert not part
    assert part.next_fetch_offset == 8


@pytest.mark.parametrize(
    "bad",
    [
        broken(batch(1, [GOOD])),
        broken(batch(1, [GOOD], codec=3)),
        batch(1, [(b"k", b"v", [(RawKey("x"), b"")])]),
    ],
    ids=["checksum", "compressed", "header"],
)
def test_a_failure_whose_error_was_swallowed_ends_drained(bad: bytes) -> None:
    part = kept(batch(0, [GOOD]) + bad)
    assert [record.offset for record in part.take(10)] == [0]
    with pytest.raises((CorruptRecordError, UnicodeDecodeError)):
        part.take(10)
    assert part, "the stock client would now give nothing, for ever"
    assert part.take(10) == []
    assert not part
    assert part.buffer.endswith(bad)


def test_a_bomb_raises_before_it_is_inflated() -> None:
    part = kept(batch(0, [(b"k", bytes(MAX_INFLATED_BYTES), [])], codec=1))
    with pytest.raises(InflatedTooLargeError):
        part.take(10)


def test_headers_are_found_by_partition_and_offset() -> None:
    buffer = batch(3, [(b"k", b"v", [("a", b"1")]), GOOD, (b"k", b"v", [("b", b"")])])
    view = RecordBatches("posts", 0, buffer + batch(9, [GOOD])).read()
    assert view is not None
    headers = RecordHeaders([view.slice(0, 2), view.slice(2, 4)])
    here = Partition("posts", 0)
    assert dict(headers) == {(here, 3): (("a", b"1"),), (here, 5): (("b", b""),)}
    assert len(headers) == 2
    for absent in ((here, 4), (here, 6), (here, 100), (Partition("posts", 1), 3)):
        assert headers.get(absent, ()) == ()
