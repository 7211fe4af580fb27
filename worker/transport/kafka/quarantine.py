"""Read a fetched record batch that makes the client raise, and save what cannot be read.

Message format 2 (KIP-98, docs.kafka: "Record Batch"), big-endian:

    0   base_offset        i64      23  last_offset_delta  i32
    8   length             i32      27  first_timestamp    i64
    12  leader_epoch       i32      35  max_timestamp      i64
    16  magic              i8       43  producer_id        i64
    17  crc32c             u32      51  producer_epoch     i16
    21  attributes         i16      53  base_sequence      i32
                                    57  record_count       i32      61  records

Only batches that failed in the client come here, so this is written for safety, not for speed:
every length is compared with what is left, and header keys are never decoded while reading.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import crc32c

from worker.domain.dead_letter import DeadLetter, Disposition, Reason
from worker.transport.protocols import Headers, Partition

HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_FROM = 21  # the checksum covers everything from the attributes on
LENGTH_FROM = 12  # `length` counts what follows it
CODEC_MASK, LOG_APPEND_TIME, CONTROL = 0b111, 0b1000, 0b100000
GZIP = 1
# A batch may inflate to this much; `posts` takes no compressed batch at all, and 64 of the
# largest records (256 KiB) fit.
MAX_INFLATED_BYTES = 16 * 1024 * 1024
# A dead letter holds at most this much of a batch; below max_request_size_bytes (1 MiB).
MAX_PIECE_BYTES = 512 * 1024


class InflatedTooLargeError(ValueError):
    """Report a compressed batch that inflates past MAX_INFLATED_BYTES."""


class RawBatch(NamedTuple):
    """Hold one batch as it came and the header fields that reading needs."""

    raw: bytes
    base_offset: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    record_count: int

    @property
    def intact(self) -> bool:
        """Compare the checksum (CRC-32C, RFC 3720) with the bytes."""
        return int(crc32c.crc32c(self.raw[CRC_FROM:])) == self.crc

    @property
    def next_offset(self) -> int:
        """Return the offset after the batch; to be trusted when it is intact."""
        return self.base_offset + self.last_offset_delta + 1


class RawRecord(NamedTuple):
    """Hold one record; `headers` is None where a header's key is no UTF-8."""

    offset: int
    time: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None
    raw: bytes


class Rescued(NamedTuple):
    """Hold what a failing batch gave: records that can be read, letters, and where to go on."""

    records: tuple[RawRecord, ...]
    letters: tuple[DeadLetter, ...]
    next: int


class _CutError(ValueError):
    """Report bytes that end before the field they announce."""


def batches(buffer: bytes) -> Iterator[RawBatch]:
    """Yield the whole batches of a fetched buffer; stop at the first that is cut or foreign."""
    at = 0
    while len(buffer) - at >= HEADER.size:
        fields = HEADER.unpack_from(buffer, at)
        base_offset, length, _epoch, magic, crc, attributes, delta, first, most = fields[:9]
        if magic != 2 or length < HEADER.size - LENGTH_FROM or length > len(buffer) - at - 12:
            return
        end = at + LENGTH_FROM + length
        raw = bytes(buffer[at:end])
        yield RawBatch(raw, base_offset, crc, attributes, delta, first, most, fields[12])
        at = end


def check_inflation(batch: RawBatch) -> None:
    """Refuse a gzip batch that would inflate past the limit, without inflating more than that.

    Raises:
        InflatedTooLargeError: it would.
    """
    if batch.attributes & CODEC_MASK == GZIP:
        _inflate(batch.raw[HEADER.size :])


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    data = inflater.decompress(packed, MAX_INFLATED_BYTES)
    if not inflater.eof and inflater.decompress(inflater.unconsumed_tail, 1):
        raise InflatedTooLargeError(
            f"a batch of {len(packed)} bytes inflates to more than {MAX_INFLATED_BYTES}"
        )
    return data


