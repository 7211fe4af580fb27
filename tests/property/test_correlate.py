"""Campaigns are sets: compared with every run counted from scratch, in any order of arrival."""

from __future__ import annotations

import random
from collections.abc import Sequence

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.columns import Sighting
from fastpath.fingerprints import FingerprintTable
from fastpath.spec import EXACT_SIGHTINGS
from tests.support.stage_inputs import KEY, bundle_with, content, sightings_value, view_of
from worker.policy.bundle import Bundle
from worker.stages.correlate import CorrelateStage
from worker.stages.protocols import Output

OVER_MS = 80_000
TICK_MS = OVER_MS // 8
HOUR = 3_600_000
DAY = 86_400_000
BORN_OLD = -400 * DAY


def _bundle() -> Bundle:
    return bundle_with(
        {
            "{per: text, count: distinct_accounts, over: 10m}": (
                "{per: text, count: distinct_accounts, over: 80s}"
            ),
            "{per: text, count: distinct_accounts, over: 1h}": (
                "{per: text, count: distinct_accounts, over: 160s}"
            ),
            "windows.copies_10m >= 20": "windows.copies_10m >= 3",
            "windows.copies_1h > 50": "windows.copies_1h > 6 || fingerprint.sightings >= 9",
            "windows.device_24h > 5": "windows.device_24h >= 1",
        }
    )


BUNDLE = _bundle()
# (rule, type, length, accounts at least, sightings at least, young accounts only)
RULES = [
    ("coordination/copypasta", "text", OVER_MS, 3, 10**9, True),
    ("coordination/slow", "text", 2 * OVER_MS, 7, 9, False),
    ("coordination/farm", "device", DAY, 1, 10**9, False),
]

sightings = st.builds(
    lambda of, fingerprint, account, post, revision, time: Sighting(
        of,
        bytes([fingerprint]) * 16,
        f"u{account}",
        # Accounts with an even number are old, u1 is of unknown age, others are a day old.
        None if account == 1 else BORN_OLD if account % 2 == 0 else -DAY,
        f"p{account}-{post}",
        revision,
        time * TICK_MS // 2,
        b"\x01" * 16,
        0,
        account % 4,
        1000 * account + post,
    ),
    st.sampled_from(["text", "text", "text", "device", "url"]),
    st.integers(0, 2),
    st.integers(0, 7),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(-20, 60),
)


