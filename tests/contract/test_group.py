"""Hold transports with groups to what the engine relies on: assignment, offsets, fencing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.contract.harness import (
    DEADLINE_S,
    Cluster,
    Deadline,
    assigned,
    begin,
    offsets,
    partitions,
    read,
    rewind,
    values,
)
from worker.domain.errors import Fenced
from worker.transport.kafka import client, consumer
from worker.transport.protocols import CommitRefused, Partition, Source


def poll_until(source: Source, holds: Callable[[], bool], what: str) -> None:
    deadline = Deadline()
    while not holds():
        deadline.check(what)
        source.poll(0.1, 100)


def test_nothing_is_read_before_the_engine_resumes(cluster: Cluster) -> None:
    cluster.append(b"a", b"1", partition=0)
    source = cluster.source()
    assert not assigned(source)
    poll_until(source, lambda: bool(assigned(source)), "joining")
    assert assigned(source) == set(partitions(cluster.topic, 0, 1))
    group = source.group()
    assert group.rebalances >= 1
    assert (group.instance, group.trusted) == ("0", True)
    for _ in range(3):
        assert source.poll(0.1, 100).items == ()
    rewind(source)
    assert values(read(source, 1)) == [b"1"]


def test_a_poll_brings_what_was_there_when_it_began(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "LATER_S", 5.0)  # however slow this machine is
    monkeypatch.setattr(client, "IDLE_FETCH_MS", 2_000)
    source = cluster.source()
    begin(source)
    source.poll(0.0, 10)  # a client asks for what it will give at the next
    cluster.append(None, b"1", partition=0, headers=(("a", b"1"),))
    cluster.await_answer(source)  # and has it: the first record that came
    cluster.append(None, b"2", partition=0, headers=(("a", b"2"),))
    polled = source.poll(5.0, 10)
    assert values(list(polled.items)) == [b"1", b"2"]
    number = partitions(cluster.topic, 0)[0]
    assert polled.positions[number] == 2
    assert [polled.headers[number, offset] for offset in (0, 1)] == [
        (("a", b"1"),),
        (("a", b"2"),),
    ]


def test_keys_headers_times_and_tombstones_arrive(cluster: Cluster) -> None:
    cluster.append(b"k", b"v", partition=1, time=1_700_000_000_000, headers=(("h", b"\xff"),))
    cluster.append(b"k", None, partition=1, time=1_700_000_000_001)
    source = cluster.source()
    begin(source)
    deadline = Deadline()
    headers = {}
    seen = []
    while len(seen) < 2:
        deadline.check("reading")
        polled = source.poll(0.1, 100)
        headers |= polled.headers
        for view in polled.items:
            assert not isinstance(view, tuple)
            seen += [(view.key(i), view.value(i), view.time(i)) for i in range(len(view))]
    assert seen == [(b"k", b"v", 1_700_000_000_000), (b"k", None, 1_700_000_000_001)]
    assert headers == {(Partition(cluster.topic, 1), 0): (("h", b"\xff"),)}


# Hashes that org.apache.kafka.common.utils.UtilsTest expects of murmur2.
HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def test_key_goes_to_the_partition_that_java_would_choose(cluster: Cluster) -> None:
    sink = cluster.sink()
    for key in HASHES:
        sink.send(cluster.topic, key, b"{}")
    assert sink.flush(10) == len(HASHES)
    source = cluster.source()
    begin(source)
    placed = {
        view.key(i): view.partition for view in read(source, len(HASHES)) for i in range(len(view))
    }
    assert placed == {key: (found & 0x7FFFFFFF) % 2 for key, found in HASHES.items()}


def test_offsets_are_committed_and_read_back(cluster: Cluster) -> None:
    first, second = partitions(cluster.topic, 0, 1)
    source = cluster.source()
    begin(source)
    assert source.committed([first, second], 10) == {first: None, second: None}
    source.commit({first: 7}, source.group(), 10)
    assert source.committed([first, second], 10) == {first: 7, second: None}
    source.close(5)
    again = cluster.source()
    begin(again)
    assert again.committed([first], 10) == {first: 7}


def test_seek_pause_and_resume_move_one_partition_alone(cluster: Cluster) -> None:
    for n in range(4):
        cluster.append(None, b"a%d" % n, partition=0)
        cluster.append(None, b"b%d" % n, partition=1)
    first, second = partitions(cluster.topic, 0, 1)
    source = cluster.source()
    begin(source)
    read(source, 8)
    source.seek(first, 2)
    source.pause([second])
    source.seek(second, 0)
    assert values(read(source, 2)) == [b"a2", b"a3"]
    assert source.poll(0.1, 100).items == ()
    source.resume([second])
    assert values(read(source, 4)) == [b"b0", b"b1", b"b2", b"b3"]


def test_a_partition_that_is_not_ours_is_left_alone(cluster: Cluster) -> None:
    source = cluster.source()
    begin(source)
    other = Partition("elsewhere", 0)
    source.seek(other, 3)
    source.pause([other])
    source.resume([other])
    assert source.poll(0.1, 10).items == ()


def test_ends_beginnings_times_and_lag(cluster: Cluster) -> None:
    for n in range(3):
        cluster.append(None, b"%d" % n, partition=0, time=1_000 * (n + 1))
    first, second = partitions(cluster.topic, 0, 1)
    source = cluster.source()
    begin(source)
    assert source.beginnings([first, second], 10) == {first: 0, second: 0}
    assert source.ends([first, second], 10) == {first: 3, second: 0}
    assert source.at_time([first, second], 1_500, 10) == {first: 1, second: 0}
    assert source.at_time([first], 9_000, 10) == {first: 3}
    assert source.partition_count(cluster.topic) == 2
    assert offsets(read(source, 3)) == [0, 1, 2]
    assert source.lag(first) == 0


class Member:
    """Poll a source on a thread of its own, as another process would, until told to stop."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Member:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        assert self.error is None

    def _poll(self) -> None:
        try:
            while not self._stop.is_set():
                self.source.poll(0.2, 10)
        except BaseException as error:  # noqa: BLE001  # shown by the test's thread
            self.error = error


