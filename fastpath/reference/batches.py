"""Read fetched Kafka record batches in plain Python: the oracle of the compiled index.

Layout and rules: fastpath/batches.pyx. Decompression is a library's and shared by both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from crc32c import crc32c

from fastpath.inflate import InflatedTooLargeError, InflateError, inflate

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CODEC, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_INT64 = range(-(2**63), 2**63)


class BatchRecord(NamedTuple):
    """Hold one record."""

    offset: int
    time: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes], ...]
    raw: bytes


@dataclass
class Reading:
    """Hold what a buffer gave; `error` is a name of BATCH_ERRORS, or "old" for formats 0 and 1."""

    next_offset: int
    records: list[BatchRecord] = field(default_factory=list)
    error: str | None = None
    stopped_at: int = 0
    leader_epoch: int = -1


class _Batch(NamedTuple):
    base_offset: int
    leader_epoch: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    record_count: int
    raw: bytes

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta


class _BadError(Exception):
    """Carry the name of what is wrong with a batch."""


def read_batches(
    buffer: bytes,
    *,
    fetch_offset: int = 0,
    check_crcs: bool = True,
    aborted: Sequence[tuple[int, int]] | None = None,
    check_header_keys: bool = True,
) -> Reading:
    """Read whole batches up to the end of the buffer or the first that is broken."""
    reading = Reading(fetch_offset)
    waiting = sorted(aborted or (), key=lambda entry: entry[1])
    running: set[int] = set()
    after_last: int | None = None
    while True:
        try:
            batch = _open(buffer, reading.stopped_at, check_crcs, after_last)
            if batch is None:
                if after_last is not None and reading.next_offset <= fetch_offset:
                    reading.stopped_at, reading.error = 0, "offsets"
                return reading
            reading.leader_epoch = batch.leader_epoch
            skip = _has_nothing(batch, aborted is not None, waiting, running)
            if not skip and batch.last_offset >= fetch_offset:
                records = _records(batch, check_header_keys)
                reading.records += [r for r in records if r.offset >= fetch_offset]
        except _BadError as bad:
            reading.error = str(bad)
            return reading
        after_last = batch.last_offset + 1
        reading.next_offset = max(reading.next_offset, after_last)
        reading.stopped_at += len(batch.raw)


def _open(buffer: bytes, at: int, check_crcs: bool, after_last: int | None) -> _Batch | None:
    left = len(buffer) - at
    if left < 17:
        return None
    length = int.from_bytes(buffer[at + 8 : at + 12], "big", signed=True)
    magic = buffer[at + 16]
    if length < 5:
        raise _BadError("length")
    if length > left - 12:
        return None
    if magic in (0, 1):
        raise _BadError("old")
    if magic != 2:
        raise _BadError("magic")
    if length < _HEADER.size - 12:
        raise _BadError("length")
    raw = buffer[at : at + 12 + length]
    base, _, epoch, _, crc, attributes, delta, first, most, pid, _, _, count = _HEADER.unpack_from(
        raw
    )
    if check_crcs and crc32c(raw[21:]) != crc:
        raise _BadError("checksum")
    behind = after_last is not None and base < after_last
    if base < 0 or delta < 0 or base + delta + 1 not in _INT64 or behind:
        raise _BadError("offsets")
    if count < 0:
        raise _BadError("count")
    return _Batch(base, epoch, crc, attributes, delta, first, most, pid, count, raw)


def _has_nothing(
    batch: _Batch, committed: bool, waiting: list[tuple[int, int]], running: set[int]
) -> bool:
    """Follow the aborted transactions; tell whether the batch shows no record."""
    control = bool(batch.attributes & _CONTROL)
    if committed and batch.producer_id >= 0:
        while waiting and waiting[0][1] <= batch.last_offset:
            running.add(waiting.pop(0)[0])
        if control and _is_abort_marker(batch):
            running.discard(batch.producer_id)
        elif batch.attributes & _TRANSACTIONAL and batch.producer_id in running:
            return True
    return control or batch.record_count == 0


def _is_abort_marker(batch: _Batch) -> bool:
    if batch.record_count < 1 or batch.attributes & _CODEC:
        return False
    try:
        cursor = _Cursor(batch.raw[_HEADER.size :])
        cursor.varint(32)
        cursor.take(1)
        cursor.varint(64)
        cursor.varint(32)
        key = cursor.nullable()
    except _BadError:
        return False
    return key is not None and len(key) >= 4 and key[2:4] == b"\0\0"


def _records(batch: _Batch, check_header_keys: bool) -> list[BatchRecord]:
    body = batch.raw[_HEADER.size :]
    codec = batch.attributes & _CODEC
    if codec:
        try:
            body = inflate(codec, body)
        except InflatedTooLargeError:
            raise _BadError("inflated_too_large") from None
        except InflateError:
            raise _BadError("codec") from None
    if batch.record_count > len(body) // 7:
        raise _BadError("count")
    records = list(_walk(batch, body))
    if check_header_keys and any(
        not _is_utf8(key) for record in records for key, _ in record.headers
    ):
        raise _BadError("header_key")
    return records


def _walk(batch: _Batch, body: bytes) -> Iterator[BatchRecord]:
    cursor = _Cursor(body)
    last_delta = -1
    for _ in range(batch.record_count):
        start = cursor.at
        record = _Cursor(cursor.take(cursor.varint(32)))
        record.take(1)  # attributes, unused
        time = batch.first_timestamp + record.varint(64)
        if batch.attributes & _LOG_APPEND_TIME:
            time = batch.max_timestamp
        delta = record.varint(32)
        if not last_delta < delta <= batch.last_offset_delta or time not in _INT64:
            raise _BadError("record")
        last_delta = delta
        key, value = record.nullable(), record.nullable()
        headers = tuple(record.headers())
        record.end()
        offset = batch.base_offset + delta
        yield BatchRecord(offset, time, key, value, headers, body[start : cursor.at])
    cursor.end()


def _is_utf8(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Cursor:
    """Take pieces of bytes from the front; anything that does not fit is a bad record."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise _BadError("record")
        self.at += size
        return self.data[self.at - size : self.at]

    def varint(self, bits: int) -> int:
        held = shift = 0
        while True:
            byte = self.take(1)[0]
            held |= (byte & 0x7F) << shift
            if held >= 1 << bits or shift >= bits:
                raise _BadError("record")
            if byte < 0x80:
                return (held >> 1) ^ -(held & 1)
            shift += 7

    def nullable(self) -> bytes | None:
        size = self.varint(32)
        return None if size == -1 else self.take(size)

    def headers(self) -> Iterator[tuple[bytes, bytes]]:
        count = self.varint(32)
        if count < 0:
            raise _BadError("record")
        for _ in range(count):
            key = self.nullable()
            if key is None:
                raise _BadError("record")
            yield key, self.nullable() or b""

    def end(self) -> None:
        if self.at != len(self.data):
            raise _BadError("record")