def expected(found: Sequence[Sighting]) -> set[tuple[str, str, str, str, str]]:
    """Count every run of every fingerprint from scratch."""
    members = set()
    for rule, of, over_ms, accounts, total, young in RULES:
        tick = over_ms // 8
        for key in {s.fingerprint for s in found if s.type == of}:
            mine = {
                (s.account, s.post, s.revision, s.time): s
                for s in found
                if s.type == of and s.fingerprint == key
            }.values()
            firsts = {s.time // tick - back for s in mine for back in range(8)}
            for first in firsts:
                run = [s for s in mine if first <= s.time // tick < first + 8]
                if len({s.account for s in run}) < accounts and len(run) < total:
                    continue
                for s in run:
                    age = -1 if s.account_created_at is None else s.time - s.account_created_at
                    if not young or age < 30 * DAY:
                        members.add((rule, of, key.hex(), s.account, s.post))
    return members


def stage(lateness_ms: int = HOUR, exact: int = EXACT_SIGHTINGS) -> CorrelateStage:
    return CorrelateStage(BUNDLE, lateness_ms, KEY, exact_sightings=exact)


def run_in_records(
    found: Sequence[Sighting],
    cuts: Sequence[int],
    lateness_ms: int = HOUR,
    exact: int = EXACT_SIGHTINGS,
) -> tuple[list[Output], CorrelateStage, FingerprintTable]:
    """Pack sightings into records of the given sizes and step one record at a time."""
    correlate = stage(lateness_ms, exact)
    table = correlate.new_table(0, 1)
    outputs: list[Output] = []
    at = 0
    for offset, size in enumerate([*cuts, len(found)]):
        part = found[at : at + size]
        at += size
        if part:
            outputs += correlate.step(table, view_of([sightings_value(part)], first=offset))
    return outputs, correlate, table


def members(outputs: Sequence[Output]) -> list[tuple[str, str, str, str, str]]:
    records = [orjson.loads(o.value or b"") for o in outputs if o.topic == "signals"]
    return [
        (
            f"{r['policy']}/{r['rule']}",
            r["evidence"]["campaign"]["fingerprint"]["type"],
            r["evidence"]["campaign"]["fingerprint"]["key"],
            r["account"]["id"],
            r["post"]["id"],
        )
        for r in records
    ]


@settings(max_examples=300)
@given(st.lists(sightings, max_size=40), st.lists(st.integers(1, 9), max_size=8), st.randoms())
def test_members_equal_counting_from_scratch_in_any_order(
    found: list[Sighting], cuts: list[int], order: random.Random
) -> None:
    outputs, _, _ = run_in_records(found, cuts)
    assert set(members(outputs)) == expected(found)
    shuffled = list(found)
    order.shuffle(shuffled)
    again, _, _ = run_in_records(shuffled, cuts[::-1])
    assert set(members(again)) == expected(found)


@settings(max_examples=150)
@given(st.lists(sightings, max_size=60), st.randoms())
def test_every_element_is_signalled_once_and_every_campaign_opens_once(
    found: list[Sighting], order: random.Random
) -> None:
    order.shuffle(found)
    outputs, _, _ = run_in_records(found, [3] * 20)
    signalled = [
        (r["policy"], r["rule"], *r["account"].values(), *r["post"].values(), r["origin"]["time"],
         r["evidence"]["campaign"]["fingerprint"]["key"])
        for o in outputs
        if o.topic == "signals"
        for r in [orjson.loads(o.value or b"")]
    ]  # fmt: skip
    assert len(signalled) == len(set(signalled))
    campaigns = [orjson.loads(o.value or b"") for o in outputs if o.topic == "campaigns"]
    opened = [(c["rule"], c["fingerprint"]["type"], c["fingerprint"]["key"]) for c in campaigns]
    assert len(opened) == len(set(opened))
    known = {(rule.split("/")[1], of, key) for rule, of, key, _, _ in members(outputs)}
    assert known <= set(opened)


@settings(max_examples=150)
@given(st.lists(sightings, max_size=50), st.lists(st.integers(1, 9), max_size=10))
def test_outputs_do_not_depend_on_where_views_end(found: list[Sighting], sizes: list[int]) -> None:
    values = [sightings_value(found[i : i + 4]) for i in range(0, len(found), 4)]
    whole = stage()
    table = whole.new_table(0, 1)
    together = whole.step(table, view_of(values))
    parts, ones = stage(), []
    table = parts.new_table(0, 1)
    at = 0
    for size in [*sizes, len(values)]:
        ones += parts.step(table, view_of(values[at : at + size], first=at))
        at += size
    assert ones == together


@settings(max_examples=200)
@given(st.lists(sightings, max_size=50), st.integers(0, 12))
def test_late_sightings_are_counted_and_change_nothing(
    found: list[Sighting], lateness_ticks: int
) -> None:
    """A table that never retires, fed with what is not late, finds the same members."""
    lateness_ms = lateness_ticks * TICK_MS // 2
    outputs, correlate, _ = run_in_records(found, [5] * 10, lateness_ms)
    in_time, newest = [], None
    for s in found:
        newest = s.time if newest is None else max(newest, s.time)
        if newest - s.time <= lateness_ms:
            in_time.append(s)
    assert correlate.counters["late"] == len(found) - len(in_time)
    assert set(members(outputs)) == expected(in_time)


def many(count: int, spread: int = 60, accounts: int = 10**9) -> list[Sighting]:
    return [
        Sighting("text", b"\x05" * 16, f"u{i % accounts}", -DAY, f"p{i}", 0, i * spread // count,
                 b"\0" * 16, 0, 0, i)
        for i in range(count)
    ]  # fmt: skip


def test_past_the_exact_cap_counts_are_estimated_and_only_arrivals_are_signalled() -> None:
    found = many(200)
    outputs, _, _ = run_in_records(found, [1] * 200, exact=64)
    signals = [orjson.loads(o.value or b"") for o in outputs if o.topic == "signals"]
    copies = [r for r in signals if r["rule"] == "copypasta"]
    assert {r["post"]["id"] for r in copies} == {s.post for s in found}
    assert len(copies) == len(found)
    for record in copies:
        sketched = int(record["post"]["id"][1:]) >= 64
        assert record["evidence"]["flags"] == (["sketch"] if sketched else [])
        assert record["evidence"]["campaign"]["sketch"] is sketched
    last = copies[-1]["evidence"]["campaign"]
    assert last["sightings"] == 200
    assert 160 <= last["accounts"] <= 240  # 2.5 standard errors at 200 accounts, once and fixed


def test_up_to_the_exact_cap_nothing_is_estimated() -> None:
    outputs, _, _ = run_in_records(many(EXACT_SIGHTINGS), [512] * 8)
    signals = [orjson.loads(o.value or b"") for o in outputs if o.topic == "signals"]
    copies = [r for r in signals if r["rule"] == "copypasta"]
    assert len(copies) == EXACT_SIGHTINGS
    assert copies[-1]["evidence"]["campaign"]["accounts"] == EXACT_SIGHTINGS
    assert not any(r["evidence"]["campaign"]["sketch"] for r in copies)


def test_a_crowded_fingerprint_of_few_accounts_stays_below_the_threshold() -> None:
    crowd = many(300, accounts=2)
    outputs, _, _ = run_in_records(crowd, [50] * 6, exact=64)
    assert not [m for m in members(outputs) if m[0] == "coordination/copypasta"]
    third = crowd[0]._replace(account="third", post="last")
    outputs, _, _ = run_in_records([*crowd, third], [50] * 7, exact=64)
    assert [m[3:] for m in members(outputs) if m[0] == "coordination/copypasta"] == [
        ("third", "last")
    ]
    campaigns = [orjson.loads(o.value or b"") for o in outputs if o.topic == "campaigns"]
    opened = next(c for c in campaigns if c["rule"] == "copypasta")
    assert (opened["members"], opened["sketch"]) == (["third"], True)


def test_an_account_of_unknown_age_stays_so_while_its_sighting_waits_alone() -> None:
    found = [s._replace(account_created_at=None) for s in many(3)]
    outputs, _, _ = run_in_records(found, [1] * 3)
    assert len([m for m in members(outputs) if m[0] == "coordination/copypasta"]) == 3
    signals = [orjson.loads(o.value or b"") for o in outputs if o.topic == "signals"]
    assert {r["account"]["created_at"] for r in signals} == {None}


def test_a_campaign_record_names_its_first_run_and_its_members() -> None:
    found = many(3, spread=30_000)
    old = found[0]._replace(account="old", account_created_at=BORN_OLD, post="pold", offset=77)
    outputs, _, _ = run_in_records([found[1], old, found[2], found[0]], [1] * 4)
    campaign = next(orjson.loads(o.value or b"") for o in outputs if o.topic == "campaigns")
    assert campaign["opened_at"] == 0
    assert campaign["accounts"] == 3
    assert campaign["members"] == ["u1", "u2"]
    assert campaign["posts"][0] == {
        "account": "u1",
        "id": "p1",
        "revision": 0,
        "origin": {"topic": "posts", "partition": 0, "offset": 1, "time": 10_000},
    }
    opening = next(o for o in outputs if o.topic == "campaigns")
    assert (opening.key, opening.cause, opening.trigger) == (b"05" * 16, 2, found[2].offset)


def test_signals_name_their_own_post_and_the_run() -> None:
    outputs, _, _ = run_in_records(many(3, spread=30_000), [1] * 3)
    record = orjson.loads(outputs[1].value or b"")
    assert list(record) == [
        "v", "kind", "account", "post", "origin", "policy", "rule", "mode", "bundle", "evidence"
    ]  # fmt: skip
    assert outputs[1].key == b"u0"
    assert record["post"] == {"id": "p0", "revision": 0, "digest": "00" * 16}
    assert record["origin"] == {"topic": "posts", "partition": 0, "offset": 0, "time": 0}
    assert record["evidence"]["windows"] == {"copies_10m": 3}
    campaign = record["evidence"]["campaign"]
    assert campaign["opened_at"] <= 0 < 20_000 < campaign["closed_at"]
    assert campaign["closed_at"] - campaign["opened_at"] == OVER_MS


def test_memory_is_freed_as_stream_time_moves() -> None:
    correlate = stage(lateness_ms=60_000)
    table = correlate.new_table(0, 1)
    greatest = 0
    for step in range(4_000):
        unique = Sighting("text", step.to_bytes(16, "big"), "u", None, f"p{step}", 0,
                          step * 1_000, b"\0" * 16, 0, 0, step)  # fmt: skip
        twice = unique._replace(account="v", post="q")
        correlate.step(table, view_of([sightings_value([unique, twice])], first=step))
        greatest = max(greatest, len(table))
    # 160 s of the longest text run, lateness, the 131 s in which slots are due, and one round over
    # all slots.
    assert greatest <= 160 + 60 + 131 + 64
    assert len(table) >= 160


def test_a_campaign_reopens_only_after_all_its_sightings_retired() -> None:
    first = many(3)
    gap = 60_000 + 2 * OVER_MS + 2 * TICK_MS + 1
    again = [s._replace(time=s.time + gap, post=f"again{s.post}") for s in first]
    opened = []
    for wait in (0, 1):
        soon = [s._replace(time=s.time - wait * 3 * TICK_MS) for s in again]
        outputs, _, _ = run_in_records([*first, *soon], [1] * 9, 60_000)
        records = [orjson.loads(o.value or b"") for o in outputs if o.topic == "campaigns"]
        opened.append(sum(r["rule"] == "copypasta" for r in records))
    assert opened == [2, 1]


def test_a_record_that_does_not_unpack_is_set_aside_whole() -> None:
    correlate = stage()
    table = correlate.new_table(0, 1)
    good = sightings_value(many(3))
    bad = good[:-1]
    outputs = correlate.step(table, view_of([bad, None, good], "weir.sightings"))
    letters = [o for o in outputs if o.topic == "dlq"]
    assert [letter.value for letter in letters] == [bad, None]
    headers = dict(letters[0].headers)
    assert headers["weir.dlq.reason"] == b"record_corrupt"
    assert headers["weir.dlq.disposition"] == b"systemic"
    assert headers["weir.dlq.offset"] == b"0"
    assert len(members(outputs)) == 3


def at_ticks(*seen: tuple[str, int]) -> list[Sighting]:
    return [
        many(1)[0]._replace(account=account, post=f"p{i}", time=tick * TICK_MS, offset=i)
        for i, (account, tick) in enumerate(seen)
    ]


def test_retiring_an_old_tick_forgets_no_newer_one_of_the_account() -> None:
    found = at_ticks(("u", 0), ("u", 5), ("v", 5), ("w", 9), ("u", 9))
    outputs, _, _ = run_in_records(found[:3] + found[4:], [1] * 4, 0)
    assert members(outputs) == []  # two accounts, one of them seen in two ticks of the run
    outputs, _, _ = run_in_records(found, [1] * 5, 0)
    assert {m[4] for m in members(outputs)} == {"p1", "p2", "p3", "p4"}


def test_sightings_are_counted_run_by_run() -> None:
    """Nine sightings of two accounts, but no 160 s hold them all."""
    apart = [("u", tick) for tick in (0, 2, 4, 6, 8)] + [("v", tick) for tick in (18, 20, 22, 24)]
    assert members(run_in_records(at_ticks(*apart), [1] * 9)[0]) == []
    close = [(name, tick) for name in "uv" for tick in (0, 2, 4, 6, 8)]
    for order in (close, close[::-1]):
        assert len(members(run_in_records(at_ticks(*order), [1] * 10)[0])) == 10


def test_counting_is_exact_again_once_the_crowd_has_retired() -> None:
    again = at_ticks(("x", 10), ("y", 10), ("z", 10))
    outputs, _, _ = run_in_records([*many(100), *again], [1] * 103, 0, 64)
    signals = [orjson.loads(o.value or b"") for o in outputs if o.topic == "signals"]
    copies = [r for r in signals if r["rule"] == "copypasta" and r["account"]["id"] in "xyz"]
    assert len(copies) == 3
    assert not any(r["evidence"]["campaign"]["sketch"] for r in copies)
    # The longer run of the other rule still holds the crowd.
    slow = [r for r in signals if r["rule"] == "slow" and r["account"]["id"] in "xyz"]
    assert [r["evidence"]["campaign"]["sketch"] for r in slow] == [True] * 3


def test_hostile_times_can_be_written() -> None:
    hostile = [
        Sighting("device", bytes([i]) * 16, "u", None, "p", 0, time, b"\0" * 16, 0, 0, i)
        for i, time in enumerate([-(2**63), 2**63 - 1])
    ]
    outputs, _, _ = run_in_records(hostile, [1, 1])
    assert len(members(outputs)) == 2


def test_equal_runs_give_equal_bytes() -> None:
    found = many(9)
    first, _, _ = run_in_records(found, [2] * 5)
    second, _, _ = run_in_records(found, [2] * 5)
    assert [content(o) for o in first] == [content(o) for o in second]
