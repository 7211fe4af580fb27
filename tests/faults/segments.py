"""Read the brokers' own log files: which records ended in a committed transaction, which aborted.

An independent look below every client: record batches of format 2 and control records, as
https://kafka.apache.org/documentation/#recordbatch states them. Before compaction.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_HEAD = struct.Struct(">qiibIhiqqqhii")  # from baseOffset to the count of records
_TRANSACTIONAL, _CONTROL = 0x10, 0x20
_ABORT, _COMMIT = 0, 1


class Batch(NamedTuple):
    first: int
    last: int
    producer: tuple[int, int]  # id, epoch
    transactional: bool
    control: int | None  # 0 abort, 1 commit


@dataclass
class Outcomes:
    """Hold what became of the offsets of one partition."""

    committed: set[int] = field(default_factory=set)
    aborted: set[int] = field(default_factory=set)
    open: set[int] = field(default_factory=set)
    commits: int = 0  # markers
    aborts: set[tuple[int, int]] = field(default_factory=set)  # producers with an abort marker


def batches(folder: Path) -> Iterator[Batch]:
    """Yield the batches of a partition's folder in order of offset."""
    for file in sorted(folder.glob("*.log")):
        data = file.read_bytes()
        at = 0
        while at + _HEAD.size <= len(data):
            head = _HEAD.unpack_from(data, at)
            first, length, magic, attributes, last = head[0], head[1], head[3], head[5], head[6]
            if magic != 2 or at + 12 + length > len(data):
                break  # preallocated, or still being written
            control = None
            if attributes & _CONTROL:
                # length, attributes, two deltas and the key's length are one byte each here
                control = struct.unpack_from(">hh", data, at + _HEAD.size + 5)[1]
            yield Batch(
                first,
                first + last,
                (head[9], head[10]),
                bool(attributes & _TRANSACTIONAL),
                control,
            )
            at += 12 + length


def outcomes(folder: Path) -> Outcomes:
    """Follow every transaction of a partition to its marker."""
    found = Outcomes()
    pending: dict[int, list[Batch]] = {}
    for batch in batches(folder):
        offsets = range(batch.first, batch.last + 1)
        if batch.control is not None:
            ended = pending.pop(batch.producer[0], [])
            into = found.committed if batch.control == _COMMIT else found.aborted
            for each in ended:
                into.update(range(each.first, each.last + 1))
            if batch.control == _COMMIT:
                found.commits += 1
            else:
                found.aborts.add(batch.producer)
        elif batch.transactional:
            pending.setdefault(batch.producer[0], []).append(batch)
        else:
            found.committed.update(offsets)
    for left in pending.values():
        for each in left:
            found.open.update(range(each.first, each.last + 1))
    return found
