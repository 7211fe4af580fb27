"""A small stage and, apart from it, the sequential reader that says what must come of its input.

The stage counts the records of each key, forgets a key at `reset`, dead-letters `bad`, and
forwards the records of a second input without state.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from fastpath.changelog import pack, unpack
from fastpath.records import BatchView
from fastpath.spec import Entry
from tests.simulation.brokers import Log, Stored
from worker.domain.dead_letter import DeadLetter, Disposition, Reason
from worker.stages.protocols import Output
from worker.state.changelog import NO_TIME
from worker.transport.protocols import Partition

KEYS = [b"k%d" % number for number in range(7)]
IDENTITIES = {key: hashlib.blake2b(key, digest_size=16).digest() for key in KEYS}
POSTS, REVIEWS = "posts", "weir.reviews"
OUT, FORWARDED, DEAD = "weir.campaigns", "weir.shadow", "weir.dlq"
NOTICES, STATE = "weir.signals", "weir.state.screen"


class Table:
    __slots__ = ("changed", "counts", "stream_time")

    def __init__(self) -> None:
        self.counts: dict[bytes, int] = {}
        self.changed: dict[bytes, None] = {}
        self.stream_time = NO_TIME


class CountingStage:
    name = "screen"
    inputs = ("posts", "reviews")

    def __init__(self, bundle: int, slices: int) -> None:
        self.bundle = bundle
        self.slices = slices
        self.counters: Counter[str] = Counter()

    def new_table(self, partition: int, partitions: int) -> Table:
        return Table()

    def entries(self, table: Table) -> Mapping[str, int]:
        return {"keys": len(table.counts)}

    def stream_time(self, table: Table) -> int:
        return table.stream_time

    def adopt(self, table: Table, older: CountingStage) -> Table:
        return table

    def changes(self, table: Table) -> bytes:
        changed = list(table.changed)
        table.changed.clear()
        return _packed(table, changed)

    def snapshot(self, table: Table, slice_: int) -> bytes:
        return _packed(table, self._of(table, slice_))

    def restore(self, table: Table, stream_time: int, entries: bytes) -> None:
        table.stream_time = max(table.stream_time, stream_time)
        for _, value, deleted in unpack(entries):
            if deleted:
                table.counts.pop(value, None)
            else:
                table.counts[value[8:]] = int.from_bytes(value[:8], "little")

    def clear(self, table: Table, slice_: int) -> None:
        for key in self._of(table, slice_):
            del table.counts[key]

    def _of(self, table: Table, slice_: int) -> list[bytes]:
        return [key for key in table.counts if IDENTITIES[key][0] % self.slices == slice_]

    def step(self, table: Table | None, view: BatchView) -> list[Output]:
        outputs = []
        for index in range(len(view)):
            offset, key = view.offset(index), view.key(index) or b""
            value = view.value(index) or b""
            place = b"%d|%d|" % (view.partition, offset)
            if table is None:
                outputs.append(Output(offset, offset, "shadow", key, place + value))
                continue
            table.stream_time = max(table.stream_time, view.time(index))
            if value == b"bad":
                outputs.append(Output(offset, offset, "dlq", key, place + value))
                continue
            if value == b"reset":
                table.counts.pop(key, None)
            else:
                table.counts[key] = table.counts.get(key, 0) + 1
            table.changed[key] = None
            told = b"%b|%d|%d" % (key, table.counts.get(key, 0), self.bundle)
            outputs.append(Output(offset, offset, "campaigns", key, place + told))
        return outputs


def _packed(table: Table, keys: Iterable[bytes]) -> bytes:
    counts = table.counts
    return pack(
        Entry(IDENTITIES[key], counts[key].to_bytes(8, "little") + key)
        if key in counts
        else Entry(IDENTITIES[key], key, True)
        for key in keys
    )


class CountingSubject:
    """Draw an input for the counting stage, and hold what its topics must say in the end."""

    name = "counting"
    stage_name = "screen"
    stateful = POSTS
    small_records = True  # an entry fits the smallest records that a world may ask for
    bundles = ("00" * 32, "11" * 32)
    records = (5, 30)  # per partition
    ring = (
        (9, 4, 1),
        (13, 3, 2),
        (5, 2, 1),
        (4, 1, 1),
    )  # ring, slices, transactions between snapshots

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.partitions = draw.choice((1, 2, 2, 3, 4, 5))
        self.topics = {
            POSTS: self.partitions,
            REVIEWS: draw.randint(1, 2),
            OUT: 2,
            FORWARDED: 1,
            DEAD: 1,
            NOTICES: 1,
            STATE: self.partitions,
        }
        self.inputs = (POSTS, REVIEWS)
        self.state = STATE

    def input(self) -> list[tuple[Partition, Stored | None]]:
        draw, made = self.draw, []
        for topic in self.inputs:
            for number in range(self.topics[topic]):
                place = Partition(topic, number)
                # Holes stand for markers and for aborted records of whoever wrote the input.
                made.append([self._record(place, at) for at in range(draw.randint(*self.records))])
        shuffled = []
        waiting = [rows for rows in made if rows]
        while waiting:
            rows = draw.choice(waiting)
            shuffled.append(rows.pop(0))
            if not rows:
                waiting.remove(rows)
        return shuffled

    def _record(self, place: Partition, offset: int) -> tuple[Partition, Stored | None]:
        draw = self.draw
        kind = draw.random()
        if kind < 0.08:
            return place, None
        key, time = draw.choice(KEYS), 1_000 * offset
        if kind < 0.11 and place.topic == POSTS:
            letter = DeadLetter(
                Reason.RECORD_CORRUPT, Disposition.POISON, *place, offset, time, key, b"raw"
            )
            return place, Stored(key, b"raw", time, (), letter)
        value = b"bad" if kind < 0.14 else b"reset" if kind < 0.2 else b"v"
        return place, Stored(key, value, time)

    def new_stage(self, bundle: int, slices: int) -> Any:
        return CountingStage(bundle, slices)

    def fingerprint(self, stage: CountingStage, table: Table) -> Any:
        return dict(table.counts)

    # The oracle: reads the input once, in order.

    def expected(self, logs: Mapping[tuple[str, int], Log], upto: Mapping[Partition, int]) -> Any:
        """Return outputs by input partition and output topic, and the final counts."""
        outputs: dict[tuple[Partition, str], list[tuple[Any, ...]]] = {}
        state: dict[int, dict[bytes, int]] = {}
        for topic in self.inputs:
            for number in range(self.topics[topic]):
                place, counts = Partition(topic, number), {}
                for offset in range(upto.get(place, 0)):
                    record = logs[topic, number].ever[offset]
                    if record is not None:
                        self._judge(place, offset, record, counts, outputs)
                if topic == POSTS:
                    state[number] = counts
        return outputs, state

    def _judge(
        self,
        place: Partition,
        offset: int,
        record: Stored,
        counts: dict[bytes, int],
        outputs: dict[tuple[Partition, str], list[tuple[Any, ...]]],
    ) -> None:
        key = record.key or b""
        if place.topic == REVIEWS:
            outputs.setdefault((place, FORWARDED), []).append((offset, record.value))
        elif record.unreadable is not None:
            outputs.setdefault((place, DEAD), []).append((offset, b"raw"))
            outputs.setdefault((place, NOTICES), []).append((offset,))
        elif record.value == b"bad":
            outputs.setdefault((place, DEAD), []).append((offset, b"bad"))
        else:
            counts[key] = 0 if record.value == b"reset" else counts.get(key, 0) + 1
            outputs.setdefault((place, OUT), []).append((offset, key, counts[key]))
            if not counts[key]:
                del counts[key]

    def told(self, topic: str, record: Stored) -> Iterator[tuple[Partition, tuple[Any, ...]]]:
        """Read one output record: whose it is and what it says, an input offset first."""
        yield self._told(topic, record)

    def _told(self, topic: str, record: Stored) -> tuple[Partition, tuple[Any, ...]]:
        value = record.value or b""
        if topic == NOTICES:
            origin = orjson.loads(value)["origin"]
            return Partition(POSTS, origin["partition"]), (origin["offset"],)
        if topic == DEAD and value == b"raw":
            headers = dict(record.headers)
            place = Partition(POSTS, int(headers["weir.dlq.partition"]))
            return place, (int(headers["weir.dlq.offset"]), value)
        number, offset, *rest = value.split(b"|")
        place = Partition(REVIEWS if topic == FORWARDED else POSTS, int(number))
        if topic == OUT:
            return place, (int(offset), rest[0], int(rest[1]))
        return place, (int(offset), rest[0])
