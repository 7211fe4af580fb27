"""Check what the topics hold after a run, by reading them alone (docs/delivery.md).

I1 no loss, I2 no repeat, I3 order, I4 counts, I5 the state topic, I6 nothing aborted was seen,
I7 what was not seen was aborted, I9 restored state, I10 processed or dead-lettered. Nothing here
is shared with the engine or the stages: state records are taken apart by their page.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from tests.simulation.brokers import ABORTED, Log, is_aborted
from worker.transport.protocols import Partition

if TYPE_CHECKING:
    from tests.simulation.world import World


def violations(world: World) -> list[str]:
    """Return one line per broken promise."""
    found: list[str] = []
    coordinator = world.brokers.coordinator
    committed = coordinator.reached if world.sabotage else coordinator.committed
    outputs, state = world.subject.expected(world.brokers.logs, committed)
    found += _outputs(world, outputs)
    if world.halted or world.sabotage:
        return found  # state and offsets are not what they were
    for number in range(world.subject.partitions):
        place = Partition(world.subject.stateful, number)
        log = world.brokers.logs[world.subject.state, number]
        if world.exactly_once:
            found += _state_topic(place, log, committed.get(place), world.bundles)
        found += _restored(world, place, state[number])
    if world.exactly_once:
        found += _visible(world)
    return found


def _outputs(
    world: World, expected: dict[tuple[Partition, str], list[tuple[Any, ...]]]
) -> list[str]:
    subject, found = world.subject, []
    actual: dict[tuple[Partition, str], list[tuple[Any, ...]]] = defaultdict(list)
    for (topic, number), log in world.brokers.logs.items():
        if topic in subject.inputs or topic == subject.state:
            continue
        newest: dict[Any, int] = {}
        for _, record in log.read(0, 1 << 40):
            for place, said in subject.told(topic, record):
                actual[place, topic].append(said)
                if world.exactly_once and said[0] < newest.get(place, -1):
                    found.append(f"I3 {topic}-{number}: {place} {said} stands behind a later one")
                newest[place] = said[0]
    for key in sorted(expected.keys() | actual.keys()):
        wanted, got = Counter(expected.get(key, ())), Counter(actual.get(key, ()))
        lost = wanted - got
        more = got - wanted if world.exactly_once else got.keys() - wanted.keys()
        if lost:
            found.append(f"I1 {key}: lost {sorted(lost)[:5]}")
        if more:
            kind = "I4" if any(each not in wanted for each in more) else "I2"
            found.append(f"{kind} {key}: not expected {sorted(more)[:5]}")
    return found


# The state topic, taken apart by docs/state.md.

_HEAD = struct.Struct("<4sBcHI")
_CLAIM = struct.Struct("<QQq")
_DELTA = struct.Struct("<QQqqq32sIHH")


def _state_topic(place: Partition, log: Log, committed: int | None, bundles: Any) -> list[str]:
    found, epoch, top, seq, stands, chain, clean = [], 0, 0, 0, None, bytes(16), False
    for offset, record in enumerate(log.ever):
        if record is None or is_aborted(record):
            continue
        value = record.value or b""
        magic, version, kind, _, size = _HEAD.unpack_from(value)
        where = f"I5 state of {place} at {offset}"
        if (magic, version, size) != (b"WEIC", 1, len(value)):
            found.append(f"{where}: no state record")
        elif kind == b"C":
            claimed, previous, at = _CLAIM.unpack_from(value, _HEAD.size)
            # Who claims behind a delta has seen the claim that it stands under. Of the claims
            # since then an older open transaction may have hidden some, or all but the highest.
            rises = 0 < claimed <= top + 1 if clean else claimed == epoch + 1
            if not rises or previous != seq or stands not in (None, at):
                found.append(f"{where}: claim {claimed} of {epoch}..{top} after {previous} at {at}")
            clean, top = True, max(top, claimed)
            epoch, stands = claimed, at
        elif kind == b"D":
            fields = _DELTA.unpack_from(value, _HEAD.size)
            by, number, begins, ends, _, bundle, _, chunk, chunks = fields
            if by != epoch or number != seq + 1 or (begins != stands and chunk == 0):
                found.append(f"{where}: delta {number} of epoch {by} from {begins}, not {stands}")
            hashed = hashlib.blake2b(chain + value[:-20], digest_size=16).digest()
            if hashed != value[-20:-4]:
                found.append(f"{where}: delta {number} breaks the chain")
            if bundle.hex() not in bundles:
                found.append(f"{where}: delta {number} names no bundle")
            chain, clean = value[-20:-4], False
            if chunk + 1 == chunks:
                seq, stands = number, ends
    if stands != committed:
        found.append(f"I5 {place}: committed {committed}, its state goes on at {stands}")
    return found


def _restored(world: World, place: Partition, expected: Any) -> list[str]:
    """Restore from what compaction left, and look at the live tables (I9)."""
    found = []
    restored = world.restored(place)
    if restored != expected:
        found.append(f"I9 {place}: restored {restored}, expected {expected}")
    for name, live in world.live(place):
        if live != expected:
            found.append(f"I9 {place} in {name}: holds {live}, expected {expected}")
    return found


def _visible(world: World) -> list[str]:
    found = []
    for (topic, number), log in world.brokers.logs.items():
        for offset, record in enumerate(log.records):
            if record is None or record.transaction is None:
                continue
            seen = (topic, number, offset) in world.seen_by_reader
            if seen and record.transaction.state == ABORTED:
                found.append(f"I6 {topic}-{number} at {offset}: seen, but aborted")
            if record.transaction.state not in (3, ABORTED):
                found.append(f"I7 {topic}-{number} at {offset}: its transaction never ended")
    return found
