"""Encode and decode the records of `weir.state.<stage>`: claims, deltas and slices.

Partition p of the topic holds the state of input partition p. Layouts are stated in
docs/state.md. Decoding checks every length and the CRC-32C; it raises CorruptImage and nothing
else. What the records mean together is decided by `worker.state.restore`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from crc32c import crc32c

from fastpath.changelog import SLICES as SLICES
from fastpath.changelog import split
from fastpath.errors import CorruptImage

NO_TIME = -(2**63)  # the stream time of a table that has counted nothing yet
# Deltas whose keys repeat after so many transactions, so that compaction trims them: above twice
# the transactions of one round over all slices (invariant W), below what a restore should read.
RING = 4_096
# Below the 1 MiB that brokers and producers take, and large enough that a record costs nothing.
MAX_RECORD_BYTES = 512 * 1024
MAX_CHUNKS = 65_535

_MAGIC = b"WEIC"
_VERSION = 1
_HEAD = struct.Struct("<4sBcHI")  # magic, version, kind, 0, bytes of the whole record
_CLAIM = struct.Struct("<QQqQiIIHH")
_DELTA = struct.Struct("<QQqqq32sIHH")
_SLICE = struct.Struct("<QQqHHH")
_CRC = struct.Struct("<I")
_HASH_BYTES = 16
_DELTA_BYTES = _HEAD.size + _DELTA.size + _HASH_BYTES + _CRC.size
_SLICE_BYTES = _HEAD.size + _SLICE.size + _CRC.size
GENESIS = bytes(_HASH_BYTES)  # the chain hash before the first delta
CLAIM_KEY = b"C"  # of every claim: compaction leaves a partition its newest


class Claim(NamedTuple):
    """Say that a process owns the partition from here on; the newest one wins."""

    slot: str
    generation: int  # of the consumer group, for people
    epoch: int  # the previous claim's + 1
    previous_seq: int  # of the last delta that the claimant has applied; 0 for none
    in_next: int  # the input offset that it goes on with: the committed one
    accepted_gap: int  # input records lost to retention that an operator accepted before in_next
    partitions: int  # of the input topic: another number needs export and import
    ring: int  # RING as written; another one would overwrite deltas that are needed
    slices: int  # SLICES as written


class Delta(NamedTuple):
    """Hold one chunk of what one transaction changed; chunks come in order, 0 to chunks - 1."""

    epoch: int
    seq: int  # dense, from 1
    in_from: int  # the input offset that the transaction began with
    in_next: int  # and the one that it commits
    stream_time: int  # of the table after it, ms; NO_TIME before the first record
    bundle: bytes  # digest of the bundle that decided, 32 bytes
    position: int  # in the ring: a later delta at the same one replaces this one
    chunk: int
    chunks: int
    entries: bytes  # packed (fastpath.changelog)
    chain: bytes  # BLAKE2b-128 over the chain hash before it and this record up to here


class Slice(NamedTuple):
    """Hold one chunk of all live entries of a slice, as of a delta of the same transaction."""

    slice: int
    epoch: int
    as_of_seq: int
    stream_time: int
    chunk: int
    chunks: int
    entries: bytes


StateRecord: TypeAlias = Claim | Delta | Slice
KeyValue: TypeAlias = tuple[bytes, bytes]


class StateTooLargeError(ValueError):
    """Report state that does not fit the records' limits: one entry, or one transaction."""


def encode_claim(claim: Claim) -> KeyValue:
    """Encode a claim with its key, of which a partition has one."""
    slot = claim.slot.encode()
    fixed = _CLAIM.pack(
        claim.epoch,
        claim.previous_seq,
        claim.in_next,
        claim.accepted_gap,
        claim.generation,
        claim.partitions,
        claim.ring,
        claim.slices,
        len(slot),
    )
    return CLAIM_KEY, _seal(b"C", fixed + slot)


def encode_delta(
    *,
    epoch: int,
    seq: int,
    in_from: int,
    in_next: int,
    stream_time: int,
    bundle: bytes,
    position: int,
    entries: bytes,
    chain: bytes,
    limit: int = MAX_RECORD_BYTES,
) -> tuple[list[KeyValue], bytes]:
    """Encode what one transaction changed; return its records and the chain hash after them.

    All of them belong into one transaction, in this order. `chain` is the hash after the delta
    before (`GENESIS` for the first). Raises StateTooLargeError.
    """
    pieces = _pieces(entries, limit - _DELTA_BYTES)
    records = []
    for chunk, piece in enumerate(pieces):
        fixed = _DELTA.pack(
            epoch, seq, in_from, in_next, stream_time, bundle, position, chunk, len(pieces)
        )
        content = _head(b"D", _DELTA_BYTES + len(piece)) + fixed + piece
        chain = chain_hash(chain, content)
        key = b"D" + struct.pack("<IH", position, chunk)
        records.append((key, _close(content + chain)))
    return records, chain


