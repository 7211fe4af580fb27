"""Count per account over origin time with dictionaries: the meaning of every account window.

The rules are those of docs/time-and-identity.md, rule 2; the after-images those of
docs/state.md. Nothing here is fast.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple, get_args

from fastpath.checks import MAX_OVER_MS
from fastpath.errors import CorruptImage
from fastpath.reference.changelog import pack, read_varint, unpack, unzigzag, varint, zigzag
from fastpath.reference.hashes import siphash128
from fastpath.rfc3339 import MAX_TIME_MS
from fastpath.spec import (
    MAX_DISTINCT,
    MIN_OVER_MS,
    RETIRE_MS,
    TICKS,
    Entry,
    WindowCount,
    WindowSpec,
)

TARGET_TAG = b"\x06"  # first byte hashed of a reply or repost target; 0 is an account's
_COUNTS: tuple[WindowCount, ...] = get_args(WindowCount)
_UNITS = (60_000, 1_000, 1)  # ms; the first that divides a window's length names it

Kind = tuple[WindowCount, int]  # what is counted, over how many ms


class Counted(NamedTuple):
    """Hand back what a record sees of its account's windows after it was counted."""

    values: tuple[int, ...]  # in the order of the specification
    late: bool
    distinct_full: bool
    table_full: bool


class AccountWindows:
    """Hold the windows of the accounts of one input partition, and its stream time.

    `key` is the identity key (`hashes.identity_key`).
    """

    def __init__(
        self, windows: Sequence[WindowSpec], max_keys: int, key: bytes = b"\0" * 16
    ) -> None:
        self.windows = tuple((window.count, window.over_ms) for window in windows)
        self.max_keys = max_keys
        self.stream_time: int | None = None
        self.accounts: dict[bytes, _Account] = {}
        self._key = key
        self._changed: dict[bytes, None] = {}
        self._deleted: list[bytes] = []

    def count(
        self, account: str, time: int, links: int, targets: Sequence[str], digest: bytes | None
    ) -> Counted:
        """Count one create or edit and return what it sees.

        `links` is the number of distinct canonical URLs, `targets` the ids it answers or
        reposts, `digest` that of its folded text or None where that is empty. Values are told
        apart by 64 bits.
        """
        self.stream_time = time if self.stream_time is None else max(self.stream_time, time)
        if not self.windows:
            return Counted((), False, False, False)
        key = siphash128(self._key, b"\0" + account.encode())
        held = self.accounts.get(key)
        if held is None or held.is_retired(self.stream_time):
            self._forget(key)
            if not self._has_room():
                return Counted((0,) * len(self.windows), False, False, True)
            held = self.accounts[key] = _Account(partitioners(account.encode()), {})
        self._changed[key] = None
        held.retire(self.stream_time)
        for kind in self.windows:
            held.windows.setdefault(kind, _Window(kind))
        names = [siphash128(self._key, TARGET_TAG + target.encode())[:8] for target in targets]
        seen = {
            kind: held.windows[kind].count(time, links, names, digest and digest[:8])
            for kind in dict.fromkeys(self.windows)
        }
        return Counted(
            tuple(seen[kind][0] for kind in self.windows),
            any(late for _, late, _ in seen.values()),
            any(full for _, _, full in seen.values()),
            False,
        )

    def changes(self) -> bytes:
        """Return the entries of what changed since the last call, deletes first."""
        gone = [Entry(key, b"", True) for key in self._deleted]
        changed = [self._entry(key) for key in self._changed if key in self.accounts]
        self._changed, self._deleted = {}, []
        return pack([*gone, *changed])

    def snapshot(self, slice_: int) -> bytes:
        """Return the entries of a slice's accounts that have not retired, by key."""
        return pack(
            entry
            for entry in (self._entry(key) for key in sorted(self.accounts) if key[0] == slice_)
            if not entry.deleted
        )

    def restore(self, stream_time: int, entries: bytes) -> None:
        """Apply entries; nothing of it comes out of `changes`."""
        if stream_time > MAX_TIME_MS:
            raise CorruptImage(f"stream time {stream_time} is past the year 9999")
        self.stream_time = max(
            stream_time, stream_time if self.stream_time is None else self.stream_time
        )
        for entry in unpack(entries):
            self.accounts.pop(entry.key, None)
            if not entry.deleted:
                self.accounts[entry.key] = _Account.read(entry.value)

    def clear(self, slice_: int) -> None:
        """Forget every account of a slice."""
        self.accounts = {key: held for key, held in self.accounts.items() if key[0] != slice_}

    def _entry(self, key: bytes) -> Entry:
        image = self.accounts[key].image(self.windows, self.stream_time or 0)
        return Entry(key, image or b"", image is None)

    def _forget(self, key: bytes) -> None:
        if self.accounts.pop(key, None) is not None:
            self._deleted.append(key)

    def _has_room(self) -> bool:
        """Say whether a new account fits; retired ones are forgotten only when it matters."""
        now = self.stream_time or 0
        if len(self.accounts) >= self.max_keys:
            for key in [key for key, held in self.accounts.items() if held.is_retired(now)]:
                self._forget(key)
        return len(self.accounts) < self.max_keys


