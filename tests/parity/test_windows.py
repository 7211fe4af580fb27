"""Account windows equal an independent model in dictionaries, whatever the order of records.

The model is written from the rule itself: it keeps every counted record for ever and sums by
filter, where the compiled table keeps eight counters and the twin a dictionary of ticks.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastpath import BuildError, CorruptImage
from fastpath.changelog import SLICES, unpack
from fastpath.hashes import siphash128_of
from fastpath.reference import windows as twin
from fastpath.spec import MAX_DISTINCT, RETIRE_MS, WindowSpec
from fastpath.windows import AccountWindows

SPECS = (
    WindowSpec("posts", "posts", 8_000),
    WindowSpec("links", "links", 60_000),
    WindowSpec("targets", "distinct_targets", 80_000),
    WindowSpec("copies", "repeated_texts", 8_000),
    WindowSpec("copies_1h", "repeated_texts", 3_600_000),
)
Outcome = tuple[tuple[int, ...], bool, bool, bool]


KEY = b"\0" * 16
Tables = tuple[AccountWindows, AccountWindows, twin.AccountWindows]
Table = AccountWindows | twin.AccountWindows


def digest_of(text: str | None) -> bytes | None:
    return None if text is None else text.encode().ljust(16, b".")


def dump(table: Table, slices: Iterable[int] = range(SLICES)) -> bytes:
    return b"".join(table.snapshot(slice_) for slice_ in slices)


class Event(NamedTuple):
    tick: int
    amount: int
    values: tuple[str, ...]


class Model:
    """Say what rule 2 says, with one list of events per account and window."""

    def __init__(self, max_keys: int) -> None:
        self.max_keys = max_keys
        self.now = 0
        self.events: dict[str, list[list[Event]]] = {}

    def is_absent(self, account: str) -> bool:
        return all(
            self.is_retired(events, spec)
            for events, spec in zip(self.events.get(account, ()), SPECS, strict=False)
        )

    def is_retired(self, events: list[Event], spec: WindowSpec) -> bool:
        tick_ms = spec.over_ms // 8
        return not events or self.now >= (max(e.tick for e in events) + 8) * tick_ms + RETIRE_MS

    def count(
        self, account: str, time: int, links: int, targets: list[str], text: str | None
    ) -> Outcome:
        self.now = max(self.now, time)
        if self.is_absent(account):
            self.events.pop(account, None)
            if sum(not self.is_absent(name) for name in self.events) >= self.max_keys:
                return (0,) * len(SPECS), False, False, True
            self.events[account] = [[] for _ in SPECS]
        outcomes = [
            self.window(events, spec, time, links, targets, text)
            for events, spec in zip(self.events[account], SPECS, strict=True)
        ]
        values = tuple(value for value, _, _ in outcomes)
        return values, any(o[1] for o in outcomes), any(o[2] for o in outcomes), False

    def window(
        self, events: list[Event], spec: WindowSpec, time: int, links: int, targets: list[str],
        text: str | None,
    ) -> tuple[int, bool, bool]:  # fmt: skip
        if self.is_retired(events, spec):
            events.clear()
        tick = time // (spec.over_ms // 8)
        newest = max([tick, *(e.tick for e in events)])
        if tick < newest - 7:
            return 0, True, False
        live = {v for e in events if e.tick >= newest - 7 for v in e.values}
        within = [e for e in events if newest - 7 <= e.tick <= tick and e.tick >= tick - 7]
        values = {"distinct_targets": targets, "repeated_texts": [text] if text else []}
        remembered: list[str] = []
        full = False
        for value in values.get(spec.count, []):
            if value in live or len(live) < MAX_DISTINCT:
                remembered.append(value)
                live.add(value)
            else:
                full = True
        repeats = int(text is not None and any(text in e.values for e in within))
        amount = {"posts": 1, "links": links, "distinct_targets": 0, "repeated_texts": repeats}
        events.append(Event(tick, amount[spec.count], tuple(remembered)))
        within.append(events[-1])
        if spec.count == "distinct_targets":
            return len({v for e in within for v in e.values}), False, full
        return sum(e.amount for e in within), False, full


def count_compiled(
    table: AccountWindows, account: str, time: int, links: int, targets: list[str],
    text: str | None,
) -> Outcome:  # fmt: skip
    hashed = [siphash128_of(KEY, twin.TARGET_TAG + t.encode())[:8] for t in dict.fromkeys(targets)]
    digest = digest_of(text)
    identity = siphash128_of(KEY, b"\0" + account.encode())
    return table.count(
        identity, account.encode(), time, links, hashed, None if digest is None else digest[:8]
    )


def count_all(
    tables: Tables, account: str, time: int, links: int, targets: list[str], text: str | None
) -> Outcome:
    """Count one record in two compiled tables of other placement and in the twin: all agree."""
    first, second = (
        count_compiled(table, account, time, links, targets, text) for table in tables[:2]
    )
    due = tuple(tables[2].count(account, time, links, targets, digest_of(text)))
    assert first == second == due
    return first


def new_tables(max_keys: int, specs: tuple[WindowSpec, ...] = SPECS) -> Tables:
    return (
        AccountWindows(specs, max_keys, 0, b"a" * 16),
        AccountWindows(specs, max_keys, 0, b"b" * 16),
        twin.AccountWindows(specs, max_keys, KEY),
    )


ACCOUNTS = "abcdefg"
USED = sorted({siphash128_of(KEY, b"\0" + name.encode())[0] for name in ACCOUNTS})


class WindowsMachine(RuleBasedStateMachine):
    """Count, late and early, jump over retirement, fill the table; compare after each record."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(4)
        self.tables = new_tables(4)
        self.copies = new_tables(4)
        self.time = 1_000_000

    def count(
        self, account: str, time: int, links: int, targets: list[str], text: str | None
    ) -> None:
        due = self.model.count(account, time, links, targets, text)
        assert count_all(self.tables, account, time, links, targets, text) == due

    accounts = st.sampled_from(ACCOUNTS)
    texts = st.sampled_from(["x", "y", "z", None])
    ids = st.lists(st.sampled_from("pqrst"), max_size=2)

    @rule(
        account=accounts, links=st.integers(0, 64), answered=ids, text=texts,
        ahead=st.sampled_from([0, 0, 1, 999, 1_000, 7_000, 8_000, 10_001, 60_000]),
    )  # fmt: skip
    def now(
        self, account: str, links: int, answered: list[str], text: str | None, ahead: int
    ) -> None:
        self.time += ahead
        self.count(account, self.time, links, answered, text)

    @rule(account=accounts, answered=ids, text=texts, back=st.integers(0, 90_000))
    def earlier(self, account: str, answered: list[str], text: str | None, back: int) -> None:
        self.count(account, self.time - back, 1, answered, text)

    @rule(jump=st.sampled_from([RETIRE_MS, RETIRE_MS + 8_000, 3_600_000 * 2, 3_600_000 * 3]))
    def pause(self, jump: int) -> None:
        self.time += jump

    @rule(account=accounts)
    def jump_ahead_alone(self, account: str) -> None:
        self.count(account, self.time + 4_000_000, 2, [], "x")

    @rule()
    def drain(self) -> None:
        """Pass what changed on to the copies; each equals the table that it follows."""
        for table, copy in zip(self.tables, self.copies, strict=True):
            copy.restore(self.time_of(table), table.changes())
        assert len({dump(table, USED) for table in (*self.tables, *self.copies)}) == 1

    @precondition(lambda self: self.tables[0].stream_time is not None)
    @rule()
    def go_on_from_the_copies(self) -> None:
        """Lose every table: what was restored goes on, and no value is another one."""
        self.drain()
        self.tables, self.copies = self.copies, new_tables(4)
        for table, copy in zip(self.tables, self.copies, strict=True):
            assert table.changes() == b""
            copy.restore(self.time_of(table), dump(table, USED))

    @precondition(lambda self: self.tables[0].stream_time is not None)
    @rule(of=st.sampled_from([0, 1, 2]), slice_=st.sampled_from([*USED, 0]))
    def go_on_from_a_snapshot(self, of: int, slice_: int) -> None:
        """The backends read each other's snapshots, one slice after the other."""
        source = self.tables[of]
        self.tables, self.copies = new_tables(4), new_tables(4)
        for table in (*self.tables, *self.copies):
            table.restore(self.time_of(source), dump(source, USED))
            table.clear(slice_)
            table.restore(self.time_of(source), source.snapshot(slice_))
        assert len({dump(table, USED) for table in (source, *self.tables, *self.copies)}) == 1

    @staticmethod
    def time_of(table: Table) -> int:
        return -(2**63) if table.stream_time is None else table.stream_time

    @invariant()
    def holds_no_more_than_the_cap(self) -> None:
        assert all(table.accounts <= 4 for table in self.tables[:2])


WindowsMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=60)
TestWindows = WindowsMachine.TestCase


def test_many_accounts_grow_without_changing_a_value() -> None:
    """Grow over several doublings, retire, refill: values equal the twin's at every record."""
    rng = random.Random(7)
    tables = new_tables(1_000_000)
    time = 9_000
    for number in range(12_000):
        time += rng.choice((0, 1, 10)) if number % 4_000 else 40_000_000
        account = f"{rng.randrange(5_000)}"
        count_all(tables, account, time - rng.choice((0, 0, 9_000)), 1, [account], account[:1])
    # Retired accounts are left out when the table is rebuilt: it holds no more than it must.
    assert tables[0].accounts < 9_000
    assert tables[0].memory_bytes == tables[1].memory_bytes < 8_000_000


def test_the_cap_counts_live_accounts_whatever_the_placement() -> None:
    rng = random.Random(11)
    tables = new_tables(300)
    refused = 0
    time = 0
    for _ in range(9_000):
        time += rng.choice((0, 1_000, 9_000))
        refused += count_all(tables, f"{rng.randrange(900)}", time, 0, [], None)[3]
    assert 100 < refused < 8_900


def test_distinct_values_are_exact_up_to_the_cap_and_move_on() -> None:
    tables = new_tables(10)
    for number in range(MAX_DISTINCT):
        outcome = count_all(tables, "a", 0, 0, [f"t{number}"], f"x{number}")
        assert outcome == ((number + 1, 0, number + 1, 0, 0), False, False, False)
    assert count_all(tables, "a", 1, 0, ["t0", "more"], "x0")[0] == (257, 0, 256, 1, 1)
    assert count_all(tables, "a", 1, 0, ["more"], "more")[2]
    # 10 s later one tick of `targets` has passed, and all eight of the short windows.
    later = count_all(tables, "a", 10_000, 0, ["more"], "more")
    assert later == ((1, 0, 256, 0, 1), False, True, False)
    assert count_all(tables, "a", 80_000, 0, ["more"], "more")[0][2] == 1


