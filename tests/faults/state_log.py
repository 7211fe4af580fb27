"""Follow a state partition record by record, by docs/state.md alone; shares no code with Weir."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from crc32c import crc32c

_HEAD = struct.Struct("<4sBcHI")
_CLAIM = struct.Struct("<QQqQiIIHH")
_DELTA = struct.Struct("<QQqqq32sIHH")
_SLICE = struct.Struct("<QQqHHH")
_RING = 4_096
_SLICES = 256
_IMPORTED = 2  # the seq of the only delta of an import


@dataclass
class StateLog:
    """Say where a state partition stands and what was wrong on the way."""

    epoch: int = 0
    seq: int = 0
    began: int | None = None  # the input offset of the first claim
    in_next: int | None = None
    chain: bytes = bytes(16)
    claims: int = 0
    deltas: int = 0
    slices: int = 0
    broken: list[str] = field(default_factory=list)
    imported: bool = False  # it begins with the slices of an import, then its claim and its delta
    _chunks: int = 0  # still to come of the newest delta
    _top: int = 0  # the highest epoch claimed
    _undecided: bool = False  # no delta stands behind the newest claim
    _as_of: dict[int, int] = field(default_factory=dict)

    def feed(self, offset: int, value: bytes) -> None:
        """Check the next record, in order of offset."""
        magic, version, kind, zero, size = _HEAD.unpack_from(value)
        self._hold(
            (magic, version, zero, size) == (b"WEIC", 1, 0, len(value)), offset, "a broken head"
        )
        crc = int.from_bytes(value[-4:], "little")
        self._hold(crc == crc32c(value[:-4]), offset, "a wrong CRC-32C")
        body = value[_HEAD.size : -4]
        {b"C": self._claim, b"D": self._delta, b"S": self._slice}[kind](offset, value, body)

    def _hold(self, condition: bool, offset: int, what: str) -> None:
        if not condition:
            self.broken.append(f"offset {offset}: {what}")

    def _claim(self, offset: int, _value: bytes, body: bytes) -> None:
        epoch, previous, in_next, _gap, *_ = _CLAIM.unpack_from(body)
        # An older open transaction may hide claims from a restore, whose own then counts on from
        # a lower epoch; it may do so only while what it did not see has decided nothing. Who
        # claims behind a delta has seen the claim that the delta stands under.
        rises = 0 < epoch <= self._top + 1 if self._undecided else epoch == self.epoch + 1
        self._hold(rises, offset, f"claim {epoch} after {self.epoch}..{self._top}")
        self._top = max(self._top, epoch)
        if self.imported and self.claims == 0:
            self._hold(len(self._as_of) == _SLICES, offset, "an import without all of its slices")
            self.seq = _IMPORTED - 1
        self._hold(previous == self.seq, offset, f"a claim upon delta {previous}, not {self.seq}")
        at = self.in_next
        self._hold(at in (None, in_next), offset, f"a claim at {in_next}, the state at {at}")
        self._hold(self._chunks == 0, offset, "a claim within a delta")
        self.began = in_next if self.claims == 0 else self.began
        self.epoch, self.in_next, self._undecided = epoch, in_next, True
        self.claims += 1

    def _delta(self, offset: int, value: bytes, body: bytes) -> None:
        epoch, seq, in_from, in_next, _, _, place, chunk, chunks = _DELTA.unpack_from(body)
        chain = hashlib.blake2b(self.chain + value[:-20], digest_size=16).digest()
        self._hold(epoch == self.epoch, offset, f"a delta of epoch {epoch}, claimed {self.epoch}")
        self._hold(value[-20:-4] == chain, offset, "the chain is broken")
        self._hold(place == seq % _RING, offset, f"delta {seq} at position {place}")
        if chunk == 0:
            self._hold(self._chunks == 0, offset, "a delta within a delta")
            self._hold(seq == self.seq + 1, offset, f"delta {seq} after {self.seq}")
            self._hold(in_from == self.in_next, offset, f"from {in_from}, not {self.in_next}")
            self._hold(in_next >= in_from, offset, f"input goes back to {in_next}")
            old = [s for s, at in self._as_of.items() if at <= seq - _RING // 2]
            self._hold(not old, offset, f"slices {old[:3]} are older than half the ring")
            self._chunks = chunks
            self.deltas += 1
        self._chunks -= 1
        self._undecided = False
        self.seq, self.in_next, self.chain = seq, in_next, value[-20:-4]

    def _slice(self, offset: int, _value: bytes, body: bytes) -> None:
        epoch, as_of, _, slice_, _, _ = _SLICE.unpack_from(body)
        starts = self.imported and self.claims == 0
        under, after = (1, _IMPORTED) if starts else (self.epoch, self.seq)
        self._hold(epoch == under, offset, f"a slice of epoch {epoch}")
        self._hold(as_of == after, offset, f"a slice as of {as_of}, the delta is {after}")
        self._as_of[slice_] = as_of
        self.slices += 1


def follow(records: Iterable[tuple[int, bytes | None]], imported: bool = False) -> StateLog:
    """Follow (offset, value) of one partition from its first record."""
    log = StateLog(imported=imported)
    for offset, value in records:
        if value is None:
            log.broken.append(f"offset {offset}: a record without a value")
        else:
            log.feed(offset, value)
    return log