class _Account:
    """Hold an account's windows, those that the table does not count included."""

    def __init__(self, partitioners: bytes, windows: dict[Kind, _Window]) -> None:
        self.partitioners = partitioners
        self.windows = windows

    def is_retired(self, stream_time: int) -> bool:
        return all(window.is_retired(stream_time) for window in self.windows.values())

    def retire(self, stream_time: int) -> None:
        self.windows = {
            kind: window
            for kind, window in self.windows.items()
            if not window.is_retired(stream_time)
        }

    def image(self, kinds: Sequence[Kind], stream_time: int) -> bytes | None:
        """Pack what stands: the windows of `kinds` in their order, then the others."""
        order = [*(kind for kind in dict.fromkeys(kinds) if kind in self.windows), *self.windows]
        windows = [self.windows[kind] for kind in dict.fromkeys(order)]
        standing = [window for window in windows if not window.is_retired(stream_time)]
        if not standing:
            return None
        base = max(window.start for window in standing)
        return b"".join(
            [self.partitioners, varint(base), *(window.image(base) for window in standing)]
        )

    @classmethod
    def read(cls, image: bytes) -> _Account:
        base, at = read_varint(image, 8)
        if base > MAX_TIME_MS or at == len(image):
            raise CorruptImage(f"a window image of {len(image)} bytes at {base} ms")
        windows: dict[Kind, _Window] = {}
        while at < len(image):
            window, at = _Window.read(image, at, base)
            if window.kind in windows:
                raise CorruptImage(f"window {window.kind} stands twice")
            windows[window.kind] = window
        return cls(image[:8], windows)


