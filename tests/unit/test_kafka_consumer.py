"""The one class of the client that the consumer replaces, on hand-made batches."""

from __future__ import annotations

import pytest
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record.memory_records import MemoryRecords

from tests.support.batches import CODEC_GZIP, RawKey, batch, broken
from worker.transport.kafka import quarantine
from worker.transport.kafka.consumer import _KeptRecords

TP = TopicPartition("posts", 0)
GOOD = (b"k", b"v", [])


def kept(buffer: bytes, fetch_offset: int = 0) -> _KeptRecords:
    return _KeptRecords(fetch_offset, TP, MemoryRecords(buffer))


def test_good_records_come_as_the_client_reads_them() -> None:
    part = kept(batch(0, [GOOD] * 3) + batch(7, [GOOD]))
    assert [record.offset for record in part.take(10)] == [0, 1, 2, 7]
    assert not part
    assert part.next_fetch_offset == 8


@pytest.mark.parametrize(
    "bad",
    [broken(batch(1, [GOOD])), batch(1, [(b"k", b"v", [(RawKey("x"), b"")])])],
    ids=["checksum", "header"],
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


def test_a_bomb_raises_before_it_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_INFLATED_BYTES", 100_000)
    part = kept(batch(0, [(b"k", b"\0" * 200_000, [])], codec=CODEC_GZIP))
    with pytest.raises(quarantine.InflatedTooLargeError):
        part.take(10)
