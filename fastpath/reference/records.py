"""Pack sightings in plain Python: the oracle of the compiled packer."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from crc32c import crc32c

from fastpath.columns import Sighting
from fastpath.spec import FINGERPRINT_TYPES, SightingBatch

MAX_PACKED_BYTES = 256 * 1024  # of one record value; far below the broker's 1 MiB
UNKNOWN_TIME = -(2**63)
_HEADER = struct.Struct("<4sBBHII32s")
_ENTRY = struct.Struct("<HBB16s16sQqqIqIHH")


def partition_of(fingerprint: bytes, partitions: int) -> int:
    """Return the partition of a fingerprint: its first eight bytes, little-endian, modulo."""
    return int.from_bytes(fingerprint[:8], "little") % partitions


def pack_sightings(
    topic: str, bundle_digest: bytes, partitions: int, sightings: Iterable[Sighting]
) -> list[SightingBatch]:
    """Pack sightings into record values of at most MAX_PACKED_BYTES, by partition, in order."""
    open_records: dict[int, _Open] = {}
    finished: list[SightingBatch] = []
    start = _HEADER.size + len(topic.encode())
    for sighting in sightings:
        partition = partition_of(sighting.fingerprint, partitions)
        entry = pack_entry(sighting)
        record = open_records.get(partition)
        if record is not None and record.size + len(entry) > MAX_PACKED_BYTES:
            finished.append(record.close(topic, bundle_digest))
            record = None
        if record is None:
            record = open_records[partition] = _Open(partition, sighting.offset, start)
        record.append(entry)
    finished.extend(r.close(topic, bundle_digest) for r in open_records.values())
    return sorted(finished, key=lambda batch: batch.partition)


def pack_entry(sighting: Sighting) -> bytes:
    """Write one entry; layout in the compiled module's opening table."""
    account, post = sighting.account.encode(), sighting.post.encode()
    created = sighting.account_created_at
    return (
        _ENTRY.pack(
            _ENTRY.size + len(account) + len(post),
            FINGERPRINT_TYPES.index(sighting.type) + 1,
            0,
            sighting.fingerprint,
            sighting.text_digest,
            sighting.simhash,
            sighting.time,
            UNKNOWN_TIME if created is None else created,
            sighting.partition,
            sighting.offset,
            sighting.revision,
            len(account),
            len(post),
        )
        + account
        + post
    )


class _Open:
    """Collect the entries of one record value."""

    def __init__(self, partition: int, first_offset: int, start: int) -> None:
        self.partition = partition
        self.first_offset = first_offset
        self.size = start
        self.entries: list[bytes] = []

    def append(self, entry: bytes) -> None:
        self.entries.append(entry)
        self.size += len(entry)

    def close(self, topic: str, bundle_digest: bytes) -> SightingBatch:
        name = topic.encode()
        body = name + b"".join(self.entries)
        header = _HEADER.pack(
            b"WEIS", 1, 0, len(name), len(self.entries), crc32c(body), bundle_digest
        )
        return SightingBatch(self.partition, len(self.entries), self.first_offset, header + body)
