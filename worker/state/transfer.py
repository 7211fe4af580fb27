"""Move state: to another number of partitions, to another cluster, or without one account.

Pure functions over tables and records, behind `weir state dump|verify|export|import`. State is
moved as entries that stand: what has retired by its own partition's stream time is left behind.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import orjson

from fastpath.changelog import pack, unpack
from fastpath.hashes import siphash128_of
from fastpath.spec import Entry
from fastpath.windows import partitioners_of
from worker.domain.errors import StateMismatch
from worker.state.breaker import share
from worker.state.changelog import (
    RING,
    SLICES,
    Claim,
    Delta,
    KeyValue,
    StateRecord,
    encode_slice,
)
from worker.state.restore import Tail
from worker.state.state_writer import StateWriter

Partitioner: TypeAlias = Literal["murmur2", "crc32"]
# Gives the partition of an entry's key among so many; None where it belongs to a partition as such.
Placement: TypeAlias = Callable[[Entry, int], int | None]
# A transaction takes about as long for one record as for some MiB. What it holds must be written
# within the producer's delivery timeout (12 s by default), however slow the brokers are.
TRANSACTION_BYTES = 4 << 20
_PARTITIONERS: tuple[Partitioner, ...] = ("murmur2", "crc32")


class TablePacker(Protocol):
    """Name what is used of a stage (worker.stages.protocols says it in full)."""

    def snapshot(self, table: Any, slice_: int) -> bytes:
        """Pack every live entry of a slice."""

    def stream_time(self, table: Any) -> int:
        """Return the greatest origin time that the table has seen."""


class Moved(NamedTuple):
    """Hold the state of one partition outside Kafka."""

    partition: int
    partitions: int  # of the input topic
    stream_time: int
    entries: tuple[Entry, ...]


def take_out(stage: TablePacker, table: Any, partition: int, partitions: int) -> Moved:
    """Take what stands out of a restored table."""
    entries = [e for slice_ in range(SLICES) for e in unpack(stage.snapshot(table, slice_))]
    return Moved(partition, partitions, stage.stream_time(table), tuple(entries))


def describe(record: StateRecord) -> dict[str, Any]:
    """Put a record in words for `dump`: entries are counted, digests are hex."""
    shown: dict[str, Any] = {"record": type(record).__name__.lower(), **record._asdict()}
    if isinstance(record, Claim):
        return shown
    entries = unpack(record.entries)
    shown["bytes"] = len(record.entries)
    shown["entries"] = len(entries)
    shown["deletes"] = sum(entry.deleted for entry in entries)
    if isinstance(record, Delta):
        shown["bundle"], shown["chain"] = record.bundle.hex(), record.chain.hex()
    return shown


# --- Another number of partitions ----------------------------------------------------------------


def partitioner_of(states: Iterable[Moved]) -> Partitioner:
    """Find how the producers of `posts` place accounts; StateMismatch where neither way fits."""
    misplaced: Counter[str] = Counter()
    accounts = 0
    for state in states:
        for entry in state.entries:
            accounts += 1
            for name in _PARTITIONERS:
                place = _placed(name, *_window_hashes(entry), state.partitions)
                misplaced[name] += place != state.partition
    for name in _PARTITIONERS:
        if not misplaced[name]:
            return name
    raise StateMismatch(
        f"of {accounts} accounts {misplaced['murmur2']} stand on another partition than Murmur2 "
        f"and {misplaced['crc32']} on another than CRC-32 places them: the posts were produced by "
        "another partitioner, or their partition count was changed, so it is not known where an "
        "account belongs"
    )


def place_windows(name: Partitioner) -> Placement:
    """Place the entries of screen as the producers of `posts` do."""
    return lambda entry, partitions: _placed(name, *_window_hashes(entry), partitions)


def place_ledger(entry: Entry, partitions: int) -> int | None:
    """Place the entries of enforce as Weir's producer places signals; a breaker has no account."""
    if entry.value[:1] not in b"Ll":
        return None
    account = orjson.loads(entry.value[1:])[0]
    return _placed("murmur2", *partitioners_of(account.encode()), partitions)


def place_sightings(entry: Entry, partitions: int) -> int:
    """Place the entries of correlate as screen places sightings: by the fingerprint they name."""
    return int.from_bytes(entry.value[2:10], "little") % partitions