def test_members_share_the_partitions_and_one_takes_over_when_the_other_leaves(
    cluster: Cluster,
) -> None:
    first, second = partitions(cluster.topic, 0, 1)
    one = cluster.source("one")
    begin(one)
    before = one.group().rebalances
    with Member(cluster.source("two")) as other:
        two = other.source
        poll_until(one, lambda: len(assigned(one)) == len(assigned(two)) == 1, "sharing")
        assert one.group().rebalances > before
        assert assigned(one) | assigned(two) == {first, second}
        (own,) = assigned(one)
        one.commit({own: 1}, one.group(), 10)
    cluster.evict(two)
    poll_until(one, lambda: len(assigned(one)) == 2, "taking over")
    assert one.poll(0.1, 10).items == ()  # positions are the engine's again
    one.commit({first: 2, second: 3}, one.group(), 10)


def test_commit_of_a_member_that_was_put_out_is_refused(cluster: Cluster) -> None:
    own = Partition(cluster.topic, 0)
    source = cluster.source()
    begin(source)
    source.commit({own: 1}, source.group(), 10)
    cluster.evict(source)
    with pytest.raises(CommitRefused):
        source.commit({own: 2}, source.group(), 10)
    before = source.group().rebalances
    poll_until(
        source,
        lambda: source.group().trusted and source.group().rebalances > before,
        "joining again",
    )
    assert source.committed([own], 10) == {own: 1}
    source.commit({own: 2}, source.group(), 10)


def test_commit_under_a_snapshot_that_is_over_is_refused(cluster: Cluster) -> None:
    own = Partition(cluster.topic, 0)
    source = cluster.source()
    begin(source)
    older = source.group()._replace(generation=source.group().generation - 1)
    with pytest.raises(CommitRefused):
        source.commit({own: 1}, older, 10)
    assert source.committed([own], 10) == {own: None}


def test_second_process_of_a_slot_fences_the_first(cluster: Cluster) -> None:
    one = cluster.source("one")
    begin(one)
    two = cluster.source("one")
    poll_until(two, lambda: bool(assigned(two)), "taking the slot")
    with pytest.raises(Fenced):
        one.commit({Partition(cluster.topic, 0): 1}, one.group(), 10)


def test_a_process_whose_slot_was_taken_ends_though_it_has_nothing_to_write(
    cluster: Cluster,
) -> None:
    one = cluster.source("one")
    begin(one)
    two = cluster.source("one")
    poll_until(two, lambda: bool(assigned(two)), "taking the slot")
    with pytest.raises(Fenced):
        poll_until(one, lambda: False, "being fenced")
    before = two.group()
    two.commit({Partition(cluster.topic, 0): 1}, before, 10)
    assert two.group() == before
