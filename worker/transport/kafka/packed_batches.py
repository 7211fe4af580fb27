"""Hand the client whole record batches instead of one record at a time.

The client's `send` costs more than screening a dozen posts: it checks, locks, encodes and makes a
future for each record. Here the compiled core writes a partition's records into one batch, and
the client's accumulator gets that batch with one future, in the place where it would have put its
own; sequences, transactions, retries and time-outs stay the client's. What it relies on inside
the client is listed in docs/kafka-client.md and held by tests/unit/test_packed_batches.py.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka import errors as client_errors
from kafka.producer.future import FutureRecordMetadata
from kafka.producer.producer_batch import ProducerBatch

from fastpath.batch_writer import BatchWriter
from worker.transport.protocols import Headers

# A record around its key, value and headers: lengths, deltas and attributes, and the batch header.
RECORD_OVERHEAD_BYTES = 128


class Sent(NamedTuple):
    """Hold a batch on its way; the future is that of its last record."""

    topic: str
    records: int
    future: Any


class PackedRecords:
    """Be to the client what its `MemoryRecordsBuilder` is, around a batch that takes no more."""

    producer_id = -1
    producer_epoch = -1
    base_sequence = -1

    def __init__(self, writer: BatchWriter) -> None:
        self._writer = writer
        self._transactional = False
        self._buffer: bytearray | None = None

    def append(self, *_: object) -> None:
        """Take nothing: the client then begins a batch of its own."""

    def is_full(self) -> bool:
        """Tell the accumulator not to wait for more."""
        return True

    def next_offset(self) -> int:
        """Return how many records the batch holds."""
        return self._writer.count

    def size_in_bytes(self) -> int:
        """Return the size of the batch."""
        return self._writer.size

    def set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int, is_transactional: bool
    ) -> None:
        """Take identity and sequence, once: a batch that is sent again keeps them."""
        if self._buffer is not None:
            raise client_errors.IllegalStateError("the batch has its identity and sequence")
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        self._transactional = is_transactional

    def close(self) -> None:
        """Write the batch; a later call changes nothing."""
        if self._buffer is None:
            self._buffer = self._writer.build(
                self.producer_id, self.producer_epoch, self.base_sequence, self._transactional
            )

    def buffer(self) -> bytearray | None:
        """Return the written batch."""
        return self._buffer


class _Indivisible(list[Any]):
    """Stand for a batch's futures: the client splits a batch that a broker finds too large."""

    def __len__(self) -> int:
        raise client_errors.MessageSizeTooLargeError(
            "a broker takes no batch of kafka.batch_size_bytes: lower it, or raise the topic's "
            "max.message.bytes"
        )


class PackedBatches:
    """Collect records by partition and hand them over as batches; one thread."""

    def __init__(self, producer: KafkaProducer, batch_bytes: int, max_record_bytes: int) -> None:
        self._producer = producer
        self._batch_bytes = batch_bytes
        self._max_record_bytes = max_record_bytes
        self._open: dict[tuple[str, int], BatchWriter] = {}
        self._sent: list[Sent] = []

    def add(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        time_ms: int | None,
    ) -> None:
        """Add a record to its partition's batch; a full one goes to the client.

        Raises:
            KafkaError: the record is too large, or the client takes no batch.
        """
        size = RECORD_OVERHEAD_BYTES
        if key is not None:
            size += len(key)
        if value is not None:
            size += len(value)
        if headers:
            size += sum(len(name) * 4 + len(held) for name, held in headers)
        if size > self._max_record_bytes:
            raise client_errors.MessageSizeTooLargeError(
                f"{size} bytes; kafka.max_request_size_bytes is {self._max_record_bytes}"
            )
        if time_ms is None:
            time_ms = time.time_ns() // 1_000_000
        place = topic, partition
        writer = self._open.get(place)
        if writer is not None:
            if writer.append(key, value, headers, time_ms):
                return
            self._hand_over(topic, partition, writer)
            self._producer._sender.wakeup()
        writer = self._open[place] = BatchWriter(self._batch_bytes)
        writer.append(key, value, headers, time_ms)

    def take(self) -> list[Sent]:
        """Hand everything over and return what was handed over since the last call.

        Wakes nobody, the client's flush does: a sender that is woken for the first of several
        batches often sends it alone, in a request that costs as much as the one for the rest.
        """
        opened, self._open = self._open, {}
        for (topic, partition), writer in opened.items():
            self._hand_over(topic, partition, writer)
        sent, self._sent = self._sent, []
        return sent

    def _hand_over(self, topic: str, partition: int, writer: BatchWriter) -> None:
        tp = TopicPartition(topic, partition)
        transactions = self._producer._transaction_manager
        if transactions is not None and transactions.is_transactional():
            transactions.maybe_add_partition_to_transaction(tp)
        batch = ProducerBatch(tp, PackedRecords(writer))
        batch.max_record_size = writer.size
        batch._record_futures = _Indivisible()
        last = FutureRecordMetadata(batch.produce_future, writer.count - 1, -1, None, -1, -1, -1)
        accumulator = self._producer._accumulator
        accumulator._appends_in_progress.increment()
        try:
            with accumulator._tp_lock(tp):
                if accumulator._closed:
                    raise client_errors.IllegalStateError("the producer is closed")
                accumulator._batches[tp].append(batch)
                accumulator._incomplete.add(batch)
        finally:
            accumulator._appends_in_progress.decrement()
        self._sent.append(Sent(topic, writer.count, last))