def rekey(states: Sequence[Moved], place: Placement, partitions: int) -> list[Moved]:
    """Deal the entries of all partitions of a topic out to `partitions` new ones.

    Stream time is the least of the old ones: it moves on with the next records, and nothing that
    stands may retire for having been moved. Breaker counts are added up and split as their
    limits are.
    """
    counted = {state.partition for state in states}
    for state in states:
        if state.partitions != len(states) or len(counted) != len(states):
            raise StateMismatch(
                f"partitions {sorted(counted)} of {state.partitions} are no whole topic"
            )
    dealt: list[list[Entry]] = [[] for _ in range(partitions)]
    parts: list[Entry] = []
    for state in states:
        for entry in state.entries:
            at = place(entry, partitions)
            if at is None:
                parts.append(entry)
            else:
                dealt[at].append(entry)
    for at, mine in enumerate(dealt):
        mine.extend(_breaker_share(parts, at, partitions))
    time = min(state.stream_time for state in states)
    return [Moved(at, partitions, time, tuple(sorted(mine))) for at, mine in enumerate(dealt)]


def without(state: Moved, gone: Callable[[Entry], bool]) -> Moved:
    """Leave entries out: of one account, say."""
    return state._replace(entries=tuple(entry for entry in state.entries if not gone(entry)))


def is_of_account(account: str) -> Callable[[Entry], bool]:
    """Recognise the entries of enforce that belong to an account."""
    wanted = orjson.dumps(account)

    def belongs(entry: Entry) -> bool:
        if entry.value[:1] not in b"Ll":
            return False
        return entry.value[1:].startswith(b"[" + wanted + b",")

    return belongs


def is_windows_of(account: str, deployment_key: bytes) -> Callable[[Entry], bool]:
    """Recognise the entry of screen that counts an account; its id does not stand in it."""
    naming = hashlib.blake2b(b"weir identity", digest_size=16, key=deployment_key).digest()
    key = siphash128_of(naming, b"\0" + account.encode())
    return lambda entry: entry.key == key


def _breaker_share(parts: Sequence[Entry], partition: int, partitions: int) -> Iterator[Entry]:
    totals: dict[tuple[bytes, bytes, str, int], int] = {}
    newest: dict[tuple[bytes, bytes], int] = {}
    for entry in parts:
        owner = entry.value[:1]
        kind, hour, count = orjson.loads(entry.value[1:])
        if kind:
            at = (owner, entry.key, kind, hour)
            totals[at] = totals.get(at, 0) + count
        else:
            newest[owner, entry.key] = max(hour, newest.get((owner, entry.key), hour))
    for (owner, key, kind, hour), total in totals.items():
        mine = share(total, partition, partitions)
        if mine:
            yield Entry(key, owner + orjson.dumps([kind, hour, mine]))
    for (owner, key), hour in newest.items():
        yield Entry(key, owner + orjson.dumps(["", hour, 0]))


def _window_hashes(entry: Entry) -> tuple[int, int]:
    return (
        int.from_bytes(entry.value[:4], "little"),
        int.from_bytes(entry.value[4:8], "little"),
    )


def _placed(name: Partitioner, murmur2: int, crc32: int, partitions: int) -> int:
    return (murmur2 & 0x7FFFFFFF if name == "murmur2" else crc32) % partitions


# --- Into a state topic --------------------------------------------------------------------------


def records_of(
    state: Moved, in_next: int, bundle: bytes, slot: str, *, ring: int = RING
) -> Iterator[list[KeyValue]]:
    """Make the records of an empty state partition, in lists that no transaction may cut.

    The claim and the only delta come in the last transaction, and the delta is the second of its
    kind: so a restore refuses what an interrupted import left, and a slice that is missing. That
    transaction also commits `in_next` for the group.
    """
    writer = StateWriter(Tail(seq=1), ring=ring)
    slices: dict[int, list[Entry]] = {slice_: [] for slice_ in range(SLICES)}
    for entry in state.entries:
        slices[entry.key[0]].append(entry)
    for slice_, entries in slices.items():
        yield encode_slice(
            slice_=slice_,
            epoch=1,
            as_of_seq=2,
            stream_time=state.stream_time,
            entries=pack(sorted(entries)),
        )
    claim = writer.claim(slot, 0, state.partitions, in_next)
    yield claim + writer.delta(in_next, state.stream_time, bundle, b"")


def transactions_of(
    lists: Iterable[list[KeyValue]], most: int = TRANSACTION_BYTES
) -> Iterator[list[KeyValue]]:
    """Join lists of records into transactions of at most `most` bytes, or of one list."""
    held: list[KeyValue] = []
    size = 0
    for records in lists:
        added = sum(len(key) + len(value) for key, value in records)
        if held and size + added > most:
            yield held
            held, size = [], 0
        held += records
        size += added
    if held:
        yield held
