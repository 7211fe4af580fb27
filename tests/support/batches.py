"""Build record batches with the client's own encoder, and bend them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cramjam
from crc32c import crc32c
from kafka.record.default_records import DefaultRecordBatchBuilder

Headers = list[tuple[str, bytes]]
CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD = range(5)
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
HEADER_BYTES = 61
ABORT, COMMIT = 0, 1
# Where fields of the header stand: place, bytes.
FIELDS = {
    "base_offset": (0, 8),
    "leader_epoch": (12, 4),
    "magic": (16, 1),
    "attributes": (21, 2),
    "last_offset_delta": (23, 4),
    "first_timestamp": (27, 8),
    "max_timestamp": (35, 8),
    "producer_id": (43, 8),
    "record_count": (57, 4),
}


class RawKey(str):
    """A header key whose bytes are no UTF-8; the client's own encoder takes it."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def batch(
    base_offset: int,
    records: Sequence[tuple[bytes | None, bytes | None, Headers]],
    *,
    codec: int = CODEC_NONE,
    time: int = 1_000,
    deltas: Sequence[int] | None = None,
    producer_id: int = -1,
) -> bytes:
    """Encode records at `base_offset`, one millisecond apart; `deltas` leave gaps in offsets."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODEC_NONE,
        is_transactional=producer_id >= 0,
        producer_id=producer_id,
        producer_epoch=0 if producer_id >= 0 else -1,
        base_sequence=0 if producer_id >= 0 else -1,
        batch_size=1 << 30,
    )
    for index, (key, value, headers) in enumerate(records):
        delta = index if deltas is None else deltas[index]
        builder.append(delta, time + index, key, value, headers)
    raw = bytes(builder.build())
    if codec:
        raw = compressed(raw, codec)
    return stamped(raw, base_offset=base_offset)


def stamped(raw: bytes, **fields: int) -> bytes:
    """Set fields of the header, and the length and checksum as they then must be."""
    made = bytearray(raw)
    for name, value in fields.items():
        place, size = FIELDS[name]
        made[place : place + size] = value.to_bytes(size, "big", signed=True)
    made[8:12] = (len(made) - 12).to_bytes(4, "big")
    made[17:21] = crc32c(bytes(made[21:])).to_bytes(4, "big")
    return bytes(made)


def xerial(body: bytes, block: int = 32 * 1024) -> bytes:
    """Frame raw snappy blocks as Java's producer does."""
    blocks = [
        bytes(cramjam.snappy.compress_raw(body[at : at + block]))
        for at in range(0, len(body), block)
    ]
    framed = b"".join(len(each).to_bytes(4, "big") + each for each in blocks)
    return b"\x82SNAPPY\x00" + (1).to_bytes(4, "big") * 2 + framed


COMPRESSORS: dict[int, Callable[[bytes], bytes]] = {
    CODEC_GZIP: lambda body: bytes(cramjam.gzip.compress(body)),
    CODEC_SNAPPY: xerial,
    CODEC_LZ4: lambda body: bytes(cramjam.lz4.compress(body)),
    CODEC_ZSTD: lambda body: bytes(cramjam.zstd.compress(body)),
}


def compressed(raw: bytes, codec: int, compress: Callable[[bytes], bytes] | None = None) -> bytes:
    """Compress the records of a batch."""
    body = (compress or COMPRESSORS[codec])(raw[HEADER_BYTES:])
    attributes = int.from_bytes(raw[21:23], "big") | codec
    return stamped(raw[:HEADER_BYTES] + body, attributes=attributes)


def marker(offset: int, producer_id: int, kind: int) -> bytes:
    """End a transaction, as the coordinator does (KIP-98)."""
    key = (0).to_bytes(2, "big") + kind.to_bytes(2, "big")
    raw = batch(offset, [(key, b"\0" * 6, [])], producer_id=producer_id)
    return stamped(raw, attributes=TRANSACTIONAL | CONTROL)


def emptied(raw: bytes) -> bytes:
    """Take the records of a batch away, as compaction does from the last one of a producer."""
    return stamped(raw[:HEADER_BYTES], record_count=0)


def broken(raw: bytes, at: int = -1) -> bytes:
    """Flip a bit, as a disk does."""
    damaged = bytearray(raw)
    damaged[at] ^= 1
    return bytes(damaged)
