"""The table of fingerprints equals its twin, and goes on from its changelog as if never stopped."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import BuildError, CorruptImage
from fastpath.changelog import pack, unpack
from fastpath.columns import Sighting
from fastpath.fingerprints import FingerprintTable
from fastpath.reference import fingerprints as twin
from fastpath.spec import (
    FINGERPRINT_TYPES,
    MAX_CAMPAIGN_RULES,
    CampaignGate,
    FingerprintSpec,
)
from tests.support.fingerprints import (
    DAY_MS,
    GATES,
    LONG,
    SEEDS,
    SHORT,
    Judge,
    counts,
    dump,
    feed,
    gate,
    spec_of,
)
from tests.support.stage_inputs import sightings_value

KEYS = {name: bytes([n + 1]) * 8 + bytes([n]) * 7 for n, name in enumerate(FINGERPRINT_TYPES)}


def sighting(
    of: str, fingerprint: int, account: int, post: int, time: int, offset: int = 0
) -> Sighting:
    return Sighting(
        of, KEYS[of] + bytes([fingerprint]), f"u{account}", None if account % 3 == 0 else account,
        f"p{post}", post % 2, time, bytes([account % 256]) * 16, 0, account % 4, offset,
    )  # fmt: skip


sightings = st.builds(
    sighting,
    st.sampled_from(["text", "text", "text", "device", "url", "media", "media"]),
    st.integers(0, 2),
    st.integers(0, 40),
    st.integers(0, 3),
    st.integers(-5_000, 90_000),
    st.integers(0, 2**40),
)


@st.composite
def streams(draw: st.DrawFn) -> list[Sequence[Sighting]]:
    """Draw records whose times mostly rise, with steps back, repeats and jumps ahead."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    scale = rng.choice([0, 1, 50, 400, 3_000])
    now, made, records = 0, [], []
    for _ in range(draw(st.integers(1, 12))):
        record = []
        for _ in range(rng.randrange(1, 40)):
            now += rng.randrange(scale + 1)
            if rng.random() < 0.01:
                now += rng.choice([20_000, 90_000, 10**8])
            time = now - rng.choice([0, 0, 0, 1_000, 9_000, 20_000, 25_000])
            of = rng.choice(["text", "text", "media", "media", "device", "url"])
            account, post = rng.randrange(rng.choice([3, 60])), rng.randrange(9)
            new = sighting(of, rng.randrange(3), account, post, time, rng.randrange(10**9))
            record.append(rng.choice(made) if made and rng.random() < 0.1 else new)
            made.append(record[-1])
        records.append(record)
    records.append(draw(st.lists(sightings, min_size=1, max_size=10)))
    return records


@settings(max_examples=300)
@given(streams(), st.integers(0, 30), st.sampled_from([7, 60, 10**6]))
def test_the_table_equals_its_twin_under_any_seed(
    records: list[Sequence[Sighting]], least: int, cap: int
) -> None:
    spec = spec_of(max_sightings=cap)
    judge = Judge(spec, least)
    tables = [twin.FingerprintTable(spec), *(FingerprintTable(spec, seed) for seed in SEEDS)]
    due, *found = [feed(table, judge, list(enumerate(records))) for table in tables]
    for each, table in zip(found, tables[1:], strict=True):
        assert each == due
        assert counts(table) == counts(tables[0])
    assert dump(tables[1]) == dump(tables[2])


def test_rules_of_a_type_are_told_apart_up_to_the_last() -> None:
    """A rule is known to have held whatever its bit: 64 of them fill a word."""
    same = [gate(f"{n:02}", "text", SHORT, (3, 0)) for n in range(MAX_CAMPAIGN_RULES)]
    spec = spec_of(same, exact_sightings=6)
    records = [[sighting("text", 0, n % 5, n, 1_000 * n)] for n in range(40)]
    tables = [twin.FingerprintTable(spec), FingerprintTable(spec, SEEDS[0])]
    due, found = [feed(table, Judge(spec), list(enumerate(records))) for table in tables]
    assert found == due
    held = {run.gate for each in due for run in each.arrival.runs if run.held}
    assert held == set(range(MAX_CAMPAIGN_RULES))


