"""What the client's fetcher relies on in the class that batch views replace, line by line.

The lines are those of docs/kafka-client.md. The stock class is the oracle wherever it can read;
`tests/golden/batches.json` holds what a real broker sent.
"""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher, IsolationLevel
from kafka.errors import CorruptRecordError
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from fastpath.records import BatchView
from tests.support.batches import (
    ABORT,
    COMMIT,
    LOG_APPEND_TIME,
    Headers,
    RawKey,
    batch,
    broken,
    emptied,
    marker,
    stamped,
)
from worker.transport.kafka.batch_records import BatchRecords, Taken
from worker.transport.kafka.plain_records import KeptRecords

TP = TopicPartition("posts", 0)
GOOD: tuple[bytes, bytes, Headers] = (b"k", b"v", [("h", b"1")])
CAPTURED = Path(__file__).parents[1] / "golden" / "batches.json"
POISON = batch(4, [(b"k", b"v", [(RawKey("x"), b"")])])


class Fetched(NamedTuple):
    """Hold what a fetch brought for one partition."""

    buffer: bytes
    fetch_offset: int = 0
    aborted: tuple[tuple[int, int], ...] = ()

    def options(self) -> dict[str, Any]:
        return {
            "isolation_level": IsolationLevel.READ_COMMITTED,
            "aborted_transactions": [Aborted(*each) for each in self.aborted],
        }

    def views(self, **more: Any) -> BatchRecords:
        options = self.options() | more
        return BatchRecords(self.fetch_offset, TP, MemoryRecords(self.buffer), **options)

    def stock(self) -> KeptRecords:
        return KeptRecords(self.fetch_offset, TP, MemoryRecords(self.buffer), **self.options())


class Aborted(NamedTuple):
    producer_id: int
    first_offset: int


def old_format() -> bytes:
    builder = MemoryRecordsBuilder(magic=1, compression_type=0, batch_size=1 << 20, offset=3)
    for n in range(3):
        builder.append(timestamp=n, key=b"k", value=b"%d" % n)
    builder.close()
    return bytes(builder.buffer())


HAND_MADE = {
    "nothing": Fetched(b""),
    "several batches": Fetched(b"".join(batch(n * 5, [GOOD] * 5) for n in range(6))),
    "inside a batch": Fetched(batch(0, [GOOD] * 5) + batch(5, [GOOD]), 3),
    "holes": Fetched(
        stamped(batch(0, [GOOD] * 2, deltas=[2, 5]), last_offset_delta=9) + batch(20, [GOOD]), 1
    ),
    "a hole at the fetch offset": Fetched(batch(40, [GOOD] * 2), 7),
    "append time": Fetched(
        stamped(batch(0, [GOOD] * 2), attributes=LOG_APPEND_TIME, max_timestamp=9)
    ),
    "transactions": Fetched(
        batch(0, [GOOD] * 2, producer_id=1)
        + batch(2, [GOOD], producer_id=2)
        + marker(3, 1, ABORT)
        + marker(4, 2, COMMIT)
        + batch(5, [GOOD], producer_id=1)
        + marker(6, 1, COMMIT),
        aborted=((1, 0),),
    ),
    "aborted alone": Fetched(batch(0, [GOOD] * 3, producer_id=1), aborted=((1, 0),)),
    "a marker alone": Fetched(marker(0, 1, COMMIT)),
    "an emptied marker": Fetched(
        batch(0, [GOOD], producer_id=1)
        + emptied(marker(1, 1, COMMIT))
        + batch(2, [GOOD], producer_id=2)
        + emptied(marker(4, 2, ABORT))
    ),
    "an emptied batch": Fetched(emptied(batch(0, [GOOD] * 3, producer_id=1)) + batch(5, [GOOD])),
    "a cut batch": Fetched(batch(0, [GOOD]) + batch(1, [GOOD])[:-1]),
    **{f"codec {codec}": Fetched(batch(0, [GOOD] * 50, codec=codec)) for codec in range(1, 5)},
    "the old format": Fetched(old_format(), 3),
    "the old format behind": Fetched(batch(0, [GOOD] * 3) + old_format()),
}


def captured() -> dict[str, Fetched]:
    held = json.loads(CAPTURED.read_text())
    return {
        f"captured: {name}": Fetched(
            base64.b64decode(each["buffer"]),
            each["fetch_offset"],
            tuple((producer, first) for producer, first in each["aborted"]),
        )
        for name, each in held.items()
    }


FETCHED = HAND_MADE | captured()


def shown(view: BatchView) -> Iterator[tuple[int, int, bytes | None, bytes | None]]:
    for i in range(len(view)):
        yield view.offset(i), view.time(i), view.key(i), view.value(i)


def taken(part: BatchRecords, n: int | None) -> list[tuple[int, int, bytes | None, bytes | None]]:
    found = part.take(n)
    return [record for view in found for record in shown(view)]


@pytest.fixture(params=FETCHED)
def fetched(request: pytest.FixtureRequest) -> Fetched:
    return FETCHED[request.param]