def rescue(partition: Partition, buffer: bytes, at: int, end: int | None) -> Rescued | None:
    """Read the batch of `buffer` that holds offset `at`, or the first after it.

    `end` bounds where reading may go on when a broken header claims too much (the partition's
    high watermark). None where the buffer holds no such batch. Called after the client failed
    there twice; pure.
    """
    found: RawBatch | None = None
    following: RawBatch | None = None
    for batch in batches(buffer):
        if found is not None:
            following = batch
            break
        if batch.base_offset >= at or batch.next_offset > at or not batch.intact:
            found = batch
    if found is None:
        return None
    if following is not None and following.base_offset > at:
        following_offset = following.base_offset
    else:
        following_offset = max(at + 1, min(found.next_offset, end or found.next_offset))
    if not found.intact:
        return Rescued((), _whole(partition, found, at, Reason.RECORD_CORRUPT), following_offset)
    try:
        records = [r for r in _records(found) if r.offset >= at]
    except InflatedTooLargeError:
        letters = _whole(partition, found, at, Reason.INFLATED_TOO_LARGE)
        return Rescued((), letters, found.next_offset)
    except (_CutError, zlib.error, NotImplementedError):
        letters = _whole(partition, found, at, Reason.RECORD_CORRUPT)
        return Rescued((), letters, found.next_offset)
    letters = tuple(_header_letter(partition, r) for r in records if r.headers is None)
    good = tuple(r for r in records if r.headers is not None)
    return Rescued(good, letters, max(found.next_offset, at + 1))


def _whole(
    partition: Partition, batch: RawBatch, at: int, reason: Reason
) -> tuple[DeadLetter, ...]:
    """Save a batch as it came, in pieces that a producer takes."""
    pieces = [
        batch.raw[start : start + MAX_PIECE_BYTES]
        for start in range(0, len(batch.raw), MAX_PIECE_BYTES)
    ]
    return tuple(
        DeadLetter(
            reason,
            Disposition.POISON,
            partition.topic,
            partition.number,
            at,
            max(batch.max_timestamp, 0) if batch.intact else 0,
            None,
            piece,
            (("weir.dlq.piece", f"{number}/{len(pieces)}".encode()),),
            f"record batch at offset {batch.base_offset}, {len(batch.raw)} bytes",
        )
        for number, piece in enumerate(pieces, 1)
    )


def _header_letter(partition: Partition, record: RawRecord) -> DeadLetter:
    """Save a record whose header keys do not decode whole in the value."""
    return DeadLetter(
        Reason.HEADER_INVALID,
        Disposition.POISON,
        partition.topic,
        partition.number,
        record.offset,
        record.time,
        record.key,
        record.raw,
        (),
        "a header key is not UTF-8; the value holds the whole record in message format 2",
    )


def _records(batch: RawBatch) -> Iterator[RawRecord]:
    if batch.attributes & CONTROL:
        return
    codec = batch.attributes & CODEC_MASK
    if codec not in (0, GZIP):
        raise NotImplementedError(f"codec {codec}")
    body = batch.raw[HEADER.size :]
    if codec == GZIP:
        body = _inflate(body)
    at = 0
    for _ in range(max(batch.record_count, 0)):
        start = at
        length, at = _varint(body, at)
        content, at = _take(body, at, length)
        yield _record(batch, content, body[start:at])


def _record(batch: RawBatch, content: bytes, raw: bytes) -> RawRecord:
    delta_time, at = _varint(content, 1)
    delta_offset, at = _varint(content, at)
    key, at = _bytes(content, at)
    value, at = _bytes(content, at)
    count, at = _varint(content, at)
    headers: list[tuple[str, bytes]] | None = []
    for _ in range(max(count, 0)):
        name, at = _bytes(content, at)
        held, at = _bytes(content, at)
        if headers is not None:
            try:
                headers.append(((name or b"").decode(), held or b""))
            except UnicodeDecodeError:
                headers = None
    append_time = batch.attributes & LOG_APPEND_TIME
    return RawRecord(
        batch.base_offset + delta_offset,
        batch.max_timestamp if append_time else batch.first_timestamp + delta_time,
        key,
        value,
        None if headers is None else tuple(headers),
        raw,
    )


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag varint of at most ten bytes (protobuf encoding)."""
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise _CutError("a varint ends early")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise _CutError("a varint has more than ten bytes")


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if not 0 <= length <= len(data) - at:
        raise _CutError(f"{length} bytes announced, {len(data) - at} left")
    return data[at : at + length], at + length


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    return (None, at) if length < 0 else _take(data, at, length)
