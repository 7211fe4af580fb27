"""Break what no fault breaks: offsets, state records, retention, the number of partitions.

The stage must stop for a person or be unharmed; what it wrote must be right either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.changelog import pack
from fastpath.spec import Entry
from tests.simulation.brokers import Log, Stored, is_aborted
from tests.simulation.counting import IDENTITIES, KEYS
from worker.state.changelog import Claim, Delta, Slice, decode, encode_delta
from worker.transport.protocols import Partition

if TYPE_CHECKING:
    from tests.simulation.world import World

KINDS = (
    *("offsets", "delta lost", "byte flipped", "stale epoch", "foreign delta", "retention"),
    "partitions",
)


def commit(world: World, kind: str) -> bool:
    """Do it to one partition; tell whether there was something to break."""
    number = world.draw.randrange(world.subject.partitions)
    place = Partition(world.subject.stateful, number)
    log = world.brokers.logs[world.subject.state, number]
    match kind:
        case "offsets":
            return _move_offsets(world, place)
        case "retention":
            return _delete_unread(world, place)
        case "partitions":
            return _add_partition(world, with_state=world.draw.random() < 0.5)
        case "partitions of both":
            return _add_partition(world, with_state=True)
        case "delta lost":
            return _lose(world, log)
        case "byte flipped":
            return _flip(world, log)
    return _write(world, log, stale=kind == "stale epoch")


def _move_offsets(world: World, place: Partition) -> bool:
    coordinator = world.brokers.coordinator
    committed = coordinator.committed.get(place)
    if committed is None or place in coordinator.unstable():
        return False
    if world.brokers.logs[world.subject.state, place.number].open:
        return False  # state that is hidden yet: nothing would speak against the older offset
    end = world.brokers.logs[place].end
    to = world.draw.choice([None, *(at for at in range(end + 1) if at != committed)])
    if to is None:
        del coordinator.committed[place]
    else:
        coordinator.committed[place] = to
    return True


def _add_partition(world: World, *, with_state: bool) -> bool:
    """Give the input another partition, and posts in it, where state tells how many it had.

    With one of the state topic beside it nothing is missing: whoever holds it alone finds it
    empty.
    """
    brokers, subject = world.brokers, world.subject
    claimed = any(
        brokers.logs[subject.state, number].read(0, 1) for number in range(subject.partitions)
    )
    if claimed:
        added = brokers.add_partition(subject.stateful)
        for key in KEYS:
            brokers.logs[added].append(Stored(key, b"v", 0))
        if with_state:
            brokers.add_partition(subject.state)
    return claimed


def _delete_unread(world: World, place: Partition) -> bool:
    log, committed = world.brokers.logs[place], world.brokers.coordinator.committed.get(place)
    if committed is None or committed >= log.end:
        return False
    log.begin = world.draw.randint(committed + 1, log.end)
    return True


def _kept(log: Log) -> list[tuple[int, Stored]]:
    return [(at, r) for at, r in enumerate(log.records) if r is not None and not is_aborted(r)]


def _lose(world: World, log: Log) -> bool:
    found = [at for at, r in _kept(log) if isinstance(decode(r.value), Delta | Slice)]
    if found:
        log.records[world.draw.choice(found)] = None
    return bool(found)


def _flip(world: World, log: Log) -> bool:
    """Change a count in a delta or a snapshot of a slice; its key stays as it is."""
    found = []
    for at, record in _kept(log):
        held = decode(record.value)
        if isinstance(held, Slice) and len(held.entries) >= 25:
            found.append((at, record, (record.value or b"").index(held.entries) + 17))
    if not found:
        return False
    at, record, place = world.draw.choice(found)
    value = bytearray(record.value or b"")
    value[place] ^= 1 << world.draw.randrange(3)
    log.records[at] = record._replace(value=bytes(value))
    return True


def _write(world: World, log: Log, *, stale: bool) -> bool:
    """Append a delta behind the last one, as a process might that no broker fences."""
    claims, deltas = [], []
    for _, record in _kept(log):
        held = decode(record.value)
        (claims if isinstance(held, Claim) else deltas).append(held)
    deltas = [each for each in deltas if isinstance(each, Delta)]
    if log.open or not deltas or (stale and claims[-1].epoch < 2):
        return False
    last, key = deltas[-1], world.draw.choice(KEYS)
    records, _ = encode_delta(
        epoch=claims[-1].epoch - (1 if stale else 0),
        seq=last.seq + 1,
        in_from=last.in_next,
        in_next=last.in_next,
        stream_time=last.stream_time,
        bundle=last.bundle,
        position=(last.seq + 1) % world.ring,
        entries=pack([Entry(IDENTITIES[key], (77).to_bytes(8, "little") + key)]),
        chain=last.chain if stale else bytes(16),
    )
    for name, value in records:
        log.append(Stored(name, value))
    return True
