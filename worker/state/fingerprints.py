"""Keep the sightings of one partition by fingerprint, and count accounts over runs of ticks.

The rules are in docs/campaigns.md. The table knows nothing of rules: it keeps, per kept sighting
and run, the bits of those that are done with it, so a compiled table can take its place.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from fastpath.columns import Sighting
from fastpath.spec import TICKS
from worker.state.runs import NO_TIME, KeptSighting, Track

_BUCKET_MS = 60_000  # fingerprints are filed for retirement by the minute of their end
_RETIRED_PER_SIGHTING = 4  # looked at per sighting: bounded work, faster than they can come
# A lone sighting, packed: most fingerprints are never seen twice, and this is a fifth of the
# objects' size. Layout: time, created_at, offset, topic, partition, revision, account bytes.
_LONE = struct.Struct("<qqqIIIH16s")


class Fingerprint:
    """Hold one fingerprint that was seen more than once; `opened` has the bits of its campaigns."""

    __slots__ = ("opened", "tracks")

    def __init__(self, lengths: tuple[int, ...], key: bytes) -> None:
        self.opened = 0
        self.tracks = tuple(Track(over_ms, key) for over_ms in lengths)


_Entry: TypeAlias = bytes | Fingerprint


class _OfType(NamedTuple):
    lengths: tuple[int, ...]  # of the runs that rules read, ms, rising
    alone: bool  # a single sighting can be a campaign: no shortcut for it
    entries: dict[bytes, _Entry]


class Arrival(NamedTuple):
    """Hand back a sighting that was counted, with its fingerprint to judge."""

    kept: KeptSighting
    fingerprint: Fingerprint
    tracks: tuple[Track, ...]  # those that counted it


class FingerprintTable:
    """Hold the fingerprints of one partition of sightings.

    `lengths` are the runs that rules read, by type; `alone` the types of which one sighting may
    be a campaign already. Whether a sighting is kept is decided by stream time alone; when its
    memory is freed cannot be observed.
    """

    def __init__(
        self,
        lengths: Mapping[str, tuple[int, ...]],
        alone: frozenset[str],
        lateness_ms: int,
        key: bytes,
    ) -> None:
        self.late = 0
        self.repeated = 0
        self._types = {
            name: _OfType(tuple(sorted(of)), name in alone, {}) for name, of in lengths.items()
        }
        self._lateness_ms = lateness_ms
        self._key = key
        self._stream_time = NO_TIME
        self._topics: list[str] = []
        self._filed: dict[int, list[tuple[str, bytes]]] = {}  # minute -> fingerprints
        self._minutes: list[int] = []  # heap over the keys of _filed

    def __len__(self) -> int:
        return sum(len(of.entries) for of in self._types.values())

    def add(self, topic: str, sighting: Sighting) -> Arrival | None:
        """Count a sighting; None where there is nothing to judge: late, repeated or alone."""
        self._stream_time = max(self._stream_time, sighting.time)
        self._free()
        if self._stream_time - sighting.time > self._lateness_ms:
            self.late += 1
            return None
        of = self._types.get(sighting.type)
        if of is None:
            return None  # no rule in force reads this type
        entry = of.entries.get(sighting.fingerprint)
        if entry is None:
            self._file(sighting.type, sighting.fingerprint, sighting.time)
        if isinstance(entry, bytes):
            entry = self._unpack(of, sighting, entry)
        elif entry is not None:
            entry = self._current(entry)
        if entry is None and not of.alone:
            of.entries[sighting.fingerprint] = self._pack(topic, sighting)
            return None
        if entry is None:
            entry = Fingerprint(of.lengths, self._key)
        of.entries[sighting.fingerprint] = entry
        kept = KeptSighting(topic, sighting)
        tracks = tuple([track for track in entry.tracks if track.add(kept)])
        if not tracks:
            self.repeated += 1
            return None
        return Arrival(kept, entry, tracks)

    def _floor(self, over_ms: int) -> int:
        """Give the first tick that is kept: no sighting to come can be in a run before it."""
        tick_ms = over_ms // TICKS
        return (self._stream_time - self._lateness_ms) // tick_ms - TICKS + 1

    def _current(self, entry: Fingerprint) -> Fingerprint | None:
        """Retire what has passed; None where nothing is left."""
        for track in entry.tracks:
            track.retire(self._floor(track.over_ms))
        return None if all(track.empty for track in entry.tracks) else entry

    def _pack(self, topic: str, sighting: Sighting) -> bytes:
        if topic not in self._topics:
            self._topics.append(topic)
        account = sighting.account.encode()
        created_at = sighting.account_created_at
        return b"".join(
            (
                _LONE.pack(
                    sighting.time,
                    NO_TIME if created_at is None else created_at,
                    sighting.offset,
                    self._topics.index(topic),
                    sighting.partition,
                    sighting.revision,
                    len(account),
                    sighting.text_digest,
                ),
                account,
                sighting.post.encode(),
            )
        )

    def _unpack(self, of: _OfType, sighting: Sighting, lone: bytes) -> Fingerprint | None:
        """Make a fingerprint of a lone sighting, if that is still kept."""
        time, created_at, offset, topic, partition, revision, size, digest = _LONE.unpack_from(lone)
        account = lone[_LONE.size : _LONE.size + size].decode()
        post = lone[_LONE.size + size :].decode()
        first = sighting._replace(
            account=account,
            account_created_at=None if created_at == NO_TIME else created_at,
            post=post,
            revision=revision,
            time=time,
            text_digest=digest,
            partition=partition,
            offset=offset,
        )
        entry = Fingerprint(of.lengths, self._key)
        kept = KeptSighting(self._topics[topic], first)
        for track in entry.tracks:
            track.add(kept)
        return self._current(entry)

    def _file(self, name: str, fingerprint: bytes, newest: int) -> None:
        """File a fingerprint for a look when all that it holds now has passed."""
        over_ms = self._types[name].lengths[-1]
        end = newest + over_ms + over_ms // TICKS + self._lateness_ms
        minute = end // _BUCKET_MS + 1
        filed = self._filed.get(minute)
        if filed is None:
            filed = self._filed[minute] = []
            heapq.heappush(self._minutes, minute)
        filed.append((name, fingerprint))

    def _free(self) -> None:
        """Free a bounded number of fingerprints that have passed; file the others anew."""
        for _ in range(_RETIRED_PER_SIGHTING):
            if not self._minutes or self._minutes[0] * _BUCKET_MS > self._stream_time:
                return
            filed = self._filed[self._minutes[0]]
            name, fingerprint = filed.pop()
            if not filed:
                del self._filed[heapq.heappop(self._minutes)]
            of = self._types[name]
            entry = of.entries[fingerprint]
            newest = self._newest(entry)
            over_ms = of.lengths[-1]
            if newest + over_ms + over_ms // TICKS + self._lateness_ms <= self._stream_time:
                del of.entries[fingerprint]
            else:
                self._file(name, fingerprint, newest)

    def _newest(self, entry: _Entry) -> int:
        if isinstance(entry, bytes):
            return int(_LONE.unpack_from(entry)[0])
        return max(track.newest_end() for track in entry.tracks)
