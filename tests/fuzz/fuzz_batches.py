"""Fuzz record batches against the twin and the client: `python -m tests.fuzz batches`.

The first byte chooses. Any bytes as a buffer; records of any bytes behind a good header and
checksum, plain or compressed; compressed bodies of any bytes; records from the input written by the
core's writer, which must be what the client writes, what the client reads, and what we read.
"""

from __future__ import annotations

from collections.abc import Iterator

from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from fastpath.batch_writer import BatchWriter
from tests.support.batch_readings import read
from tests.support.batches import (
    COMPRESSORS,
    CONTROL,
    HEADER_BYTES,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    Headers,
    batch,
    compressed,
    stamped,
)

_ABORTED = (None, [], [(1, 0)], [(1, 0), (2, 5), (1, 9)])
_BITS = (0, LOG_APPEND_TIME, TRANSACTIONAL, TRANSACTIONAL | CONTROL)


def fuzz_buffer(data: bytes) -> None:
    """Read any bytes; the first says with what options."""
    options = data[0]
    read(
        data[1:],
        fetch_offset=options >> 4,
        check_crcs=bool(options & 1),
        aborted=_ABORTED[options >> 1 & 3],
        check_header_keys=bool(options & 8),
    )


def fuzz_body(data: bytes) -> None:
    """Read any bytes as the records of batches whose headers and checksums are good."""
    what, count, last, cut = data[:4]
    bodies = data[4 : 4 + cut], data[4 + cut :]
    buffer = b""
    for place, body in enumerate(bodies):
        raw = stamped(
            batch(place * 40, [(b"k", b"v", [])])[:HEADER_BYTES] + body,
            attributes=_BITS[what >> 2 & 3],
            record_count=count & 15,
            last_offset_delta=last,
            producer_id=place + 1,
            first_timestamp=2**63 - 1 if what & 16 else 5,
        )
        buffer += compressed(raw, 1 + (what & 3)) if what & 32 else raw
    read(buffer, aborted=_ABORTED[what >> 6])


def fuzz_compressed(data: bytes) -> None:
    """Read any bytes as a compressed body."""
    raw = batch(0, [(b"k", b"v", [])])
    body = bytearray(COMPRESSORS[1 + data[0] % 4](raw[HEADER_BYTES:] * (1 + data[1])))
    for at in range(2, len(data) - 2, 3):
        place = (data[at] | data[at + 1] << 8) % (len(body) + 1)
        body[place : place + (data[at] & 1)] = data[at + 2 : at + 3]
    read(stamped(raw[:HEADER_BYTES] + bytes(body), attributes=1 + data[0] % 4))


def records_of(data: bytes) -> list[tuple[bytes | None, bytes | None, Headers, int]]:
    """Cut records off the input: sizes of key, value and header first; 255 is null."""
    records: list[tuple[bytes | None, bytes | None, Headers, int]] = []
    while len(data) > 4 and len(records) < 40:
        key, value, header, time = data[:4]
        data = data[4:]
        parts: list[bytes | None] = []
        for size in (key, value):
            parts.append(None if size == 255 else data[:size])
            data = data[0 if size == 255 else size :]
        held: Headers = [(f"h{time}", data[: header // 8])] * (header % 4)
        records.append((parts[0], parts[1], held, (time - 128) << (header % 40)))
    return records


def fuzz_writer(data: bytes) -> None:
    """Write records: the client's bytes, and what both readers read is what was written."""
    ours, taken = BatchWriter(HEADER_BYTES + data[0] * 16), []
    theirs = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=False, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=HEADER_BYTES + data[0] * 16,
    )  # fmt: skip
    for key, value, headers, time in records_of(data[1:]):
        due = theirs.append(len(taken), time, key, value, list(headers))
        assert ours.append(key, value, tuple(headers), time) is (due is not None)
        if due is not None:
            taken.append((key, value, headers, time))
    if not taken:
        return
    state = (data[0], 0, 5, bool(data[0] & 1))
    theirs.set_producer_state(*state)
    written = bytes(ours.build(*state))
    assert written == bytes(theirs.build())
    found = read(written).records
    assert [(each.key, each.value, each.time) for each in found] == [
        (key, value, time) for key, value, _, time in taken
    ]
    client = MemoryRecords(written).next_batch()
    assert [(each.key, each.value, each.timestamp) for each in client] == [
        (key, value, time) for key, value, _, time in taken
    ]


def test_one(data: bytes) -> None:
    """Run one input; the first byte says what it is."""
    if len(data) < 6:
        return
    (fuzz_buffer, fuzz_body, fuzz_compressed, fuzz_writer)[data[0] & 3](data[1:])


def buffers() -> Iterator[bytes]:
    """Yield good buffers, plain and in every codec."""
    records: list[tuple[bytes | None, bytes | None, Headers]] = [
        (b"key", b'{"id":"1"}', [("a", b"1")]), (None, b"", []), (b"", None, []),
    ]  # fmt: skip
    yield batch(0, records) + batch(3, records, producer_id=1)
    yield from (batch(2, records, codec=codec) for codec in COMPRESSORS)
    yield stamped(batch(0, records, deltas=[1, 5, 6]), attributes=LOG_APPEND_TIME)


def seeds() -> Iterator[bytes]:
    """Yield inputs to begin with."""
    for buffer in buffers():
        yield b"\0\1" + buffer
        yield b"\1\0\3\10\xff" + buffer[HEADER_BYTES:]
    yield b"\2\1\3" + bytes(range(30))
    yield b"\3\x40" + b"\2\3\4\5abcdefghijk" * 9 + b"\xff\xff\0\0" * 3