def encode_slice(
    *,
    slice_: int,
    epoch: int,
    as_of_seq: int,
    stream_time: int,
    entries: bytes,
    limit: int = MAX_RECORD_BYTES,
) -> list[KeyValue]:
    """Encode a snapshot of one slice; all records belong into the transaction of its delta.

    Raises StateTooLargeError.
    """
    pieces = _pieces(entries, limit - _SLICE_BYTES)
    records = []
    for chunk, piece in enumerate(pieces):
        fixed = _SLICE.pack(epoch, as_of_seq, stream_time, slice_, chunk, len(pieces))
        records.append((b"S" + struct.pack("<HH", slice_, chunk), _seal(b"S", fixed + piece)))
    return records


def chain_hash(previous: bytes, content: bytes | memoryview) -> bytes:
    """Chain a record to the one before: BLAKE2b-128 (RFC 7693) over hash and content."""
    chain = hashlib.blake2b(previous, digest_size=_HASH_BYTES)
    chain.update(content)
    return chain.digest()


def chained_content(value: bytes) -> memoryview:
    """Return the part of a delta's record that its chain hash covers, in place."""
    return memoryview(value)[: -_HASH_BYTES - _CRC.size]


def decode(value: bytes | None) -> StateRecord:
    """Decode a record of a state topic; CorruptImage where it breaks its own format."""
    if value is None:
        raise CorruptImage("a state record has no value: no tombstone is ever written here")
    if len(value) < _HEAD.size + _CRC.size:
        raise CorruptImage(f"a state record of {len(value)} bytes")
    magic, version, kind, zero, size = _HEAD.unpack_from(value)
    if magic != _MAGIC or zero:
        raise CorruptImage("a state record without its magic number")
    if version != _VERSION:
        raise CorruptImage(f"state record version {version}; this build reads {_VERSION}")
    if size != len(value):
        raise CorruptImage(f"a state record of {len(value)} bytes says {size}")
    whole = memoryview(value)  # a restore reads GiBs: nothing but the entries is copied
    if _CRC.unpack_from(value, size - _CRC.size)[0] != crc32c(whole[: -_CRC.size]):
        raise CorruptImage("a state record's CRC-32C does not match")
    body = whole[_HEAD.size : -_CRC.size]
    reader = _READERS.get(kind)
    if reader is None:
        raise CorruptImage(f"state record kind {kind!r}")
    try:
        return reader(body)
    except struct.error as error:
        raise CorruptImage(f"state record {kind!r} is too short: {error}") from None


def _read_claim(body: memoryview) -> Claim:
    epoch, previous, in_next, gap, generation, partitions, ring, slices, size = _CLAIM.unpack_from(
        body
    )
    slot = bytes(body[_CLAIM.size :])
    if len(slot) != size:
        raise CorruptImage(f"a claim's slot of {len(slot)} bytes says {size}")
    try:
        name = slot.decode()
    except UnicodeDecodeError:
        raise CorruptImage("a claim's slot is no UTF-8") from None
    return Claim(name, generation, epoch, previous, in_next, gap, partitions, ring, slices)


def _read_delta(body: memoryview) -> Delta:
    epoch, seq, in_from, in_next, time, bundle, position, chunk, chunks = _DELTA.unpack_from(body)
    if len(body) < _DELTA.size + _HASH_BYTES:
        raise CorruptImage(f"a delta of {len(body)} bytes")
    _check_chunks(chunk, chunks)
    entries, chain = bytes(body[_DELTA.size : -_HASH_BYTES]), bytes(body[-_HASH_BYTES:])
    return Delta(
        epoch, seq, in_from, in_next, time, bundle, position, chunk, chunks, entries, chain
    )


def _read_slice(body: memoryview) -> Slice:
    epoch, as_of_seq, stream_time, slice_, chunk, chunks = _SLICE.unpack_from(body)
    _check_chunks(chunk, chunks)
    return Slice(slice_, epoch, as_of_seq, stream_time, chunk, chunks, bytes(body[_SLICE.size :]))


_READERS: dict[bytes, Callable[[memoryview], StateRecord]] = {
    b"C": _read_claim,
    b"D": _read_delta,
    b"S": _read_slice,
}


def _check_chunks(chunk: int, chunks: int) -> None:
    if not chunk < chunks:
        raise CorruptImage(f"chunk {chunk} of {chunks}")


def _pieces(entries: bytes, limit: int) -> list[bytes]:
    pieces = split(entries, limit)
    largest = max(len(piece) for piece in pieces)
    if largest > limit:
        raise StateTooLargeError(f"one entry of {largest} bytes; a record holds {limit}")
    if len(pieces) > MAX_CHUNKS:
        raise StateTooLargeError(f"{len(pieces)} chunks of state; at most {MAX_CHUNKS}")
    return pieces


def _head(kind: bytes, size: int) -> bytes:
    return _HEAD.pack(_MAGIC, _VERSION, kind, 0, size)


def _seal(kind: bytes, body: bytes) -> bytes:
    return _close(_head(kind, _HEAD.size + len(body) + _CRC.size) + body)


def _close(content: bytes) -> bytes:
    return content + _CRC.pack(crc32c(content))
