"""A run goes on over moved state as over state that never moved."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.records import BatchView
from fastpath.reference.records import partition_of
from fastpath.screen import Screen
from fastpath.spec import Entry, ScreenSpec, WindowSpec
from fastpath.windows import partitioners_of
from tests.support.enforce_stories import KEY, Replay, oracle_for, story, view_of
from tests.support.stage_inputs import base_bundle
from worker.domain.errors import StateMismatch
from worker.stages import wire
from worker.stages.enforce import EnforceStage, EnforceTable
from worker.stages.screen import ScreenStage, ScreenTable
from worker.state import transfer
from worker.state.changelog import KeyValue, decode
from worker.state.restore import Restore
from worker.state.transfer import Moved

WINDOWS = (WindowSpec("posts", "posts", 3_600_000), WindowSpec("copies", "repeated_texts", 60_000))
BUNDLE = b"b" * 32


def place_of(account: str, partitions: int, partitioner: int = 0) -> int:
    mask = (0x7FFFFFFF, 0xFFFFFFFF)[partitioner]
    return (partitioners_of(account.encode())[partitioner] & mask) % partitions


def written(states: list[Moved], in_next: int) -> list[list[list[KeyValue]]]:
    return [list(transfer.records_of(state, in_next, BUNDLE, "import")) for state in states]


def read(stage: ScreenStage | EnforceStage, log: list[list[KeyValue]], at: int, of: int) -> object:
    table = stage.new_table(at, of)
    restore = Restore(stage, table, of)
    for _, value in (record for transaction in log for record in transaction):
        restore.feed(value)
    assert restore.progress(77) == "done"
    return table


def screen_stage() -> ScreenStage:
    spec = ScreenSpec(windows=WINDOWS, deployment_key=KEY)
    return ScreenStage(replace(base_bundle()), Screen(spec))


def count(table: ScreenTable, stage: ScreenStage, posts: list[tuple[str, int, str]]) -> None:
    values = [
        b'{"id": "%d", "account": {"id": "%b"}, "created_at": %d, "text": "%b"}'
        % (time, account.encode(), time, text.encode())
        for account, time, text in posts
    ]
    keys = [account.encode() for account, _, _ in posts]
    times = [time for _, time, _ in posts]
    stage._screen.step(BatchView.from_records("posts", 0, keys, values, times, times), table.state)


def by_account(tables: list[ScreenTable], stage: ScreenStage, of: int) -> dict[bytes, bytes]:
    moved = [transfer.take_out(stage, table, at, of) for at, table in enumerate(tables)]
    return {entry.key: entry.value for state in moved for entry in state.entries}


@pytest.mark.parametrize("partitioner", [0, 1])
def test_windows_go_on_over_another_number_of_partitions(partitioner: int) -> None:
    draw, stage = random.Random(4), screen_stage()
    stayed = [stage.new_table(at, 2) for at in range(2)]
    posts = [
        (f"u{draw.randrange(300)}", 1_000_000 + 7 * n, draw.choice("abc")) for n in range(3_000)
    ]

    def deal(tables: list[ScreenTable], part: list[tuple[str, int, str]]) -> None:
        for at, table in enumerate(tables):
            mine = [p for p in part if place_of(p[0], len(tables), partitioner) == at]
            count(table, stage, mine)

    deal(stayed, posts[:1_500])
    states = [transfer.take_out(stage, table, at, 2) for at, table in enumerate(stayed)]
    name = transfer.partitioner_of(states)
    assert name == ("murmur2", "crc32")[partitioner]
    moved = transfer.rekey(states, transfer.place_windows(name), 5)
    logs = written(moved, 77)
    tables = [read(stage, log, at, 5) for at, log in enumerate(logs)]
    deal(stayed, posts[1_500:])
    deal(tables, posts[1_500:])  # type: ignore[arg-type]
    assert by_account(tables, stage, 5) == by_account(stayed, stage, 2)  # type: ignore[arg-type]


def test_an_unknown_partitioner_is_refused() -> None:
    stage = screen_stage()
    table = stage.new_table(0, 2)
    count(table, stage, [(f"u{n}", 1_000_000, "a") for n in range(50)])
    state = transfer.take_out(stage, table, 0, 2)
    with pytest.raises(StateMismatch, match="of 50 accounts"):
        transfer.partitioner_of([state])
    with pytest.raises(StateMismatch, match="no whole topic"):
        transfer.rekey([state], transfer.place_windows("crc32"), 3)


def test_the_windows_of_one_account_can_be_left_out() -> None:
    stage = screen_stage()
    table = stage.new_table(0, 1)
    count(table, stage, [(f"u{n}", 1_000_000, "a") for n in range(9)])
    state = transfer.take_out(stage, table, 0, 1)
    left = transfer.without(state, transfer.is_windows_of("u3", KEY))
    assert len(left.entries) == 8
    assert transfer.without(left, transfer.is_windows_of("u3", KEY)) == left


def signals(seed: int) -> tuple[EnforceStage, list[bytes]]:
    bundle, events, _ = story(seed)
    bundle = replace(bundle, limits={})
    replay = Replay(oracle_for(bundle, None))
    for event in events:
        replay.feed(event)
    return EnforceStage(bundle, "weir", KEY, None), replay.records


def test_ledgers_go_on_over_another_number_of_partitions() -> None:
    written_actions = 0
    for seed in range(60):
        stage, records = signals(seed)
        keys = [key_of(record) for record in records]
        half = len(records) // 2

        def step(tables: list[EnforceTable], first: int, last: int) -> Counter[bytes]:
            outputs: Counter[bytes] = Counter()
            for at in range(first, last):
                table = tables[place_of(keys[at], len(tables))]  # noqa: B023
                view = view_of([records[at]], first=at)  # noqa: B023
                outputs.update(o.value or b"" for o in stage.step(table, view))  # noqa: B023
            return outputs

        stayed = [stage.new_table(at, 2) for at in range(2)]
        step(stayed, 0, half)
        states = [transfer.take_out(stage, table, at, 2) for at, table in enumerate(stayed)]
        logs = written(transfer.rekey(states, transfer.place_ledger, 3), 77)
        tables = [read(stage, log, at, 3) for at, log in enumerate(logs)]
        due = step(stayed, half, len(records))
        assert step(tables, half, len(records)) == due, f"story {seed}"  # type: ignore[arg-type]
        written_actions += due.total()
    assert written_actions > 200


def key_of(record: bytes) -> str:
    decoded = wire.decode_signal_record(record)
    account = getattr(decoded, "account", None)
    return str(getattr(account, "id", account or ""))


def test_breaker_counts_are_added_up_and_split() -> None:
    states = []
    for at in range(2):
        count = Entry(b"k" * 16, b'B["lock",7,%d]' % (5 + at))
        states.append(Moved(at, 2, 5, (count, Entry(b"n" * 16, b'B["",%d,0]' % at))))
    moved = transfer.rekey(states, transfer.place_ledger, 3)
    assert [state.entries[0].value for state in moved] == [
        b'B["lock",7,4]', b'B["lock",7,4]', b'B["lock",7,3]',
    ]  # fmt: skip
    assert {state.entries[1].value for state in moved} == {b'B["",1,0]'}


def test_one_account_can_be_left_out_of_the_ledger() -> None:
    stage, records = signals(3)
    table = stage.new_table(0, 1)
    stage.step(table, view_of(records, first=0))
    state = transfer.take_out(stage, table, 0, 1)
    left = transfer.without(state, transfer.is_of_account("a"))
    assert 0 < len(left.entries) < len(state.entries)
    (log,) = written([left], 77)
    after = read(stage, log, 0, 1)
    assert isinstance(after, EnforceTable)
    assert {name for name, _ in after.live.ledger.rows()} == {
        name for name, _ in table.live.ledger.rows()
    } - {"a"}


def test_an_interrupted_import_is_refused() -> None:
    stage, records = signals(3)
    table = stage.new_table(0, 1)
    stage.step(table, view_of(records, first=0))
    (log,) = written([transfer.take_out(stage, table, 0, 1)], 77)
    for keep in (1, 100, len(log) - 1):
        restore = Restore(stage, stage.new_table(0, 1), 1)
        for _, value in (record for transaction in log[:keep] for record in transaction):
            restore.feed(value)
        assert restore.progress(77) == "behind"
    partly = Restore(stage, stage.new_table(0, 1), 1)
    for _, value in (record for transaction in [*log[:9], log[-1]] for record in transaction):
        partly.feed(value)
    with pytest.raises(StateMismatch, match="slice"):
        partly.progress(77)


@given(
    st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=30),
    st.integers(1, 200),
)
def test_records_are_joined_into_transactions_that_cut_no_list(
    sizes: list[list[bytes]], most: int
) -> None:
    lists = [[(b"k", value) for value in values] for values in sizes]
    joined = list(transfer.transactions_of(iter(lists), most))
    assert [each for records in joined for each in records] == [e for each in lists for e in each]
    left = [list(each) for each in lists]
    for number, records in enumerate(joined):
        taken: list[KeyValue] = []
        parts = 0
        while len(taken) < len(records):
            taken += left.pop(0)
            parts += 1
        assert taken == records, "a list was cut"
        size = sum(len(key) + len(value) for key, value in records)
        assert parts == 1 or size <= most
        if number + 1 < len(joined):
            more = sum(len(key) + len(value) for key, value in left[0])
            assert size + more > most, "one more would have had room"


def test_sightings_are_placed_as_screen_places_them() -> None:
    fingerprint = bytes(range(16))
    entry = Entry(b"k" * 16, b"\x01\x02" + fingerprint + b"rest")
    assert transfer.place_sightings(entry, 7) == partition_of(fingerprint, 7)


def test_every_record_can_be_shown() -> None:
    stage, records = signals(3)
    table = stage.new_table(0, 1)
    stage.step(table, view_of(records, first=0))
    (log,) = written([transfer.take_out(stage, table, 0, 1)], 77)
    shown = [transfer.describe(decode(value)) for part in log for _, value in part]
    assert Counter(each["record"] for each in shown) == {"slice": 256, "claim": 1, "delta": 1}
    assert sum(each.get("entries", 0) for each in shown if each["record"] == "slice") > 3