class Log:
    """Keep what a table writes as its state topic would, and restore copies from it."""

    def __init__(self, table: FingerprintTable) -> None:
        self.table = table
        self.records: list[tuple[int | None, int, bytes]] = []  # slice, stream time, entries
        self.merged: dict[bytes, bytes] = {}

    def commit(self, slices: Sequence[int] = ()) -> None:
        entries = self.table.changes()
        self.records.append((None, self.table.stream_time, entries))
        for slice_ in slices:
            snapshot = self.table.snapshot(slice_)
            self.records.append((slice_, self.table.stream_time, snapshot))

    def restored(self, spec: FingerprintSpec, seed: bytes) -> FingerprintTable:
        """Restore a copy; slices whose later snapshot is there need nothing before it."""
        newest = {slice_: at for at, (slice_, _, _) in enumerate(self.records)}
        copy = FingerprintTable(spec, seed)
        for at, (slice_, time, entries) in enumerate(self.records):
            if slice_ is None:
                kept = [
                    entry
                    for entry in unpack(entries)
                    if newest.get(entry.key[0], -1) < at  # compaction may have left it out
                ]
                copy.restore(time, pack(kept))
            elif newest[slice_] == at:
                copy.clear(slice_)
                copy.restore(time, entries)
        return copy

    def follow(self, copy: FingerprintTable, start: int) -> None:
        """Bring a table that stands where record `start` begins up to date, as a rebalance does."""
        for slice_, time, entries in self.records[start:]:
            if slice_ is not None:
                copy.clear(slice_)
            copy.restore(time, entries)


USED_SLICES = sorted({key[8] for key in KEYS.values()})


@settings(max_examples=300)
@given(
    streams(),
    st.lists(st.lists(st.sampled_from(USED_SLICES), max_size=2), min_size=13, max_size=13),
    st.integers(0, 12),
    st.integers(0, 30),
    st.sampled_from([(24, 7), (24, 60), (24, 10**6), (5, 10**6), (5, 100)]),
)
def test_a_copy_from_the_changelog_goes_on_as_if_never_stopped(
    records: list[Sequence[Sighting]],
    snapshots: list[list[int]],
    stop: int,
    least: int,
    caps: tuple[int, int],
) -> None:
    spec = spec_of(exact_sightings=caps[0], max_sightings=caps[1])
    judge = Judge(spec, least)
    table = FingerprintTable(spec, SEEDS[0])
    log = Log(table)
    log.commit()
    for offset, record in enumerate(records[:stop]):
        feed(table, judge, [(offset, record)])
        log.commit(snapshots[offset])
    copy = log.restored(spec, SEEDS[1])
    assert dump(copy) == dump(table)
    assert copy.changes() == b""
    refused = table.refused
    for offset, record in enumerate(records[stop:], stop):
        due = feed(table, judge, [(offset, record)])
        assert feed(copy, judge, [(offset, record)]) == due
        assert dump(copy) == dump(table)
        assert copy.refused == table.refused - refused
    log.commit()
    assert dump(log.restored(spec, SEEDS[1])) == dump(table)


@settings(max_examples=300)
@given(
    streams(),
    st.lists(st.lists(st.sampled_from(USED_SLICES), max_size=2), min_size=13, max_size=13),
    st.tuples(st.integers(0, 12), st.integers(0, 12)),
    st.integers(0, 30),
    st.sampled_from([(24, 7), (24, 60), (24, 10**6), (5, 10**6), (5, 100)]),
)
def test_a_warm_copy_follows_what_another_process_wrote_and_goes_on(
    records: list[Sequence[Sighting]],
    snapshots: list[list[int]],
    places: tuple[int, int],
    least: int,
    caps: tuple[int, int],
) -> None:
    """A partition that leaves and comes back finds its table, which has judged, and reads on."""
    left, back = sorted(places)
    spec = spec_of(exact_sightings=caps[0], max_sightings=caps[1])
    judge = Judge(spec, least)
    table, copy = FingerprintTable(spec, SEEDS[0]), FingerprintTable(spec, SEEDS[1])
    log = Log(table)
    for offset, record in enumerate(records[:left]):
        assert feed(table, judge, [(offset, record)]) == feed(copy, judge, [(offset, record)])
    assert copy.changes() == table.changes()
    for offset, record in enumerate(records[left:back], left):
        feed(table, judge, [(offset, record)])
        log.commit(snapshots[offset])
    log.follow(copy, 0)
    assert dump(copy) == dump(table)
    for offset, record in enumerate(records[back:], back):
        assert feed(table, judge, [(offset, record)]) == feed(copy, judge, [(offset, record)])
        assert dump(copy) == dump(table)


