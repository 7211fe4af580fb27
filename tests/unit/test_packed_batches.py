"""Whole batches enter the client's accumulator as its own would, and come out the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka import errors as client_errors
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.memory_records import MemoryRecords

from worker.transport.kafka.packed_batches import PackedBatches, Sent

TP = TopicPartition("t", 3)
ROOM = 1_000


class Transactions:
    def __init__(self) -> None:
        self.added: list[TopicPartition] = []

    def is_transactional(self) -> bool:
        return True

    def maybe_add_partition_to_transaction(self, tp: TopicPartition) -> None:
        self.added.append(tp)


@pytest.fixture
def producer() -> Any:
    """Stand in for a producer: its real accumulator, without a broker."""
    woken: list[int] = []
    return SimpleNamespace(
        _accumulator=RecordAccumulator(batch_size=ROOM, message_version=2),
        _transaction_manager=Transactions(),
        _sender=SimpleNamespace(wakeup=lambda: woken.append(1)),
        woken=woken,
    )


def packed(producer: Any, count: int, value: bytes = b"v" * 20) -> tuple[list[Sent], list[Any]]:
    batches = PackedBatches(producer, ROOM, 10 * ROOM)
    for number in range(count):
        batches.add("t", 3, b"k%d" % number, value, (("h", b"x"),), 7_000 + number)
    return batches.take(), list(producer._accumulator._batches[TP])


def test_records_come_out_in_order_and_once(producer: Any) -> None:
    sent, batches = packed(producer, 100)
    assert len(batches) > 1, "the room must matter"
    assert [each.records for each in sent] == [batch.record_count for batch in batches]
    read = []
    for batch in batches:
        assert batch.records.is_full()
        batch.records.set_producer_state(5, 1, 0, True)
        batch.records.close()
        assert batch.records.size_in_bytes() <= ROOM
        for held in MemoryRecords(batch.records.buffer()):
            assert held.validate_crc()
            assert (held.producer_id, held.is_transactional) == (5, True)
            read += [(r.key, r.value, tuple(r.headers), r.timestamp) for r in held]
    assert read == [(b"k%d" % n, b"v" * 20, (("h", b"x"),), 7_000 + n) for n in range(100)]
    assert producer._transaction_manager.added == [TP] * len(batches)
    assert producer.woken
    assert producer._accumulator.has_incomplete


def test_batches_of_many_partitions_wait_to_be_sent_together(producer: Any) -> None:
    batches = PackedBatches(producer, ROOM, 10 * ROOM)
    for partition in range(4):
        batches.add("t", partition, b"k", b"v", (), 7_000)
    assert len(batches.take()) == 4
    assert not producer.woken, "a sender that is woken for the first sends it alone"


def test_the_future_is_that_of_the_last_record(producer: Any) -> None:
    (sent,), (batch,) = packed(producer, 3)
    batch.records.close()
    batch.complete(40, -1)
    found = sent.future.get(0)
    assert (found.topic, found.partition, found.offset) == ("t", 3, 42)


def test_a_batch_that_failed_fails_its_future(producer: Any) -> None:
    (sent,), (batch,) = packed(producer, 3)
    batch.abort(client_errors.ProducerFencedError())
    with pytest.raises(client_errors.ProducerFencedError):
        sent.future.get(0)


def test_a_batch_keeps_its_identity_when_it_is_sent_again(producer: Any) -> None:
    _, (batch,) = packed(producer, 3)
    batch.records.set_producer_state(5, 1, 9, False)
    batch.records.close()
    first = bytes(batch.records.buffer())
    with pytest.raises(client_errors.IllegalStateError):
        batch.records.set_producer_state(6, 1, 0, False)
    batch.records.close()
    assert batch.records.buffer() == first
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (5, 1, 9)


def test_a_batch_is_never_split_behind_our_back(producer: Any) -> None:
    _, (batch,) = packed(producer, 3)
    batch.records.close()
    with pytest.raises(client_errors.MessageSizeTooLargeError, match="batch_size_bytes"):
        producer._accumulator.split_and_reenqueue(batch)


def test_a_record_above_the_request_size_is_refused(producer: Any) -> None:
    with pytest.raises(client_errors.MessageSizeTooLargeError, match="max_request_size_bytes"):
        packed(producer, 1, b"x" * 10 * ROOM)


def test_nothing_enters_a_closed_producer(producer: Any) -> None:
    producer._accumulator.close()
    with pytest.raises(client_errors.IllegalStateError):
        packed(producer, 1)
