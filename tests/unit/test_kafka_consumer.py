"""What the consumer puts in the client's place, on hand-made batches."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kafka import TopicPartition
from kafka.coordinator.base import MemberState
from kafka.errors import CorruptRecordError
from kafka.record.memory_records import MemoryRecords

from fastpath.batches import RecordBatches
from fastpath.inflate import MAX_INFLATED_BYTES, InflatedTooLargeError
from tests.support.batches import RawKey, batch, broken
from worker.transport.kafka.consumer import Fencing, KafkaSource, RecordHeaders
from worker.transport.kafka.plain_records import KeptRecords
from worker.transport.protocols import Partition, Quarantined

TP = TopicPartition("posts", 0)
GOOD = (b"k", b"v", [])


def kept(buffer: bytes, fetch_offset: int = 0) -> KeptRecords:
    return KeptRecords(fetch_offset, TP, MemoryRecords(buffer))


def test_good_records_come_as_the_client_reads_them() -> None:
    part = kept(batch(0, [GOOD] * 3) + batch(7, [GOOD]))
    assert [record.offset for record in part.take(10)] == [0, 1, 2, 7]
    assert not part
    assert part.next_fetch_offset == 8


@pytest.mark.parametrize(
    "bad",
    [
        broken(batch(1, [GOOD])),
        broken(batch(1, [GOOD], codec=3)),
        batch(1, [(b"k", b"v", [(RawKey("x"), b"")])]),
    ],
    ids=["checksum", "compressed", "header"],
)
def test_a_failure_whose_error_was_swallowed_ends_drained(bad: bytes) -> None:
    part = kept(batch(0, [GOOD]) + bad)
    assert [record.offset for record in part.take(10)] == [0]
    with pytest.raises((CorruptRecordError, UnicodeDecodeError)):
        part.take(10)
    assert part, "the stock client would now give nothing, for ever"
    assert part.take(10) == []
    assert not part
    assert part.buffer.endswith(bad)


class Standing:
    """Stand in for the client's consumer and fetcher: one partition that fails at one place."""

    def __init__(self, buffer: bytes) -> None:
        self.position = SimpleNamespace(offset=0)
        state = SimpleNamespace(position=self.position, highwater=2, paused=False)
        self._subscription = SimpleNamespace(assignment={TP: state})
        self._next_partition_records: KeptRecords | None = None
        self._completed_fetches: list[object] = []
        self._coordinator = SimpleNamespace(rejoining=False, _heartbeat_enabled=True)
        self._buffer = buffer
        self.polls = 0

    def group_metadata(self) -> SimpleNamespace:
        return SimpleNamespace(state=MemberState.STABLE, generation_id=1)

    def poll(self, **_options: object) -> dict[object, object]:
        self.polls += 1
        if self.position.offset > 0:
            return {}
        self._next_partition_records = kept(self._buffer)
        self._next_partition_records.take(10)
        raise AssertionError("the record should not have been readable")

    def seek(self, _tp: object, offset: int) -> None:
        self.position.offset = offset


def test_a_record_that_fails_is_fetched_once_more_and_then_saved_for_good() -> None:
    bad = broken(batch(0, [GOOD]))
    source, client = KafkaSource.__new__(KafkaSource), Standing(bad + batch(1, [GOOD]))
    vars(source).update(
        _consumer=client,
        _fetcher=client,
        _views=False,
        _suspects={},
        _fencing=Fencing(),
        _listener=SimpleNamespace(rebalances=0),
    )
    assert source.poll(0.1, 10).items == (), "a transfer error would go away"
    (letter,) = source.poll(0.1, 10).items
    assert isinstance(letter, Quarantined)
    assert (letter.first, letter.next, letter.letters[0].value) == (0, 1, bad)
    assert source.poll(0.1, 10).items == ()
    assert (client.polls, client.position.offset) == (3, 1)


def test_a_bomb_raises_before_it_is_inflated() -> None:
    part = kept(batch(0, [(b"k", bytes(MAX_INFLATED_BYTES), [])], codec=1))
    with pytest.raises(InflatedTooLargeError):
        part.take(10)


def test_headers_are_found_by_partition_and_offset() -> None:
    buffer = batch(3, [(b"k", b"v", [("a", b"1")]), GOOD, (b"k", b"v", [("b", b"")])])
    view = RecordBatches("posts", 0, buffer + batch(9, [GOOD])).read()
    assert view is not None
    headers = RecordHeaders([view.slice(0, 2), view.slice(2, 4)])
    here = Partition("posts", 0)
    assert dict(headers) == {(here, 3): (("a", b"1"),), (here, 5): (("b", b""),)}
    assert len(headers) == 2
    for absent in ((here, 4), (here, 6), (here, 100), (Partition("posts", 1), 3)):
        assert headers.get(absent, ()) == ()
