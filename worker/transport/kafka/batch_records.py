"""Hand fetched records to poll() as batch views: what the client's own class does, in bulk.

The client builds a Python object per record, 4 µs each; the compiled index takes 20 ns. Its
fetcher looks the class up through the instance, so that one assignment puts this one in its
place for one consumer. What the fetcher relies on is in docs/kafka-client.md, line by line.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kafka.consumer.fetcher import IsolationLevel
from kafka.errors import CorruptRecordError
from kafka.record.memory_records import MemoryRecords

from fastpath.batches import RecordBatches, record_headers
from fastpath.records import BatchView
from worker.transport.kafka import quarantine
from worker.transport.kafka.plain_records import KeptRecords, aborted_of, view_of
from worker.transport.protocols import Headers, Partition


class Taken:
    """Hold one view; its length is that of its records, by which the client counts."""

    __slots__ = ("_view",)

    def __init__(self, view: BatchView) -> None:
        self._view = view

    def __len__(self) -> int:
        return len(self._view)

    def __iter__(self) -> Iterator[BatchView]:
        return iter((self._view,))


class BatchRecords:
    """Stand in for the client's PartitionRecords: the records of one fetched partition.

    Made and used by the fetcher on the thread that polls. True until it is drained; `take` then
    gives at least one record, raises, or drains: a true object that gives nothing would make
    poll() spin. A batch that cannot be read raises again on each call until it is drained.
    """

    def __init__(
        self,
        fetch_offset: int,
        tp: Any,
        records: Any,
        key_deserializer: object = None,
        value_deserializer: object = None,
        check_crcs: bool = True,
        isolation_level: int = IsolationLevel.READ_UNCOMMITTED,
        aborted_transactions: Sequence[Any] | None = None,
        metric_aggregator: Any = None,
        on_drain: Callable[[Any], None] = lambda _: None,
    ) -> None:
        if key_deserializer is not None or value_deserializer is not None:
            raise ValueError("records are bytes: deserializers hide errors from us")
        committed = isolation_level == IsolationLevel.READ_COMMITTED
        self.topic_partition = tp
        self.fetch_offset = fetch_offset
        self.next_fetch_offset = fetch_offset
        self.leader_epoch = -1
        self.bytes_read = 0
        self.records_read = 0
        self.buffer = bytes(records._buffer)
        self.aborted = aborted_of(aborted_transactions)
        self._check_crcs = check_crcs
        self._metric_aggregator = metric_aggregator
        self._on_drain = on_drain
        self._reader = RecordBatches(
            tp.topic,
            tp.partition,
            self.buffer,
            fetch_offset=fetch_offset,
            check_crcs=check_crcs,
            aborted=self.aborted if committed else None,
        )
        self._rest: BatchView | None = None
        self._old: KeptRecords | None = None  # what is left in message format 0 or 1
        self._drained = False

    def __bool__(self) -> bool:
        return not self._drained

    def drain(self) -> None:
        """Let go of what is left; counts once."""
        if self._drained:
            return
        self._drained = True
        self._rest = None
        if self._metric_aggregator:
            self._metric_aggregator.record(self.topic_partition, self.bytes_read, self.records_read)
        self._on_drain(self)

    def take(self, n: int | None = None) -> Taken | tuple[()]:
        """Return a view of at most `n` records, or nothing when drained by this call.

        Raises:
            CorruptRecordError: the next batch cannot be read.
        """
        if self._drained:
            return ()
        found = self._rest or self._read()
        if found is None:
            return self._end(n)
        size = len(found) if n is None else min(n, len(found))
        self._rest = found.slice(size, len(found)) if size < len(found) else None
        view = found.slice(0, size)
        if self._rest is None:
            self.next_fetch_offset = self._reader.next_offset
            if self._reader.ended and self._reader.error is None and not self._goes_on_old:
                self._count(size)
                self.drain()
                return Taken(view)
        else:
            self.next_fetch_offset = view.offset(size - 1) + 1
        self._count(size)
        return Taken(view)

    @property
    def _goes_on_old(self) -> bool:
        return self._reader.old_format is not None

    def _read(self) -> BatchView | None:
        """Index what comes next; compressed batches come in several pieces."""
        while not self._reader.ended:
            view = self._reader.read()
            self.leader_epoch = self._reader.leader_epoch
            if view is not None and len(view):
                return view
        return None

    def _count(self, records: int) -> None:
        self.records_read += records
        self.bytes_read = self._reader.bytes_read

    def _end(self, n: int | None) -> Taken | tuple[()]:
        """Raise, go on in the old format, or be done; what was passed over counts as read."""
        error = self._reader.error
        if error is not None:
            first, last = _ends(self._reader.bad or b"", self.next_fetch_offset)
            raise CorruptRecordError(
                f"record batch of {self.topic_partition.topic}-{self.topic_partition.partition}, "
                f"offsets {first} to {last}: {error}"
            )
        self.next_fetch_offset = self._reader.next_offset
        left = self._reader.old_format
        if left is not None:
            return self._take_old(left, n)
        self.drain()
        return ()

    def _take_old(self, left: bytes, n: int | None) -> Taken | tuple[()]:
        """Let the client's class read what no broker since 4.0 stores."""
        if self._old is None:
            self._old = KeptRecords(
                self.next_fetch_offset,
                self.topic_partition,
                MemoryRecords(left),
                check_crcs=self._check_crcs,
            )
        records = self._old.take(n)
        self.next_fetch_offset = self._old.next_fetch_offset
        self._count(len(records))
        self.bytes_read += self._old.bytes_read
        if not self._old:
            self.drain()
        if not records:
            return ()
        return Taken(view_of(Partition(*self.topic_partition), records))


class RecordHeaders(Mapping[tuple[Partition, int], Headers]):
    """Look up the headers of records in their views when asked: only dead letters ask."""

    def __init__(self, views: Iterable[BatchView]) -> None:
        self._views = [view for view in views if len(view)]

    def __getitem__(self, place: tuple[Partition, int]) -> Headers:
        partition, offset = place
        for view in self._views:
            if (view.topic, view.partition) == partition:
                index = bisect_left(range(len(view)), offset, key=view.offset)
                if index < len(view) and view.offset(index) == offset:
                    return self._found(view, index, place)
        raise KeyError(place)

    def _found(self, view: BatchView, index: int, place: tuple[Partition, int]) -> Headers:
        headers = quarantine.decoded(record_headers(view, index))
        if not headers:
            raise KeyError(place)
        return headers

    def __iter__(self) -> Iterator[tuple[Partition, int]]:
        for view in self._views:
            for index in range(len(view)):
                if record_headers(view, index):
                    yield Partition(view.topic, view.partition), view.offset(index)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _ends(batch: bytes, otherwise: int) -> tuple[int, int]:
    """Read first and last offset from a batch's header, as far as it can be believed."""
    if len(batch) < 27:
        return otherwise, otherwise
    first = int.from_bytes(batch[:8], "big", signed=True)
    return first, first + int.from_bytes(batch[23:27], "big", signed=True)
