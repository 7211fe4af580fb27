"""Hold transports to transactions: together or not at all, fenced by epoch and by generation."""

from __future__ import annotations

import time

import pytest

from tests.contract.harness import (
    Cluster,
    Deadline,
    assigned,
    begin,
    offsets,
    partitions,
    read,
    values,
)
from worker.domain.errors import Fatal, Fenced
from worker.transport.protocols import (
    Group,
    OffsetsUnknown,
    Partition,
    Source,
    StateReader,
    StateRecord,
)


def joined(cluster: Cluster) -> tuple[Source, Group]:
    source = cluster.source()
    begin(source)
    return source, source.group()


def drain(
    reader: StateReader, partition: Partition, at: int | None = None, *, until: int = 0
) -> tuple[list[StateRecord], int]:
    """Read a state partition until it is drained; return the records and where it ended.

    A commit is answered before its markers are written: a reader that is drained in between has
    seen nothing of it. So a test that awaits what was committed says which offset is behind it.
    """
    deadline = Deadline()
    found: list[StateRecord] = []
    while True:
        deadline.check("draining a state partition")
        piece = reader.read({partition: at}, 1.0, 1 << 20)
        found += piece.records.get(partition, ())
        at = piece.positions.get(partition, at)
        if partition in piece.drained and at is not None and at >= until:
            return found, at


def test_records_and_offsets_of_a_transaction_appear_with_its_commit(cluster: Cluster) -> None:
    first, second = partitions(cluster.topic, 0, 1)
    source, group = joined(cluster)
    producer = cluster.producer()
    producer.begin()
    producer.send(cluster.topic, None, b"1", partition=0)
    producer.send(cluster.topic, None, b"2", partition=1)
    flushed = producer.settle(10)
    assert (flushed.acknowledged, flushed.failed) == (2, 0)
    assert flushed.last == {first: 0, second: 0}
    producer.send_offsets({first: 5}, group)
    assert source.poll(0.3, 10).items == ()
    ended = producer.commit()
    assert ended.requests == 1
    assert sorted(values(read(source, 2))) == [b"1", b"2"]
    assert source.committed([first, second], 10) == {first: 5, second: None}


def test_a_marker_takes_an_offset_that_readers_cross(cluster: Cluster) -> None:
    source, _ = joined(cluster)
    producer = cluster.producer()
    for value in (b"1", b"2"):
        producer.begin()
        producer.send(cluster.topic, None, value, partition=0)
        producer.settle(10)
        producer.commit()
    assert offsets(read(source, 2)) == [0, 2]


def test_a_fenced_producer_says_so_at_its_first_records(cluster: Cluster) -> None:
    older = cluster.producer("a")
    older.begin()
    older.send(cluster.topic, None, b"never", partition=0)
    cluster.producer("a")
    with pytest.raises(Fenced):
        older.settle(10)


def test_the_next_process_of_a_slot_fences_it_and_ends_what_it_left_open(
    cluster: Cluster,
) -> None:
    own = Partition(cluster.topic, 0)
    source, group = joined(cluster)
    older = cluster.producer("a")
    older.begin()
    older.send(cluster.topic, None, b"never", partition=0)
    older.settle(10)
    older.send_offsets({own: 9}, group)
    newer = cluster.producer("a")
    with pytest.raises(Fenced):
        older.commit()
    newer.begin()
    newer.send(cluster.topic, None, b"seen", partition=0)
    newer.settle(10)
    newer.commit()
    assert values(read(source, 1)) == [b"seen"]
    assert source.committed([own], 10) == {own: None}


def test_offsets_of_an_open_transaction_are_not_known(cluster: Cluster) -> None:
    own = Partition(cluster.topic, 0)
    source, group = joined(cluster)
    producer = cluster.producer()
    producer.begin()
    producer.send(cluster.topic, None, b"1", partition=0)
    producer.settle(10)
    producer.send_offsets({own: 1}, group)
    with pytest.raises(OffsetsUnknown):
        source.committed([own], 0.5)
    producer.commit()
    assert source.committed([own], 10) == {own: 1}


@pytest.mark.parametrize("change", ["generation", "member"])
def test_offsets_under_another_membership_are_refused(cluster: Cluster, change: str) -> None:
    own = Partition(cluster.topic, 0)
    source, group = joined(cluster)
    stale = (
        group._replace(generation=group.generation + 7)
        if change == "generation"
        else group._replace(member="somebody-else")
    )
    producer = cluster.producer()
    producer.begin()
    with pytest.raises(Fatal):
        producer.send_offsets({own: 1}, stale)
    assert assigned(source)
    cluster.producer()  # the slot's next process ends the transaction
    assert source.committed([own], 10) == {own: None}


def test_a_replaced_producer_goes_on(cluster: Cluster) -> None:
    source, _ = joined(cluster)
    producer = cluster.producer()
    for value in (b"1", b"2"):
        producer.begin()
        producer.send(cluster.topic, None, value, partition=0)
        assert producer.settle(10).failed == 0
        producer.commit()
        producer.replace()
    assert values(read(source, 2)) == [b"1", b"2"]


def test_state_is_read_up_to_the_last_stable_offset(cluster: Cluster) -> None:
    state = Partition(cluster.topic, 0)
    reader = cluster.state_reader()
    assert drain(reader, state) == ([], 0)
    committed = cluster.producer("a")
    for value in (b"1", b"2"):
        committed.begin()
        committed.send(cluster.topic, b"k", value, partition=0)
        committed.settle(10)
        committed.commit()
    found, at = drain(reader, state, until=4)
    assert [(r.offset, r.key, r.value) for r in found] == [(0, b"k", b"1"), (2, b"k", b"2")]
    assert at == 4, "behind the marker"

    hanging = cluster.producer("b")
    hanging.begin()
    hanging.send(cluster.topic, b"k", b"hides", partition=0)
    hanging.settle(10)
    committed.begin()
    committed.send(cluster.topic, b"k", b"3", partition=0)
    committed.settle(10)
    committed.commit()
    assert drain(reader, state, at) == ([], 4), "an older open transaction hides it"
    cluster.producer("b")  # aborts it
    found, end = drain(reader, state, at, until=7)
    assert [record.value for record in found] == [b"3"]
    assert end > 6


def test_state_that_ends_with_a_marker_is_read_on_at_once(cluster: Cluster) -> None:
    """A warm restore goes on behind its own last record, where nothing but a marker stands."""
    state, reader = Partition(cluster.topic, 0), cluster.state_reader()
    producer = cluster.producer("a")
    producer.begin()
    producer.send(cluster.topic, b"k", b"1", partition=0)
    producer.settle(10)
    producer.commit()
    _, end = drain(reader, state, until=2)
    for at in (end - 1, end - 1, end):
        began = time.monotonic()
        piece = reader.read({state: at}, 10.0, 1 << 20)
        assert piece.drained == {state}
        assert time.monotonic() - began < 0.4, "neither the budget nor an idle fetch (0.5 s)"


def test_large_state_records_come_back_whole_and_in_order(cluster: Cluster) -> None:
    state = Partition(cluster.topic, 0)
    wanted = [bytes([n]) * (500_000 + n) for n in range(12)]
    producer = cluster.producer()
    producer.begin()
    for value in wanted:
        producer.send(cluster.topic, b"k", value, partition=0)
    assert producer.settle(20).failed == 0
    producer.commit()
    found, _ = drain(cluster.state_reader(), state, until=len(wanted) + 1)
    assert [record.value for record in found] == wanted
