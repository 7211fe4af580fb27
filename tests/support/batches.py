"""Make record batches as producers and disks do, broken ones included."""

from __future__ import annotations

from collections.abc import Sequence

from kafka.record.default_records import DefaultRecordBatchBuilder

Headers = list[tuple[str, bytes]]
CODEC_NONE, CODEC_GZIP = 0, 1


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
) -> bytes:
    """Encode records at `base_offset`, one millisecond apart."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for index, (key, value, headers) in enumerate(records):
        builder.append(index, time + index, key, value, headers)
    raw = bytearray(builder.build())
    raw[0:8] = base_offset.to_bytes(8, "big")  # outside the checksum, set by brokers
    return bytes(raw)


def broken(raw: bytes, at: int = -1) -> bytes:
    """Flip a bit, as a disk does."""
    damaged = bytearray(raw)
    damaged[at] ^= 1
    return bytes(damaged)
