"""Inflate the records of one batch, never past a cap.

Codecs as in Kafka's message format 2 (KIP-98; zstd: KIP-110): gzip (RFC 1952), snappy as one raw
block or in the xerial frame of Java's producer, lz4 frames, zstd (RFC 8878).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import cramjam

# A batch may inflate to this much: 64 of the largest records (256 KiB). The example topics hold
# `posts` uncompressed below 256 KiB, so only a topic that was set up otherwise comes near.
MAX_INFLATED_BYTES = 16 * 1024 * 1024

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
# snappy-java's SnappyOutputStream: magic, i32 version, i32 compatible version, then blocks.
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_BLOCKS_FROM = len(_XERIAL) + 8
# What cramjam says when the output does not fit; one test per codec holds it to that.
_DOES_NOT_FIT = "failed to write whole buffer"


class InflateError(ValueError):
    """Report bytes that are not what their codec says."""


class InflatedTooLargeError(InflateError):
    """Report bytes that inflate past the cap; no more than the cap was written."""


def inflate(codec: int, packed: bytes | memoryview, cap: int = MAX_INFLATED_BYTES) -> bytes:
    """Return the inflated bytes, at most `cap` of them.

    Called once per compressed batch on the thread that polls; the library releases the GIL.

    Raises:
        InflatedTooLargeError: there are more than `cap`.
        InflateError: they are damaged, or no codec has this number.
    """
    if codec == SNAPPY:
        return _snappy(bytes(packed), cap)
    if codec == GZIP:
        return _into(cramjam.gzip.decompress_into, packed, cap)
    if codec == LZ4:
        return _into(cramjam.lz4.decompress_into, packed, cap)
    if codec == ZSTD:
        return _into(cramjam.zstd.decompress_into, packed, cap)
    raise InflateError(f"no codec has number {codec}")


def _into(write: Callable[[Any, Any], int], packed: bytes | memoryview, cap: int) -> bytes:
    """Inflate into fresh pages, of which only those that are written come to exist."""
    with mmap.mmap(-1, cap + 1) as room:
        try:
            size = write(packed, room)
        except cramjam.DecompressionError as error:
            if str(error) == _DOES_NOT_FIT:
                raise _too_large(len(packed), cap) from None
            raise InflateError(str(error)) from None
        if size > cap:
            raise _too_large(len(packed), cap)
        return room[:size]


def _snappy(packed: bytes, cap: int) -> bytes:
    if not packed.startswith(_XERIAL):
        return _snappy_block(packed, cap)
    blocks: list[bytes] = []
    at = _XERIAL_BLOCKS_FROM
    left = cap
    while at < len(packed):
        size = int.from_bytes(packed[at : at + 4], "big")
        at += 4
        if size > len(packed) - at:
            raise InflateError(f"a snappy block of {size} bytes, {len(packed) - at} left")
        blocks.append(_snappy_block(packed[at : at + size], left))
        left -= len(blocks[-1])
        at += size
    return b"".join(blocks)


def _snappy_block(packed: bytes, cap: int) -> bytes:
    """Inflate one raw block, which says first how large it will be."""
    try:
        size = cramjam.snappy.decompress_raw_len(packed)
        if size > cap:
            raise _too_large(len(packed), cap)
        return bytes(cramjam.snappy.decompress_raw(packed))
    except cramjam.DecompressionError as error:
        raise InflateError(str(error)) from None


def _too_large(size: int, cap: int) -> InflatedTooLargeError:
    return InflatedTooLargeError(f"{size} bytes inflate to more than {cap}")
