"""Fuzz account windows: operations and restores against the twin, hostile after-images.

Run: `python -m tests.fuzz windows`.
"""

from __future__ import annotations

import struct

from fastpath.changelog import pack
from fastpath.errors import CorruptImage
from fastpath.hashes import siphash128_of
from fastpath.reference import windows as twin
from fastpath.spec import Entry, WindowSpec
from fastpath.windows import AccountWindows

KEY = bytes(16)
SPECS = (
    (
        WindowSpec("posts", "posts", 8_000),
        WindowSpec("links", "links", 60_000),
        WindowSpec("targets", "distinct_targets", 80_000),
        WindowSpec("copies", "repeated_texts", 3_600_000),
    ),
    (WindowSpec("copies", "repeated_texts", 3_600_000), WindowSpec("odd", "posts", 8_008)),
)
ACCOUNTS = [f"u{number}" for number in range(16)]
# The only slices in which anything can stand here: those of the accounts and of made-up keys.
USED = sorted({siphash128_of(KEY, b"\0" + name.encode())[0] for name in ACCOUNTS} | set(range(8)))
Table = AccountWindows | twin.AccountWindows
_STEP = struct.Struct("<BBH")  # what and account, value, time: of one record
_SCALES = (1, 37, 4_000, 200_000)


def new_table(compiled: bool, specs: tuple[WindowSpec, ...], cap: int, seed: int) -> Table:
    if compiled:
        return AccountWindows(specs, cap, 0, bytes([seed]) * 16)
    return twin.AccountWindows(specs, cap, KEY)


def count(table: Table, account: str, time: int, links: int, target: str, text: bytes) -> object:
    digest = text.ljust(16, b".") if text else None
    if isinstance(table, twin.AccountWindows):
        return tuple(table.count(account, time, links, [target], digest))
    return table.count(
        siphash128_of(KEY, b"\0" + account.encode()),
        account.encode(),
        time,
        links,
        [siphash128_of(KEY, twin.TARGET_TAG + target.encode())[:8]],
        None if digest is None else digest[:8],
    )


def dump(table: Table) -> bytes:
    return b"".join(table.snapshot(slice_) for slice_ in USED)


def time_of(table: Table) -> int:
    return -(2**63) if table.stream_time is None else table.stream_time


def fuzz_operations(data: bytes) -> None:
    """Count in both backends; now and then go on from deltas, from a dump, under other windows."""
    if len(data) < 2:
        return
    cap, scale, now, specs = 1 + data[0] % 12, _SCALES[data[1] & 3], 0, SPECS[0]
    tables = [new_table(compiled, specs, cap, 1) for compiled in (True, False)]
    copies = [new_table(compiled, specs, cap, 2) for compiled in (True, False)]
    for what, value, ahead in _STEP.iter_unpack(data[2 : 2 + (len(data) - 2) // 4 * 4]):
        if what < 240:
            now += (ahead >> 4) * scale >> 4
            time = max(now - (ahead & 15) * scale, 0)
            seen = [
                count(table, ACCOUNTS[what % 16], time, value & 7, f"t{value}", b"x" * (value & 3))
                for table in tables
            ]
            assert seen[0] == seen[1]
            continue
        for table, copy in zip(tables, copies, strict=True):
            copy.restore(time_of(table), table.changes())
        assert len({dump(table) for table in (*tables, *copies)}) == 1
        if what >= 250:
            specs = SPECS[value & 1]
        if what >= 245:
            source, moved = tables[value >> 1 & 1], []
            for seed in (3, 4):
                moved.append([new_table(compiled, specs, cap, seed) for compiled in (True, False)])
                for table in moved[-1]:
                    table.restore(time_of(source), dump(source))
            tables, copies = moved
    assert dump(tables[0]) == dump(tables[1])


def fuzz_images(data: bytes) -> None:
    """Restore anything: refused by both backends, or the same table that goes on the same."""
    entries, at = [], 0
    while at + 2 <= len(data):
        size = data[at + 1]
        value = data[at + 2 : at + 2 + size]
        entries.append(Entry(bytes([data[at] & 7]) * 16, value, data[at] >= 240))
        at += 2 + size
    outcomes: list[bytes | None] = []
    tables = [new_table(compiled, SPECS[0], 4, 1) for compiled in (True, False)]
    for table in tables:
        try:
            table.restore(1_000_000, pack(entries))
            outcomes.append(dump(table))
        except CorruptImage:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]
    if outcomes[0] is None:
        return
    for n in range(8):
        seen = [count(table, f"u{n}", 1_000_000 * n, 1, "t", b"x") for table in tables]
        assert seen[0] == seen[1]
    assert dump(tables[0]) == dump(tables[1])


def test_one(data: bytes) -> None:
    """Run one input; the first byte says against what."""
    if data:
        (fuzz_operations, fuzz_images)[data[0] & 1](data[1:])