def test_the_first_drain_writes_all_that_there_is() -> None:
    records = [(n, [sighting("text", n % 3, n, 0, 10 * n)]) for n in range(30)]
    late, early = (FingerprintTable(spec_of(), seed) for seed in SEEDS)
    assert early.changes() == b""
    for table in (late, early):
        feed(table, Judge(spec_of()), records)
    whole = {entry.key: entry for entry in unpack(late.changes())}
    assert whole == {entry.key: entry for entry in unpack(early.changes())}
    assert len(whole) == 30 + 3  # sightings, and marks of three fingerprints
    assert late.changes() == early.changes() == b""


def brought_out(told: list[Any], gates: Sequence[CampaignGate]) -> list[tuple[object, ...]]:
    return [
        (gates[run.gate].identity, each.arrival.type, each.arrival.fingerprint, *kept[:5])
        for each in told
        for run, taken in zip(each.arrival.runs, each.taken, strict=True)
        if taken is not None
        for kept in taken.new
    ]


OTHERS = (
    gate("other", "text", LONG, (2, 0)),
    GATES[1],  # the same rule at another place among the rules
    gate("alone", "device", DAY_MS, (1, 0)),
)


@settings(max_examples=200)
@given(st.lists(st.lists(sightings, min_size=1, max_size=8), min_size=3, max_size=9))
def test_a_restart_on_another_bundle_and_back_brings_nothing_out_twice(
    records: list[list[Sighting]],
) -> None:
    """Nothing retires here: what a rule has brought out, it never does again, whoever runs it."""
    specs = [
        spec_of(gates, lateness_ms=10**7, exact_sightings=4_096) for gates in (GATES, OTHERS, GATES)
    ]
    table = FingerprintTable(specs[0], SEEDS[0])
    log = Log(table)
    log.commit()
    found: list[tuple[object, ...]] = []
    third = len(records) // 3
    for turn, spec in enumerate(specs):
        if turn > 0:
            log.table = table = log.restored(spec, SEEDS[turn % 2])
        part = records[third * turn : third * (turn + 1)]
        told = feed(table, Judge(spec), list(enumerate(part, third * turn)))
        found += brought_out(told, spec.gates)
        log.commit(USED_SLICES[: turn + 1])
    assert len(found) == len(set(found))


def test_marks_of_a_rule_outlive_a_bundle_that_lacks_it() -> None:
    first = [sighting("text", 0, n, 0, 100 * n) for n in range(3)]
    table = FingerprintTable(spec_of(), SEEDS[0])
    told = feed(table, Judge(spec_of()), [(0, first)])
    assert {run.gate for each in told for run in each.arrival.runs} == {0}
    log = Log(table)
    log.commit()
    without = spec_of((gate("new", "text", LONG, (3, 0)),))
    log.table = FingerprintTable(without, SEEDS[1])
    log.table = table = log.restored(without, SEEDS[1])
    told = feed(table, Judge(without), [(1, [sighting("text", 0, 7, 0, 400)])])
    assert len(brought_out(told, without.gates)) == 4  # the new rule takes all it finds
    log.commit(USED_SLICES)
    back = log.restored(spec_of(), SEEDS[0])
    told = feed(back, Judge(spec_of()), [(2, [sighting("text", 0, 8, 0, 500)])])
    pairs = [key[5] for key in brought_out(told, GATES) if key[0] == GATES[0].identity]
    assert pairs == ["p0"] * 2  # u7 and u8; u0 to u2 were brought out before the first stop