@pytest.mark.parametrize("n", [1, 2, 7, 10_000, None])
def test_records_positions_and_counts_are_those_of_the_client(
    fetched: Fetched, n: int | None
) -> None:
    """Lines 2 to 6, 8 and 9."""
    views, stock = fetched.views(), fetched.stock()
    assert views.next_fetch_offset == stock.next_fetch_offset == fetched.fetch_offset
    all_views, all_stock = [], []
    while views:
        found = views.take(n)
        assert len(found) or not views, "a true object must give something"
        assert n is None or len(found) <= n
        records = [record for view in found for record in shown(view)]
        assert len(found) == len(records)
        all_views += records
        if records:
            assert views.next_fetch_offset > records[-1][0]
    while stock:
        all_stock += [(r.offset, r.timestamp, r.key, r.value) for r in stock.take(n)]
    assert all_views == all_stock
    assert views.next_fetch_offset == stock.next_fetch_offset
    assert views.records_read == len(all_views)
    assert views.leader_epoch == stock.leader_epoch
    assert not views.take(n)


def test_the_position_follows_the_records_that_were_taken() -> None:
    part = Fetched(batch(0, [GOOD] * 5) + batch(8, [GOOD] * 5)).views()
    assert [record[0] for record in taken(part, 3)] == [0, 1, 2]
    assert part.next_fetch_offset == 3
    assert [record[0] for record in taken(part, 3)] == [3, 4, 8]
    assert part.next_fetch_offset == 9
    assert part
    assert [record[0] for record in taken(part, 10)] == [9, 10, 11, 12]
    assert part.next_fetch_offset == 13
    assert not part


def test_the_signature_is_the_clients() -> None:
    """Line 1."""
    stock = inspect.signature(Fetcher.PartitionRecords.__init__).parameters
    own = inspect.signature(BatchRecords.__init__).parameters
    assert list(own) == list(stock)
    with pytest.raises(TypeError):
        Fetched(b"").views(unknown=1)
    for name in ("key_deserializer", "value_deserializer"):
        with pytest.raises(ValueError, match="deserializers"):
            Fetched(b"").views(**{name: object()})


def test_draining_counts_and_reports_once(fetched: Fetched) -> None:
    """Line 4."""
    recorded: list[tuple[Any, int, int]] = []
    drained: list[Any] = []

    class Aggregator:
        def record(self, tp: Any, size: int, records: int) -> None:
            recorded.append((tp, size, records))

    part = fetched.views(metric_aggregator=Aggregator(), on_drain=drained.append)
    while part:
        part.take(3)
    part.drain()
    assert drained == [part]
    ((tp, size, records),) = recorded
    assert (tp, records) == (TP, part.records_read)
    assert size <= len(fetched.buffer)
    assert (size > 0) == (records > 0)


def test_draining_early_leaves_nothing() -> None:
    part = Fetched(batch(0, [GOOD] * 5)).views()
    part.take(2)
    part.drain()
    assert not part
    assert not part.take(2)
    assert part.next_fetch_offset == 2


BAD = {
    "checksum": broken(batch(4, [GOOD] * 3)),
    "header_key": POISON,
    "codec": stamped(batch(4, [GOOD] * 3), attributes=2),
    "count": stamped(batch(4, [GOOD] * 3), record_count=2**31 - 1),
    "magic": stamped(batch(4, [GOOD] * 3), magic=9),
}


@pytest.mark.parametrize("error", BAD)
def test_a_bad_batch_raises_after_the_good_and_again_until_drained(error: str) -> None:
    """Line 7."""
    part = Fetched(batch(0, [GOOD] * 4) + BAD[error] + batch(9, [GOOD])).views()
    assert len(taken(part, 10)) == 4
    assert part.next_fetch_offset == 4
    last = 4 if error == "header_key" else 6
    for _ in range(3):
        with pytest.raises(CorruptRecordError, match=f"posts-0, offsets 4 to {last}: {error}"):
            part.take(10)
        assert part
    part.drain()
    assert not part.take(10)


def test_a_bad_batch_behind_aborted_ones_does_not_move_the_position() -> None:
    """The fetcher would take the object for an obsolete one and drop the error."""
    buffer = batch(0, [GOOD] * 4, producer_id=1) + broken(batch(4, [GOOD]))
    part = Fetched(buffer, aborted=((1, 0),)).views()
    for _ in range(2):
        with pytest.raises(CorruptRecordError):
            part.take(10)
        assert part.next_fetch_offset == 0


def test_checks_are_the_clients_choice() -> None:
    bad = broken(batch(0, [GOOD]), 17)
    assert len(taken(Fetched(bad).views(check_crcs=False), 10)) == 1


def test_uncommitted_records_are_shown_where_asked_for() -> None:
    fetched = HAND_MADE["aborted alone"]
    part = fetched.views(isolation_level=IsolationLevel.READ_UNCOMMITTED)
    assert len(taken(part, 10)) == 3


def test_a_view_outlives_the_object_that_made_it() -> None:
    """Line 11."""
    part = Fetched(batch(0, [GOOD] * 5, codec=4)).views()
    (view,) = part.take(2)
    part.drain()
    del part
    assert [record[3] for record in shown(view)] == [b"v", b"v"]


def test_what_was_taken_counts_by_records_and_iterates_by_views() -> None:
    view = BatchView.from_records("t", 0, [None] * 3, [b""] * 3, [0] * 3, [0, 1, 2])
    assert len(Taken(view)) == 3
    assert list(Taken(view)) == [view]
    held: list[BatchView] = []
    held.extend(Taken(view))
    assert held == [view]
