"""Fuzz the table of fingerprints: operations against its twin, hostile records, hostile state.

Run: `python -m tests.fuzz fingerprints`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from crc32c import crc32c

from fastpath.changelog import pack
from fastpath.columns import Sighting
from fastpath.errors import CorruptImage
from fastpath.fingerprints import FingerprintTable
from fastpath.records import HEADER_BYTES, unpack_sightings
from fastpath.reference import fingerprints as twin
from fastpath.spec import FINGERPRINT_TYPES, Entry, FingerprintSpec
from tests.support.fingerprints import GATES, SEEDS, Judge, counts, dump, feed, spec_of
from tests.support.stage_inputs import sightings_value

_STEP = struct.Struct("<BBBh")  # what, account, post, time: of one sighting
_SCALES = (1, 25, 400, 30_000)


def sighting(step: tuple[int, int, int, int], now: int, offset: int) -> Sighting:
    what, account, post, time = step
    of = FINGERPRINT_TYPES[what % 5]
    return Sighting(
        of, bytes([what % 5]) * 15 + bytes([what >> 6]), f"u{account}", account or None,
        f"p{post & 15}", post >> 7, now + time, bytes([post]) * 16, 0, account, offset,
    )  # fmt: skip


def records_of(data: bytes) -> list[list[Sighting]]:
    """Read sightings whose times move on, now and then by a jump, in records of up to 16."""
    scale, now = _SCALES[data[0] & 3] if data else 1, 0
    sightings = []
    for offset, step in enumerate(_STEP.iter_unpack(data[1 : 1 + (len(data) - 1) // 5 * 5])):
        now += abs(step[3]) * scale // 64
        sightings.append(sighting((*step[:3], step[3] // 2), now, offset))
    size = 1 + (data[0] >> 4 if data else 0)
    return [sightings[at : at + size] for at in range(0, len(sightings), size)]


def fuzz_operations(data: bytes) -> None:
    """Count the same in the twin, in the table, and in a copy restored half-way."""
    options, records = data[:2].ljust(2, b"\0"), records_of(data[2:])
    spec = spec_of(
        exact_sightings=2 + options[0] % 40, max_sightings=1 + options[1] * 2, lateness_ms=20_000
    )
    judge = Judge(spec, options[1] % 16)
    reference, table = twin.FingerprintTable(spec), FingerprintTable(spec, SEEDS[0])
    copy: FingerprintTable | None = None
    log = [(table.stream_time, table.changes())]
    for offset, record in enumerate(records):
        if offset == len(records) // 2:
            copy = FingerprintTable(spec, SEEDS[1])
            for time, entries in log:
                copy.restore(time, entries)
        due = feed(reference, judge, [(offset, record)])
        assert feed(table, judge, [(offset, record)]) == due
        assert counts(table) == counts(reference)
        if copy is not None:
            assert feed(copy, judge, [(offset, record)]) == due
        log.append((table.stream_time, table.changes()))
    if copy is not None:
        assert dump(copy) == dump(table)


def fuzz_record(data: bytes) -> None:
    """Overwrite parts of a record and set its CRC right: refused exactly if it does not unpack."""
    record = bytearray(
        sightings_value([sighting((n, n, n, n), n * 100, n) for n in range(len(data) % 7)] or [])
        if len(data) % 7
        else b"WEIS\1" + bytes(HEADER_BYTES - 5)
    )
    for at in range(1, len(data) - 2, 3):
        place = (data[at] | data[at + 1] << 8) % (len(record) + 1)
        record[place : place + 1] = data[at + 2 : at + 3]
    if len(record) >= 16:
        record[12:16] = struct.pack("<I", crc32c(bytes(record[HEADER_BYTES:])))
    refuses = []
    table = FingerprintTable(spec_of(), SEEDS[0])
    for read in (unpack_sightings, lambda value: table.begin(value, 0)):
        try:
            read(bytes(record))
            refuses.append(False)
        except CorruptImage:
            refuses.append(True)
    assert refuses[0] == refuses[1]
    while (arrival := table.advance()) is not None:
        for index in range(len(arrival.runs)):
            table.take(index)


def hostile_entries(data: bytes) -> bytes:
    """Cut bytes into entries; values begin as the three kinds do, so that they are gone into."""
    entries = []
    at = 0
    while at + 3 <= len(data):
        kind, size = data[at], data[at + 1]
        value = data[at + 2 : at + 2 + size]
        at += 2 + size
        of = kind >> 2 & 7
        fingerprint = bytes([of]) * 15 + bytes([kind >> 6])
        key = fingerprint[8:] + fingerprint[:8]
        entries.append(Entry(key, bytes([kind & 3, of]) + fingerprint + value, kind >> 5 & 3 == 3))
    return pack(entries)


def restored(spec: FingerprintSpec, time: int, slices: Sequence[bytes]) -> FingerprintTable:
    table = FingerprintTable(spec, SEEDS[1])
    for entries in slices:
        table.restore(time, entries)
    return table


def fuzz_state(data: bytes) -> None:
    """Restore anything: it is refused, or a table that works and that its own dump restores."""
    spec = spec_of(GATES)
    table = FingerprintTable(spec, SEEDS[0])
    time = struct.unpack("<q", data[:8].ljust(8, b"\0"))[0] % 10**6
    valid = FingerprintTable(spec, SEEDS[1])
    feed(valid, Judge(spec), [(0, [sighting((n, n, n, n), n * 100, n) for n in range(9)])])
    state = bytearray(valid.changes())
    try:
        table.restore(time, hostile_entries(data[8:]))
        for at in range(8, len(data) - 2, 3):
            state[(data[at] | data[at + 1] << 8) % len(state)] = data[at + 2]
        table.restore(time, bytes(state))
    except CorruptImage:
        return
    copy = restored(spec, table.stream_time, dump(table))
    assert dump(copy) == dump(table)
    more = [sighting((n, n, n, n), time, n) for n in range(20)]
    feed(table, Judge(spec), [(1, more)])
    dump(table)
    table.changes()


def test_one(data: bytes) -> None:
    """Run one input; the first byte says against what."""
    if not data:
        return
    (fuzz_operations, fuzz_operations, fuzz_record, fuzz_state)[data[0] & 3](data[1:])