def test_a_dense_fingerprint_writes_what_changed_and_no_more() -> None:
    table = FingerprintTable(spec_of(exact_sightings=4_096), SEEDS[0])
    crowd = [sighting("text", 0, n, n, n) for n in range(2_000)]
    judge = Judge(spec_of(), 10**9)
    table.changes()
    feed(table, judge, [(0, crowd[:1_999])])
    table.changes()
    feed(table, judge, [(1, crowd[1_999:])])
    assert len(unpack(table.changes())) == 1


@pytest.mark.parametrize("cut", [1, 17, 40, -1])
def test_malformed_state_is_refused(cut: int) -> None:
    table = FingerprintTable(spec_of(), SEEDS[0])
    feed(table, Judge(spec_of()), [(0, [sighting("text", 0, n, 0, n) for n in range(3)])])
    entries = table.changes()
    with pytest.raises(CorruptImage):
        FingerprintTable(spec_of(), SEEDS[0]).restore(0, entries[:cut])
    (first, *_) = unpack(entries)
    with pytest.raises(CorruptImage):
        FingerprintTable(spec_of(), SEEDS[0]).restore(
            0, pack([first._replace(value=first.value[:cut])])
        )


def test_a_record_that_does_not_unpack_changes_nothing() -> None:
    table = FingerprintTable(spec_of(), SEEDS[0])
    good = sightings_value([sighting("text", 0, n, 0, n) for n in range(3)])
    for bad in (b"", good[:-1], good + b"\0", good.replace(b"WEIS", b"WEIT")):
        with pytest.raises(CorruptImage):
            table.begin(bad, 0)
        assert table.advance() is None
    assert counts(table)[:4] == (0, 0, 0, 0)
    with pytest.raises(IndexError):
        table.take(0)


def test_limits_are_checked_at_build() -> None:
    many = [gate(f"r{n}", "text", SHORT, (2, 0)) for n in range(65)]
    with pytest.raises(BuildError, match="campaign rules of one type"):
        FingerprintTable(spec_of(many), SEEDS[0])
    with pytest.raises(BuildError, match="placement seed"):
        FingerprintTable(spec_of(), b"short")
    with pytest.raises(BuildError, match="each once"):
        FingerprintTable(spec_of([GATES[0], GATES[0]]), SEEDS[0])
    with pytest.raises(BuildError, match="deployment key"):
        FingerprintTable(spec_of(deployment_key=b"k" * 65), SEEDS[0])


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_past_the_cap_of_the_core_everything_equals_the_twin(order: str) -> None:
    """Go through 4,096 sightings of one fingerprint, retire them, and begin again."""
    rng = random.Random(5)
    crowd = [sighting("text", 0, rng.randrange(900), n, n) for n in range(4_300)]
    if order == "falling":
        crowd.reverse()
    if order == "mixed":
        rng.shuffle(crowd)
    later = [sighting("text", 0, n, 0, 10**6 + n) for n in range(40)]
    spec = spec_of(exact_sightings=4_096, gates=(gate("few", "text", SHORT, (890, 0)),))
    tables = [twin.FingerprintTable(spec), FingerprintTable(spec, SEEDS[0])]
    records = [(n, crowd[n * 100 : n * 100 + 100]) for n in range(43)]
    due, found = (feed(table, Judge(spec), [*records, (99, later)]) for table in tables)
    assert found == due
    assert any(run.sketch for each in found for run in each.arrival.runs)


def test_a_copy_counts_what_is_kept_after_a_crowd_has_passed() -> None:
    """Sketches that have passed before the restore must not hide what is kept exactly since."""
    spec = spec_of((GATES[0],), exact_sightings=5, max_sightings=7)
    table = FingerprintTable(spec, SEEDS[0])
    log = Log(table)
    log.commit()
    crowd = [sighting("text", 0, n, 0, n) for n in range(8)]
    later = [sighting("text", 0, n, 0, 40_000 + n) for n in range(4)]
    for offset, record in enumerate((crowd, later)):
        feed(table, Judge(spec), [(offset, record)])
        log.commit()
    copy = log.restored(spec, SEEDS[1])
    more = [sighting("text", 1, n, 0, 41_000 + n) for n in range(6)]
    assert feed(copy, Judge(spec), [(2, more)]) == feed(table, Judge(spec), [(2, more)])
    assert (copy.refused, table.refused) == (3, 3)
    assert dump(copy) == dump(table)
