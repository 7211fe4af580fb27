"""Read a buffer of record batches with the core and hold it against the twin."""

from __future__ import annotations

from typing import Any

from fastpath.batches import RecordBatches, raw_record, record_headers
from fastpath.reference.batches import BatchRecord, Reading, read_batches


def read(buffer: bytes, **options: Any) -> Reading:
    """Read with the compiled index; the twin's answer must be the same."""
    reader = RecordBatches("posts", 3, buffer, **options)
    records: list[BatchRecord] = []
    while not reader.ended:
        view = reader.read()
        if view is not None:
            assert (view.topic, view.partition) == ("posts", 3)
            records += [
                BatchRecord(
                    view.offset(i),
                    view.time(i),
                    view.key(i),
                    view.value(i),
                    record_headers(view, i),
                    raw_record(view, i),
                )
                for i in range(len(view))
            ]
    assert reader.read() is None
    twin = read_batches(buffer, **options)
    error = "old" if reader.old_format is not None else reader.error
    assert (records, reader.next_offset, error) == (twin.records, twin.next_offset, twin.error)
    assert reader.leader_epoch == twin.leader_epoch
    if reader.old_format is not None:
        assert reader.old_format == buffer[twin.stopped_at :]
    elif reader.bad is not None:
        assert buffer[twin.stopped_at :] == reader.bad + reader.after_bad
    return twin