def test_late_records_see_nothing_and_count_nowhere() -> None:
    tables = new_tables(10)
    count_all(tables, "a", 100_000, 5, ["t"], "x")
    assert count_all(tables, "a", 92_999, 5, ["t"], "x")[:2] == ((0, 5, 1, 0, 1), True)
    assert count_all(tables, "a", 93_000, 5, ["t"], "x")[:2] == ((1, 10, 1, 0, 2), False)
    assert count_all(tables, "a", 100_000, 5, ["t"], "x")[:2] == ((3, 20, 1, 1, 3), False)


def test_a_seed_has_sixteen_bytes() -> None:
    with pytest.raises(BuildError, match="placement seed"):
        AccountWindows(SPECS, 1, 0, b"short")


OTHER = (
    WindowSpec("copies", "repeated_texts", 8_000),
    WindowSpec("copies_again", "repeated_texts", 8_000),
    WindowSpec("targets_9s", "distinct_targets", 9_000),
    WindowSpec("posts", "posts", 8_000),
    WindowSpec("posts_ms", "posts", 8_008),
)


def test_windows_of_another_bundle_stand_still_wherever_the_restarts_are() -> None:
    """Two bundles in turn: a table that restarts often equals one that never does between them."""
    rng = random.Random(3)
    often, seldom = new_tables(50), new_tables(50)
    time = 0
    for turn in range(400):
        specs = (SPECS, OTHER)[turn // 100 % 2]
        for held, restarts in ((often, True), (seldom, turn % 100 == 0)):
            if restarts and turn:
                moved = new_tables(50, specs)
                for table, new in zip(held, moved, strict=True):
                    new.restore(time, dump(table))
                if held is often:
                    often = moved
                else:
                    seldom = moved
        for _ in range(5):
            time += rng.choice((0, 1, 500, 20_000))
            account, back = f"{rng.randrange(40)}", rng.choice((0, 0, 9_000))
            post = (account, max(time - back, 0), 1, [f"t{rng.randrange(9)}"], rng.choice("xyz"))
            assert count_all(often, *post) == count_all(seldom, *post)
        assert len({dump(table) for table in (*often, *seldom)}) == 1
    assert len(unpack(dump(often[0]))) > 20


@pytest.mark.parametrize("seed", range(20))
def test_who_retires_first_makes_room_whatever_images_came_before(seed: int) -> None:
    """Images of the same accounts, older and newer ones in any order, in a table that is full."""
    rng = random.Random(seed)
    tables = new_tables(12)
    for _ in range(200):
        source = new_tables(1)[0]
        count_compiled(source, f"{rng.randrange(12)}", rng.randrange(40_000_000), 0, [], None)
        image = source.changes()
        for table in tables:
            table.restore(0, image)
    for number in range(40):
        count_all(tables, f"new {number}", 1_200_000 * number, 0, [], None)
    assert len({dump(table) for table in tables}) == 1


@pytest.mark.parametrize("seed", range(20))
def test_damaged_images_are_judged_as_the_twin_judges_them(seed: int) -> None:
    rng = random.Random(seed)
    tables = new_tables(50)
    for number in range(60):
        count_all(
            tables, f"{number % 9}", number * 3_000, number % 3, [f"{number}"], f"x{number % 5}"
        )
    entries = tables[0].changes()
    refused = 0
    for _ in range(300):
        damaged = bytearray(entries)
        for _ in range(rng.randrange(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        outcomes = []
        for table in new_tables(50)[1:]:
            try:
                table.restore(180_000, bytes(damaged))
                outcomes.append(dump(table))
            except CorruptImage:
                outcomes.append(None)
        assert outcomes[0] == outcomes[1]
        refused += outcomes[0] is None
    assert 0 < refused < 300


def test_an_account_keeps_how_producers_place_it() -> None:
    """Vectors of Kafka's own Utils.murmur2 and of zlib's CRC-32 stand in the after-image."""
    vectors = {
        "21": -973932308,
        "foobar": -790332482,
        "a-little-bit-long-string": -985981536,
        "a-little-bit-longer-string": -1486304829,
        "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        "abc": 479470107,
    }
    tables = new_tables(50)
    for name, murmur in vectors.items():
        count_all(tables, name, 0, 0, [], None)
        placed = struct.pack("<iI", murmur, zlib.crc32(name.encode()))
        for table in tables:
            assert [entry.value[:8] for entry in unpack(table.changes())] == [placed]


def test_times_are_from_1970_to_9999() -> None:
    table = new_tables(10)[0]
    for time in (-1, 253_402_300_800_000):
        with pytest.raises(ValueError, match="1970 to 9999"):
            table.count(KEY, b"a", time, 0, [], None)


@pytest.mark.parametrize("links", [255, 256, 2**32 - 1])
def test_a_count_outgrows_a_byte_and_what_it_needed_then_is_given_back(links: int) -> None:
    tables, copies = new_tables(10), new_tables(10)
    empty = tables[0].memory_bytes
    for time in (0, 7_500, 15_000):  # the second makes 2 ** 32 - 1 out of more
        count_all(tables, "a", time, links, [], None)
        count_all(tables, "a", time, 1, [], None)
    whole = tables[0].memory_bytes
    for table, copy in zip(tables, copies, strict=True):
        copy.restore(15_000, table.changes())
    assert len({dump(table) for table in (*tables, *copies)}) == 1
    assert copies[0].memory_bytes == whole
    for each in (tables, copies):
        count_all(each, "a", 60_000, 3, [], "x")  # some ticks are left behind, then all
        count_all(each, "a", 7_500 + 60_000, 3, [], "x")
        count_all(each, "a", 4_000_000, 0, [], None)
    assert len({dump(table) for table in (*tables, *copies)}) == 1
    rows = tables[0].memory_bytes - empty
    count_all(fresh := new_tables(10), "a", 0, 0, [], None)
    assert rows == fresh[0].memory_bytes - empty


def test_one_value_stands_in_the_row_and_more_beside_it() -> None:
    """Most accounts say little: theirs is the memory of a table and the time of its restore."""
    tables, copies = new_tables(10), new_tables(10)
    count_all(tables, "a", 0, 1, ["p"], "x")
    one = tables[0].memory_bytes
    count_all(fresh := new_tables(10), "a", 0, 0, [], None)
    assert one == fresh[0].memory_bytes
    for table, copy in zip(tables, copies, strict=True):
        copy.restore(0, dump(table))
    assert copies[0].memory_bytes == one
    for each in (tables, copies):
        for text in "xyzxvwxyz":
            count_all(each, "a", 1_000, 1, [text], text)
    assert tables[0].memory_bytes > one
    assert len({dump(table) for table in (*tables, *copies)}) == 1


def test_an_account_that_said_little_takes_few_bytes() -> None:
    table = new_tables(100_000)[0]
    for number in range(20_480):
        identity = siphash128_of(KEY, number.to_bytes(4))
        table.count(identity, b"a", number, 1, [b"p" * 8], b"x" * 8)
    assert table.memory_bytes / 20_480 < 32 + 24 * len(SPECS) + 100, "row, index, retirement"
