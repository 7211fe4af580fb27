"""Fuzz what reads state topics: entries against their twin, records, whole logs.

Run: `python -m tests.fuzz changelog`.
"""

from __future__ import annotations

import random
import struct

from crc32c import crc32c

from fastpath import changelog
from fastpath.errors import CorruptImage
from fastpath.reference import changelog as twin
from tests.support.counting_stage import CountingStage, Table
from worker.domain.errors import StateMismatch
from worker.state.changelog import Claim, Delta, KeyValue, Slice, decode
from worker.state.restore import Restore, Tail
from worker.state.state_writer import StateWriter

SHAPE = {"ring": 32, "slices": 4}


def fuzz_entries(data: bytes) -> None:
    """Read the same as the twin, or refuse as it does; what is read packs to the same bytes."""
    limit = 1 + (data[0] if data else 0)
    try:
        due = twin.unpack(data)
    except CorruptImage:
        due = None
    if due is None:
        for read in (changelog.unpack, lambda packed: changelog.split(packed, limit)):
            try:
                read(data)
            except CorruptImage:
                continue
            raise AssertionError("the twin refuses these entries")
        return
    assert changelog.unpack(data) == due
    assert changelog.pack(due) == data
    assert changelog.split(data, limit) == twin.split(data, limit)


def sealed(content: bytes) -> bytes:
    """Set length and CRC of a record right, so that the rest of it is gone into."""
    content = content[:8] + struct.pack("<I", len(content) + 4) + content[12:]
    return content + struct.pack("<I", crc32c(content))


def fuzz_record(data: bytes) -> None:
    """Decode any bytes: a record, or CorruptImage and nothing else."""
    kind = b"CDS"[len(data) % 3 : len(data) % 3 + 1]
    for value in (data, sealed(b"WEIC\1" + kind + b"\0\0" + bytes(4) + data)):
        try:
            record = decode(value)
        except CorruptImage:
            continue
        assert isinstance(record, (Claim, Delta, Slice))


def log_of(seed: int, turns: int) -> tuple[list[KeyValue], int, Table]:
    """Write a log of a small partition."""
    draw = random.Random(seed)
    stage = CountingStage(slices=SHAPE["slices"])
    table = stage.new_table(0, 1)
    writer = StateWriter(Tail(), every=3, limit=220, **SHAPE)
    log, offset = writer.claim("s", 1, 1, 0), 0
    for _ in range(turns):
        for _ in range(draw.randrange(1, 9)):
            key = b"%d" % draw.randrange(12)
            table.counts[key] += 1
            table.changed[key] = None
            offset += 1
        log += writer.delta(offset, offset, b"b" * 32, stage.changes(table))
        for slice_ in writer.due():
            log += writer.slice(slice_, stage.snapshot(table, slice_))
        if draw.random() < 0.1:
            log += writer.claim("s", 1, 1, offset)
    return log, offset, table


def fuzz_log(data: bytes) -> None:
    """Drop, repeat, swap and damage records of a log: the restore is exact or refused."""
    if len(data) < 3:
        return
    log, committed, table = log_of(data[0] & 7, 1 + data[1] % 60)
    values = [value for _, value in log]
    for at in range(2, len(data) - 2, 3):
        what, place, other = data[at] & 3, data[at + 1] % len(values), data[at + 2]
        if what == 0 and len(values) > 1:
            del values[place]
        elif what == 1:
            values.insert(other % len(values), values[place])
        elif what == 2:
            second = other % len(values)
            values[place], values[second] = values[second], values[place]
        else:
            damaged = bytearray(values[place])
            damaged[other % len(damaged)] ^= 1 + (data[at] >> 2)
            values[place] = bytes(damaged)
    stage = CountingStage(slices=SHAPE["slices"])
    restored = stage.new_table(0, 1)
    restore = Restore(stage, restored, 1, **SHAPE)
    try:
        for value in values:
            restore.feed(value)
        if restore.progress(committed) == "behind":
            return
    except StateMismatch:
        return
    assert restored.counts == table.counts


def test_one(data: bytes) -> None:
    """Run one input; the first byte says against what."""
    if data:
        (fuzz_entries, fuzz_record, fuzz_log, fuzz_log)[data[0] & 3](data[1:])
