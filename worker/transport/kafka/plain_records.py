"""Read fetched records with the client's own class, kept from spinning and from bombs.

The path for a client that the batch views were not tried on, and for `kafka.fast_path: false`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from fastpath.inflate import inflate
from fastpath.records import BatchView
from worker.transport.kafka import quarantine
from worker.transport.protocols import Partition


class MarkedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # the client is untyped
    """Read as the client does, and pass over markers that a cleaner emptied.

    Of the last batch of a producer that is still known, compaction keeps the header when its
    record may go, of a marker too. The client asks every marker for its record, raises on an
    empty one, and would on every later read of that partition.
    """

    def _contains_abort_marker(self, batch: Any) -> bool:
        return batch.records_count > 0 and bool(super()._contains_abort_marker(batch))


class KeptRecords(MarkedRecords):
    """Read as the client does, and keep the fetched bytes for a record that makes it raise."""

    def __init__(self, fetch_offset: int, tp: Any, records: Any, *args: Any, **kwargs: Any) -> None:
        self.buffer = bytes(records._buffer)
        self.aborted = aborted_of(kwargs.get("aborted_transactions"))
        super().__init__(fetch_offset, tp, records, *args, **kwargs)

    def take(self, n: int | None = None) -> list[Any]:
        """Return records, raise, or end up drained: anything else would make poll() spin.

        After it has raised, the stock iterator gives nothing for ever; when a rebalance then
        swallows the error, only this notices. A drained object is fetched again.
        """
        records: list[Any] = super().take(n)
        if not records and self:
            self.drain()
        return records

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
        yield from super()._unpack_records(tp, _Inflated(records), *deserializers)


class _Inflated:
    """Give the client each batch inflated: its own codecs know no cap, and need more packages."""

    def __init__(self, records: MemoryRecords) -> None:
        self._records = records

    def next_batch(self) -> Any:
        """Return the next batch, or None.

        Raises:
            InflateError: it does not inflate, or past the cap.
        """
        batch = self._records.next_batch()
        if not isinstance(batch, DefaultRecordBatch) or not batch.compression_type:
            return batch
        if not batch.validate_crc():
            return batch  # the client says so itself
        raw = bytes(batch._buffer)
        body = inflate(batch.compression_type, raw[quarantine.HEADER.size :])
        return DefaultRecordBatch(quarantine.with_records(raw, body))


def aborted_of(transactions: Sequence[Any] | None) -> list[tuple[int, int]]:
    """Return (producer id, first offset) of the aborted transactions of a fetch."""
    return [(each.producer_id, each.first_offset) for each in transactions or ()]


def view_of(partition: Partition, records: Sequence[Any]) -> BatchView:
    """Index records that the client has read."""
    return BatchView.from_records(
        partition.topic,
        partition.number,
        [record.key for record in records],
        [record.value for record in records],
        [record.timestamp for record in records],
        [record.offset for record in records],
    )
