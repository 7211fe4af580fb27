"""Save what stands in a fetched batch that cannot be read, and say where reading goes on.

Called on the engine's thread after poll() has raised twice at one place, on either path; the
same index judges both, so that both decide alike.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import crc32c

from fastpath.batches import RecordBatches, raw_record, record_headers
from fastpath.records import BatchView
from worker.domain.dead_letter import DeadLetter, Disposition, Reason
from worker.transport.protocols import Headers, Item, Partition, Quarantined

HEADER = struct.Struct(">qiibIhiqqqhii")  # message format 2; fields in fastpath/batches.pyx
_CODEC_MASK = 0b111
_LENGTH_FROM, _CRC_FROM = 12, 21
# A dead letter holds at most this much of a batch; below max_request_size_bytes (1 MiB).
MAX_PIECE_BYTES = 512 * 1024
# After these errors the header's own word on its offsets is not to be trusted.
_UNTRUSTED = frozenset({"length", "magic", "checksum", "offsets"})


class Rescued(NamedTuple):
    """Hold what was read and what was saved, in the order of offsets, and where to go on."""

    items: tuple[Item, ...]
    next: int


def rescue(
    partition: Partition,
    buffer: bytes,
    at: int,
    end: int | None,
    aborted: list[tuple[int, int]] | None = None,
) -> Rescued | None:
    """Read `buffer` from offset `at` on, up to and past the first batch that cannot be read.

    `end` bounds where reading may go on when a broken header claims too much (the partition's
    high watermark). None where the buffer holds nothing to read and nothing to blame. Pure.
    """
    reader = RecordBatches(*partition, buffer, fetch_offset=at, aborted=aborted or [])
    items: list[Item] = list(_views(reader))
    bad = reader.bad
    if reader.error is None or bad is None:
        return Rescued(tuple(items), reader.next_offset) if reader.next_offset > at else None
    at = reader.next_offset
    if reader.error == "header_key":
        items += _beside_bad_headers(partition, bad, at)
        return Rescued(tuple(items), _claimed_next(bad))
    after = _after(reader, bad, at, end)
    reason = (
        Reason.INFLATED_TOO_LARGE if reader.error == "inflated_too_large" else Reason.RECORD_CORRUPT
    )
    letters = _whole(partition, bad, at, reason, reader.error)
    return Rescued((*items, Quarantined(partition, at, after, letters)), after)


def _views(reader: RecordBatches) -> list[BatchView]:
    views = []
    while not reader.ended:
        view = reader.read()
        if view is not None and len(view):
            views.append(view)
    return views


def _claimed_next(batch: bytes) -> int:
    base, delta = HEADER.unpack_from(batch)[0], HEADER.unpack_from(batch)[6]
    return int(base + delta + 1)


def _after(reader: RecordBatches, bad: bytes, at: int, end: int | None) -> int:
    """Return where reading goes on behind a bad batch; never past a record that was not saved.

    One offset further fails again in the same batch, which costs a letter more and loses nothing.
    """
    if reader.error not in _UNTRUSTED:
        return _claimed_next(bad)
    following = reader.after_bad
    if len(following) >= HEADER.size:
        base, _, _, magic, *_ = HEADER.unpack_from(following)
        if magic == 2 and at < base <= (end or base):
            return int(base)
    if len(bad) < HEADER.size:
        return at + 1
    fields = HEADER.unpack_from(bad)
    claimed = _claimed_next(bad)
    if fields[6] + 1 != fields[12] or fields[0] > at:
        return at + 1
    return max(at + 1, min(claimed, end or claimed))


def _whole(
    partition: Partition, raw: bytes, at: int, reason: Reason, error: str
) -> tuple[DeadLetter, ...]:
    """Save a batch as it came, in pieces that a producer takes."""
    fields = HEADER.unpack_from(raw) if len(raw) >= HEADER.size else None
    intact = fields is not None and crc32c.crc32c(raw[_CRC_FROM:]) == fields[4]
    time = max(fields[8], 0) if fields is not None and intact else 0
    pieces = [raw[start : start + MAX_PIECE_BYTES] for start in range(0, len(raw), MAX_PIECE_BYTES)]
    return tuple(
        DeadLetter(
            reason,
            Disposition.POISON,
            partition.topic,
            partition.number,
            at,
            time,
            None,
            piece,
            (("weir.dlq.piece", f"{number}/{len(pieces)}".encode()),),
            f"record batch at offset {at}, {len(raw)} bytes: {error}",
        )
        for number, piece in enumerate(pieces, 1)
    )


def _beside_bad_headers(partition: Partition, raw: bytes, at: int) -> list[Item]:
    """Take the good records of a batch, and save each whose header keys do not decode."""
    reader = RecordBatches(*partition, raw, fetch_offset=at, check_header_keys=False)
    view = reader.read()
    items: list[Item] = []
    start = 0
    for index in range(0 if view is None else len(view)):
        assert view is not None  # noqa: S101  # or there is no index
        if decoded(record_headers(view, index)) is None:
            if start < index:
                items.append(view.slice(start, index))
            start = index + 1
            letter = _header_letter(partition, view, index)
            items.append(Quarantined(partition, letter.offset, letter.offset + 1, (letter,)))
    if view is not None and start < len(view):
        items.append(view.slice(start, len(view)))
    return items


def decoded(headers: tuple[tuple[bytes, bytes], ...]) -> Headers | None:
    """Return headers with their keys as text; None where one is no UTF-8."""
    try:
        return tuple((key.decode(), value) for key, value in headers)
    except UnicodeDecodeError:
        return None


def _header_letter(partition: Partition, view: BatchView, index: int) -> DeadLetter:
    """Save a record whose header keys do not decode whole in the value."""
    return DeadLetter(
        Reason.HEADER_INVALID,
        Disposition.POISON,
        partition.topic,
        partition.number,
        view.offset(index),
        view.time(index),
        view.key(index),
        raw_record(view, index),
        (),
        "a header key is not UTF-8; the value holds the whole record in message format 2",
    )


def with_records(raw: bytes, body: bytes) -> bytes:
    """Put other records, not compressed, into a batch; length and checksum are made anew."""
    made = bytearray(raw[: HEADER.size] + body)
    struct.pack_into(">i", made, 8, len(made) - _LENGTH_FROM)
    (attributes,) = struct.unpack_from(">h", made, _CRC_FROM)
    struct.pack_into(">h", made, _CRC_FROM, attributes & ~_CODEC_MASK)
    struct.pack_into(">I", made, _CRC_FROM - 4, crc32c.crc32c(bytes(made[_CRC_FROM:])))
    return bytes(made)
