"""Where a partition goes on: its state and the stable committed offset, or a stop for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, cast

import pytest

from tests.support.counting_stage import CountingStage
from tests.support.engine_bench import GROUP, INPUT, P0, P1, STATE, Bench
from worker.domain.errors import ConfigError, RetentionOvertook, StateMismatch
from worker.engine.commands import ReadState
from worker.state.changelog import Claim, encode_claim
from worker.transport.memory import (
    MemoryBroker,
    MemoryProducer,
    MemorySource,
    MemoryStateReader,
)
from worker.transport.protocols import Group, OffsetsUnknown, Partition, StatePiece

S0 = Partition(STATE, 0)


def ran(*keys: bytes, **settings: Any) -> Bench:
    """Give a bench on which a worker decided these records and stopped."""
    bench = Bench(**settings)
    bench.write(*keys)
    bench.engine().turn(6)
    return bench


def test_a_restart_restores_state_from_its_topic_alone() -> None:
    bench = ran(b"a", b"a", b"b")
    bench.broker.trim(P0, 3)  # the input is gone: nothing of it is read again
    bench.write(b"a", b"b")
    stage = CountingStage()
    bench.engine(stage).turn(6)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"a=3", b"b=1", b"b=2"]
    assert stage.views == [(0, 3, 2)]
    assert bench.epochs() == [1, 2]


@pytest.mark.parametrize("piece", [1, 2, 3])
def test_a_restore_in_pieces_ends_as_one_in_a_whole(piece: int) -> None:
    bench = Bench()
    running = bench.engine()
    for _ in range(5):
        bench.write(b"a")
        running.turn(4)
    bench.write(b"a")
    bench.engine(piece=piece).turn(12)
    assert bench.written() == [b"a=%d" % n for n in range(1, 7)]


def test_tables_of_two_partitions_are_filled_side_by_side() -> None:
    """Each thread waits until the other has come: one after the other they never would."""
    bench = Bench()
    for number in (0, 1):
        bench.write(b"a", b"b", partition=number)
    bench.engine().turn(6)
    for number in (0, 1):
        bench.write(b"a", partition=number)
    both = Barrier(2, timeout=30)

    def beside(work: Any, over: Iterable[Any]) -> Iterable[None]:
        def met(each: Any) -> None:
            both.wait()
            work(each)

        return threads.map(met, over)

    with ThreadPoolExecutor(2) as threads:
        bench.engine(spread=beside).turn(6)
    assert sorted(bench.written()) == [b"a=1"] * 2 + [b"a=2"] * 2 + [b"b=1"] * 2


class CountedReader(MemoryStateReader):
    """Count what is asked."""

    reads = 0

    def read(
        self, positions: Mapping[Partition, int | None], budget_s: float, budget_bytes: int
    ) -> StatePiece:
        self.reads += 1
        return super().read(positions, budget_s, budget_bytes)


class InTurn(CountedReader):
    """Answer for one partition at a time, as a fetch does that holds a part of them."""

    def read(
        self, positions: Mapping[Partition, int | None], budget_s: float, budget_bytes: int
    ) -> StatePiece:
        one = sorted(positions)[self.reads % len(positions)]
        return super().read({one: positions[one]}, budget_s, budget_bytes)


@pytest.mark.parametrize(
    ("reads_in", "outstanding"), [(CountedReader, 1), (InTurn, 2)], ids=["all", "in turn"]
)
def test_a_table_takes_in_one_piece_after_the_other_while_the_next_is_read(
    reads_in: type[CountedReader], outstanding: int
) -> None:
    bench = Bench()
    running = bench.engine()
    for _ in range(5):
        bench.write(b"a", partition=0)
        bench.write(b"a", partition=1)
        running.turn(4)
    bench.write(b"a", partition=0)
    on_the_way: list[set[Partition]] = []
    most: list[int] = []
    read_meanwhile: list[int] = []

    def late(work: Any, over: Iterable[Any]) -> Iterable[None]:
        """Hand over now, and work when asked for what came of it."""
        held = list(over)
        tables = {each.partition for each, _ in held}
        assert not any(tables & others for others in on_the_way)
        on_the_way.append(tables)
        most.append(len(on_the_way))
        return results(work, held, tables, reader.reads)

    def results(work: Any, held: list[Any], tables: set[Partition], reads: int) -> Iterator[None]:
        read_meanwhile.append(reader.reads - reads)
        for each in held:
            yield work(each)
        on_the_way.remove(tables)

    restarted = bench.engine(spread=late)
    reader = reads_in(bench.broker, 1)
    restarted.driver._state = reader
    restarted.turn(40)
    assert sorted(bench.written())[-2:] == [b"a=5", b"a=6"]
    assert max(read_meanwhile) >= 1
    assert max(most) == outstanding


def test_a_table_that_is_filled_on_a_thread_can_stop_for_a_person() -> None:
    bench = ran(b"a")
    bench.broker.append(STATE, b"c", b"no record of ours")
    with (
        ThreadPoolExecutor(2) as threads,
        pytest.raises(StateMismatch, match=f"{STATE}-0 at offset"),
    ):
        bench.engine(spread=threads.map).turn(6)


def test_a_table_kept_over_a_rebalance_reads_on_from_its_own_place() -> None:
    bench = ran(b"a", b"a")
    stage = CountingStage()
    running = bench.engine(stage)
    running.turn(6)
    made, end = stage.tables, bench.broker.log(S0).end
    bench.broker.group(GROUP).generation += 1  # everyone joins again
    bench.write(b"a")
    running.asked.clear()
    running.turn(6)
    assert stage.tables == made
    reads = [command for command in running.asked if isinstance(command, ReadState)]
    assert reads[0].positions[S0] == end - 1, "behind its own last record is a marker"
    assert bench.written() == [b"a=1", b"a=2", b"a=3"]
    modes = [fields["mode"] for event, fields in bench.told if event == "partition_restored"]
    assert modes[-2:] == ["warm", "warm"]


def test_a_kept_table_takes_in_what_another_worker_decided_meanwhile() -> None:
    bench = ran(b"a")
    first = bench.engine(slot="a")
    first.turn(6)
    other = bench.engine(slot="0")  # sorts first: takes partition 0
    for _ in range(6):
        first.turn()
        other.turn()
    bench.write(b"a")
    for _ in range(3):
        first.turn()
        other.turn()
    other.source.evict()
    first.turn(6)
    bench.write(b"a")
    first.turn(3)
    assert bench.written() == [b"a=1", b"a=2", b"a=3"]
    modes = [fields["mode"] for event, fields in bench.told if event == "partition_restored"]
    assert modes[-1] == "warm"


def open_transaction(bench: Bench, *, offsets: dict[Partition, int] | None = None) -> None:
    """Leave a transaction open in the state topic, as a worker that is stopped does."""
    producer = MemoryProducer(bench.broker, "weir.correlate.stopped", GROUP)
    producer.begin()
    producer.send(STATE, b"X", b"never committed", partition=0)
    producer.settle(1)
    if offsets is not None:
        producer.send_offsets(offsets, Group(True, -1, "", "", 0))


def test_an_unstable_offset_is_waited_for() -> None:
    bench = ran(b"a")
    open_transaction(bench, offsets={P0: 1})
    bench.write(b"a")
    running = bench.engine()
    running.turn(8)
    bench.clock.now += 1_000
    running.turn(8)
    assert bench.written() == [b"a=1"], "nothing is decided while the offset is unstable"
    bench.broker.abort("weir.correlate.stopped")
    running.turn(4)
    assert bench.written() == [b"a=1", b"a=2"]


def test_state_behind_an_open_transaction_is_waited_for() -> None:
    bench = Bench()
    bench.write(b"a")
    running = bench.engine()
    running.turn(3)
    open_transaction(bench)
    bench.write(b"a")
    running.turn(3)
    assert (bench.committed(), len(bench.deltas())) == (2, 1), "the second delta is hidden"
    bench.write(b"a")
    restarted = bench.engine()
    restarted.turn(6)
    assert bench.written() == [b"a=1", b"a=2"]
    bench.broker.abort("weir.correlate.stopped")
    restarted.turn(6)
    assert bench.written() == [b"a=1", b"a=2", b"a=3"]


def test_state_that_stays_behind_stops_for_a_person() -> None:
    bench = ran(b"a", b"a")
    bench.write(*[b"a"] * 5)
    bench.broker.group(GROUP).committed[P0] = 7
    running = bench.engine()
    running.turn(6)
    bench.clock.now += 36
    with pytest.raises(StateMismatch, match="committed offset is 7, its state") as raised:
        running.turn(2)
    assert raised.value.exit_code == 73
    assert "fail-stops.md" in str(raised.value)


def test_an_input_that_ends_before_the_offset_stops_for_a_person() -> None:
    bench = ran(b"a", b"a")
    bench.broker.log(P0).end = 1
    with pytest.raises(StateMismatch, match="-0 ends at 1, the committed offset is 2") as raised:
        bench.engine().turn(6)
    assert raised.value.exit_code == 73


def test_state_that_is_ahead_stops_for_a_person() -> None:
    bench = ran(b"a", b"a")
    bench.broker.group(GROUP).committed[P0] = 1
    with pytest.raises(StateMismatch, match="continues at input offset 2, the committed offset"):
        bench.engine().turn(6)


def test_a_lost_committed_offset_stops_for_a_person() -> None:
    bench = ran(b"a", b"a")
    del bench.broker.group(GROUP).committed[P0]
    with pytest.raises(StateMismatch, match="deleted or have expired"):
        bench.engine().turn(6)


def test_a_lost_state_topic_stops_for_a_person() -> None:
    bench = ran(b"a", b"a")
    log = bench.broker.log(S0)
    log.records.clear()
    running = bench.engine()
    running.turn(6)
    bench.clock.now += 36
    with pytest.raises(StateMismatch, match="is empty"):
        running.turn(2)


def test_aborted_state_is_never_applied() -> None:
    bench = ran(b"a")
    open_transaction(bench)
    bench.broker.abort("weir.correlate.stopped")
    bench.write(b"a")
    bench.engine().turn(6)
    assert bench.written() == [b"a=1", b"a=2"]


def test_a_record_of_an_older_epoch_is_refused() -> None:
    bench = ran(b"a")
    stale = bench.broker.log(S0).committed[-1]  # a delta of epoch 1
    bench.engine().turn(4)  # claims epoch 2
    bench.broker.append(STATE, stale.key, stale.value, partition=0)
    with pytest.raises(StateMismatch, match=r"weir.state.correlate-0 at offset \d+: .*epoch 1"):
        bench.engine().turn(6)


def test_a_changed_partition_count_is_refused() -> None:
    bench = ran(b"a")
    add_partition(bench)
    with pytest.raises(StateMismatch, match="weir state export"):
        bench.engine().turn(6)


def add_partition(bench: Bench) -> None:
    """Give input and state a third partition, as an operator could by hand."""
    for topic in (INPUT, STATE):
        bench.broker._topics[topic] = 3
        bench.broker._logs[Partition(topic, 2)] = type(bench.broker.log(P0))()


@pytest.mark.parametrize("piece", [1, 1_000_000])
@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_who_holds_none_of_the_old_partitions_refuses_a_new_one_too(
    delivery: str, piece: int
) -> None:
    bench = ran(b"a", b"a", delivery=delivery)
    bench.engine().turn(4)  # claims again
    for number in (0, 1):  # what the cleaner does to the older claim
        bench.broker.log(Partition(STATE, number)).records.pop(0)
    add_partition(bench)
    bench.write(b"a", partition=2)
    newcomer = [bench.engine(slot=slot, piece=piece) for slot in ("a", "b", "c")][2]
    with pytest.raises(StateMismatch, match=r"written for 2 partitions .* now there are 3") as told:
        newcomer.turn(8)
    assert told.value.exit_code == 73
    assert newcomer.source.group().assigned == {Partition(INPUT, 2)}
    assert bench.epochs(2) == []


def test_a_partition_that_nobody_claimed_yet_begins_beside_others_of_the_same_count() -> None:
    bench = Bench()
    bench.write(b"a")
    bench.engine(slot="a")
    second = bench.engine(slot="b")  # partition 1 alone, and the first to claim
    second.turn(4)
    assert (bench.epochs(0), bench.epochs(1)) == ([], [1])
    bench.engine(slot="a", piece=1).turn(8)
    assert bench.written() == [b"a=1"]


def test_a_changed_partition_count_is_seen_by_a_kept_table_too() -> None:
    bench = ran(b"a")
    running = bench.engine()
    running.turn(6)
    bench.broker._topics[INPUT] = 3
    bench.broker._logs[Partition(INPUT, 2)] = type(bench.broker.log(P0))()
    bench.broker.group(GROUP).generation += 1
    with pytest.raises(StateMismatch, match="had 2 partitions and has 3"):
        running.turn(6)


def test_retention_past_the_offset_needs_the_exact_number() -> None:
    bench = ran(b"a", b"b")
    bench.write(b"a", b"a", b"a")
    bench.broker.trim(P0, 4)
    for accepted in (None, 1, 3):
        with pytest.raises(RetentionOvertook, match="by 2") as raised:
            bench.engine(accept_gap=accepted).turn(6)
        assert raised.value.exit_code == 73
        assert "--accept-retention-gap 2" in str(raised.value)
    bench.engine(accept_gap=2).turn(6)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"b=1"]
    claims = [record for record in bench.state() if isinstance(record, Claim)]
    assert (claims[-1].in_next, claims[-1].accepted_gap) == (4, 2)
    bench.engine().turn(6)  # the override stands in the state: later starts go on from it
    assert bench.committed() == 5


def test_a_partition_goes_on_while_another_is_restored() -> None:
    bench = Bench()
    bench.write(b"a")
    running = bench.engine()
    running.turn(3)
    open_transaction(bench)
    bench.write(b"a")
    running.turn(3)
    bench.write(b"a")  # its partition waits for the delta that the open transaction hides
    bench.write(b"b", partition=1)
    restarted = bench.engine()
    restarted.turn(6)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"b=1"]
    bench.broker.abort("weir.correlate.stopped")
    restarted.turn(6)
    assert sorted(bench.written()) == [b"a=1", b"a=2", b"a=3", b"b=1"]


def test_a_rebalance_in_the_middle_of_a_restore_plans_again() -> None:
    bench = Bench()
    running = bench.engine()
    for _ in range(6):
        bench.write(b"a")
        running.turn(4)
    restarted = bench.engine(piece=2)
    restarted.turn(3)
    bench.broker.group(GROUP).generation += 1
    bench.write(b"a")
    restarted.turn(12)
    assert bench.written() == [b"a=%d" % n for n in range(1, 8)]


def test_brokers_that_do_not_answer_are_no_stop() -> None:
    bench = ran(b"a")
    bench.broker.faults.offsets_unknown = True
    running = bench.engine()
    running.turn(3)
    bench.clock.now += 10_000
    running.turn(3)
    bench.broker.faults.offsets_unknown = False
    bench.write(b"a")
    running.turn(6)
    assert bench.written() == [b"a=1", b"a=2"]


class PostsStage(CountingStage):
    name = "screen"
    inputs = ("posts",)


def test_a_first_start_of_posts_must_say_where() -> None:
    bench = Bench()
    bench.broker = MemoryBroker({"posts": 1, "weir.state.screen": 1, "weir.campaigns": 1})
    source = MemorySource(bench.broker, GROUP, ["posts"], "a")
    with pytest.raises(ConfigError, match="--start earliest") as raised:
        bench.engine(cast(CountingStage, PostsStage()), source=source).turn(6)
    assert raised.value.exit_code == 78


def test_offsets_are_asked_for_again_when_others_went_on_between_the_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    running = bench.engine(slot="a")
    ask, others = running.source.committed, []

    def committed(*asked: Any) -> dict[Partition, int | None]:
        """Answer, and let another worker take over while this one stands still."""
        found = ask(*asked)
        if not others:
            others.append(bench.engine(slot="b"))
            others[0].turn(3)
            bench.write(b"a", partition=1)
            others[0].turn(3)
        return found

    monkeypatch.setattr(running.source, "committed", committed)
    running.turn(8)
    assert others
    assert bench.written() == [b"a=1"]


def test_a_claim_that_could_not_see_the_newest_one_is_no_stop() -> None:
    bench = ran(b"a")
    claim = next(record for record in bench.state() if isinstance(record, Claim))
    # An open transaction hid epoch 3 from a claimant that restored only up to it.
    for epoch in (3, 2):
        blind = claim._replace(epoch=epoch, previous_seq=1, in_next=1)
        key, value = encode_claim(blind)
        bench.broker.append(STATE, key, value, partition=0)
    bench.write(b"a")
    bench.engine().turn(8)
    assert bench.written() == [b"a=1", b"a=2"]
    assert bench.epochs() == [1, 3, 2, 3]


def test_a_broker_further_away_than_a_piece_lasts_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.write(b"a")
    bench.write(b"b", partition=1)
    bench.engine().turn(6)
    del bench.broker.group(GROUP).committed[P1]
    running = bench.engine()
    for question in ("beginnings", "committed", "ends"):
        answer = getattr(running.source, question)

        def far(partitions: Any, timeout_s: float, answer: Any = answer) -> Any:
            if timeout_s < 0.4:
                raise OffsetsUnknown
            return answer(partitions, timeout_s)

        monkeypatch.setattr(running.source, question, far)
    # Partition 0 goes on, and of partition 1 the offset is asked for again between its turns.
    with pytest.raises(StateMismatch, match="deleted or have expired"):
        running.turn(20)