class _Window:
    """Keep the newest tick of one account's window and what fell into the eight ticks up to it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.count_of, over_ms = kind
        self.tick_ms = over_ms // TICKS
        self.newest: int | None = None
        self.counts: dict[int, int] = {}  # tick -> sum
        self.seen: dict[bytes, set[int]] = {}  # distinct value -> its ticks

    @property
    def start(self) -> int:
        return (self.newest or 0) * self.tick_ms

    def is_retired(self, stream_time: int) -> bool:
        if self.newest is None:
            return True
        return stream_time >= (self.newest + TICKS) * self.tick_ms + RETIRE_MS

    def count(
        self, time: int, links: int, targets: Sequence[bytes], digest: bytes | None
    ) -> tuple[int, bool, bool]:
        tick = time // self.tick_ms
        if self.newest is not None and tick <= self.newest - TICKS:
            return 0, True, False
        self._advance(tick)
        full = False
        if self.count_of == "posts":
            self._add(tick, 1)
        elif self.count_of == "links":
            self._add(tick, links)
        elif self.count_of == "distinct_targets":
            for target in dict.fromkeys(targets):
                full |= not self._remember(target, tick)
            return sum(self._stands(value, tick) for value in self.seen), False, full
        elif digest is not None:  # repeated_texts
            self._add(tick, int(self._stands(digest, tick)))
            full = not self._remember(digest, tick)
        within = range(tick - TICKS + 1, tick + 1)
        return sum(self.counts.get(kept, 0) for kept in within), False, full

    def image(self, base: int) -> bytes:
        newest = self.newest or 0
        own = newest - base // self.tick_ms
        out = varint(_code(self.kind, own != 0)) + (varint(zigzag(own)) if own else b"")
        if self.count_of != "distinct_targets":
            counts = [self.counts.get(newest - back, 0) for back in range(TICKS)]
            out += bytes([sum((n > 0) << back for back, n in enumerate(counts))])
            out += b"".join(varint(n) for n in counts if n)
        if self.count_of in ("distinct_targets", "repeated_texts"):
            ticks = bytes(sum(1 << newest - tick for tick in held) for held in self.seen.values())
            out += varint(len(self.seen)) + b"".join(self.seen) + ticks
        return out

    @classmethod
    def read(cls, image: bytes, at: int, base: int) -> tuple[_Window, int]:
        code, at = read_varint(image, at)
        kind, own = _read_code(code)
        window = cls(kind)
        newest = base // window.tick_ms
        if own:
            behind, at = read_varint(image, at)
            newest += unzigzag(behind)
            if behind == 0 or not 0 <= newest <= base // window.tick_ms:
                raise CorruptImage(f"newest tick {newest} at {base} ms")
        window.newest = newest
        if window.count_of != "distinct_targets":
            at = window._read_counts(image, at)
        if window.count_of in ("distinct_targets", "repeated_texts"):
            at = window._read_values(image, at)
        return window, at

    def _read_counts(self, image: bytes, at: int) -> int:
        if at >= len(image):
            raise CorruptImage("a window without counts")
        bitmap, at = image[at], at + 1
        for back in range(TICKS):
            if bitmap >> back & 1:
                number, at = read_varint(image, at)
                if not 0 < number < 2**32:
                    raise CorruptImage(f"a tick of {number}")
                self.counts[(self.newest or 0) - back] = number
        return at

    def _read_values(self, image: bytes, at: int) -> int:
        size, at = read_varint(image, at)
        if size > MAX_DISTINCT or 9 * size > len(image) - at:
            raise CorruptImage(f"{size} distinct values")
        for place in range(size):
            value = image[at + 8 * place : at + 8 * place + 8]
            bits = image[at + 8 * size + place]
            if bits == 0 or value in self.seen:
                raise CorruptImage("a distinct value that stands in no tick, or twice")
            self.seen[value] = {(self.newest or 0) - b for b in range(TICKS) if bits >> b & 1}
        return at + 9 * size

    def _advance(self, tick: int) -> None:
        if self.newest is not None and tick <= self.newest:
            return
        self.newest = tick
        oldest = tick - TICKS + 1
        self.counts = {kept: n for kept, n in self.counts.items() if kept >= oldest}
        kept_ticks = {v: {t for t in ticks if t >= oldest} for v, ticks in self.seen.items()}
        self.seen = {value: ticks for value, ticks in kept_ticks.items() if ticks}

    def _add(self, tick: int, amount: int) -> None:
        self.counts[tick] = min(self.counts.get(tick, 0) + amount, 2**32 - 1)

    def _stands(self, value: bytes, tick: int) -> bool:
        return any(tick - TICKS < kept <= tick for kept in self.seen.get(value, ()))

    def _remember(self, value: bytes, tick: int) -> bool:
        if value not in self.seen and len(self.seen) >= MAX_DISTINCT:
            return False
        self.seen.setdefault(value, set()).add(tick)
        return True


def _code(kind: Kind, own: bool) -> int:
    """Name a window by what it counts and its length, whatever its place in a bundle."""
    count, over_ms = kind
    unit = next(place for place, ms in enumerate(_UNITS) if over_ms % ms == 0)
    return over_ms // _UNITS[unit] << 5 | own << 4 | unit << 2 | _COUNTS.index(count)


def _read_code(code: int) -> tuple[Kind, bool]:
    unit, own = code >> 2 & 3, bool(code >> 4 & 1)
    if unit < len(_UNITS):
        kind = (_COUNTS[code & 3], (code >> 5) * _UNITS[unit])
        over_ms = kind[1]
        buildable = MIN_OVER_MS <= over_ms <= MAX_OVER_MS and over_ms % TICKS == 0
        if buildable and _code(kind, own) == code:
            return kind, own
    raise CorruptImage(f"window code {code}")


def partitioners(account: bytes) -> bytes:
    """Return how producers place an account: Kafka's Murmur2 and CRC-32, u32 little-endian."""
    return struct.pack("<II", murmur2(account), zlib.crc32(account))


def murmur2(data: bytes) -> int:
    """Return Austin Appleby's MurmurHash2 with the seed of Kafka's default partitioner."""
    m, mask = 0x5BD1E995, 2**32 - 1
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        k = word * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
