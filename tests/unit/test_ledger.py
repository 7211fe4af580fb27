"""What the ledger forgets, and when; what it counts."""

from __future__ import annotations

import pytest

from worker.domain.signal import Origin
from worker.state.breaker import KEPT_HOURS, Breaker, share
from worker.state.ledger import RETIRE_SLACK_MS, Ledger
from worker.state.rows import (
    MAX_RESTRICTIONS,
    NEVER,
    Finding,
    Issued,
    LadderState,
    Restriction,
    Row,
    Warn,
)

HOUR = 3_600_000
KEEP = 1_000 * HOUR


def finding(post: str, time: int = 0) -> Finding:
    return Finding("p", post, 0, Origin("posts", 0, 0, time), time)


def restriction(of: Finding, end: int) -> Restriction:
    return Restriction(f"id{end}", "lock", 1, of, end, False)


def test_a_row_reads_as_absent_before_its_memory_is_freed() -> None:
    ledger = Ledger()
    names = [f"u{n}" for n in range(50)]
    for name in names:
        ledger.open(name, 0).touch(finding("x"), 0, KEEP)
    ledger.advance(KEEP + RETIRE_SLACK_MS - 1)
    assert len(list(ledger.rows())) == 50
    ledger.advance(KEEP + RETIRE_SLACK_MS)
    assert len(ledger) > 0
    assert all(ledger.find(name, 5) is None for name in names)
    assert list(ledger.rows()) == []


def test_a_row_ends_at_its_own_time() -> None:
    ledger = Ledger()
    ledger.open("u", 0).touch(finding("x"), 0, KEEP)
    assert ledger.find("u", KEEP - 1) is not None
    assert ledger.find("u", KEEP) is None
    assert ledger.open("u", KEEP).findings == {}


def test_a_row_made_by_a_very_late_record_stays_for_the_slack() -> None:
    ledger = Ledger()
    ledger.advance(10 * KEEP)
    ledger.open("u", 0).touch(finding("x"), 0, KEEP)
    ledger.advance(10 * KEEP + RETIRE_SLACK_MS - 1)
    assert ledger.find("u", 0) is not None  # and in use again
    ledger.advance(10 * KEEP + 2 * RETIRE_SLACK_MS - 2)
    assert ledger.find("u", 0) is not None
    ledger.advance(10 * KEEP + 4 * RETIRE_SLACK_MS)
    assert ledger.find("u", 0) is None


def test_memory_follows_stream_time() -> None:
    ledger = Ledger()
    greatest = 0
    for n in range(5_000):
        ledger.advance(n * HOUR)
        ledger.open(f"u{n}", n * HOUR).touch(finding("x", n * HOUR), n * HOUR, KEEP)
        greatest = max(greatest, len(ledger))
    assert greatest <= (KEEP + RETIRE_SLACK_MS) // HOUR + 3


def test_a_finding_is_forgotten_at_its_time_unless_it_restricts() -> None:
    row = Row(0)
    plain, locked = finding("plain"), finding("locked")
    for each in (plain, locked):
        row.touch(each, 0, KEEP)
    row.restrict(restriction(locked, 2 * KEEP))
    row.forget_old(KEEP - 1, KEEP)
    assert len(row.findings) == 2
    row.forget_old(KEEP, KEEP)
    assert list(row.findings.values()) == [locked]
    row.forget_old(2 * KEEP, KEEP)
    assert row.findings == {}


def test_a_restriction_without_an_end_keeps_the_row_until_it_is_released() -> None:
    row = Row(0)
    of = finding("x")
    row.touch(of, 0, KEEP)
    endless = restriction(of, NEVER)
    row.restrict(endless)
    assert row.restricted_until("lock", 10**15) == NEVER
    row.release([endless], KEEP)
    assert (row.end, row.restricted_until("lock", 0)) == (KEEP, None)


def test_past_the_cap_the_restriction_that_ends_first_is_forgotten() -> None:
    row = Row(0)
    of = finding("x")
    for end in range(1_000, 1_000 + MAX_RESTRICTIONS + 5):
        row.restrict(restriction(of, end))
    ends = [r.expires_at for r in row.live_restrictions(0)]
    assert (len(ends), min(ends)) == (MAX_RESTRICTIONS, 1_005)
    assert row.restricted_until("lock", 0) == 1_000 + MAX_RESTRICTIONS + 4


def test_a_finding_whose_restriction_ends_is_noted_for_the_changelog() -> None:
    row = Row(0)
    first, last = finding("first"), finding("last")
    for each in (first, last):
        row.touch(each, 0, KEEP)
    early = restriction(first, 1_000)
    row.restrict(early)
    row.settle()
    for end in range(2_000, 2_000 + MAX_RESTRICTIONS):
        row.restrict(restriction(last, end))
    assert list(row.changed) == [first.key]
    row.settle()
    row.release(row.restrictions[:1], KEEP)
    assert list(row.changed) == [last.key]


def test_strikes_of_other_terms_end_each_at_its_own_time() -> None:
    ladder = LadderState("default")
    ladder.add(2, 400)
    ladder.add(3, 90)
    assert (ladder.total(89), ladder.total(90), ladder.total(400)) == (5, 2, 0)


def test_a_finding_stays_while_its_strike_or_warning_counts() -> None:
    for hold in ("strike", "warning"):
        row = Row(0)
        held = finding("x")
        row.touch(held, 0, KEEP)
        if hold == "strike":
            held.strike = row.ladder("default").add(1, 3 * KEEP)
        else:
            row.record(Issued("id", "warn", 1, held, None))
            row.ladder("default").warns.append(Warn("id", 3 * KEEP, 0))
        row.forget_old(KEEP, KEEP)
        assert held.key in row.findings
        row.forget_old(3 * KEEP, KEEP)
        assert held.key not in row.findings


def test_strikes_end_one_by_one() -> None:
    ladder = LadderState("default")
    first, second = ladder.add(2, 10), ladder.add(3, 20)
    ladder.raise_by(first, 4)
    assert ladder.total(9) == 9
    assert ladder.total(10) == 3
    assert first.weight == 0
    ladder.undo(second)
    assert ladder.total(11) == 0
    assert ladder.total(20) == 0


@pytest.mark.parametrize("partitions", [1, 2, 3, 7, 64])
def test_the_parts_of_a_limit_add_up(partitions: int) -> None:
    for limit in (0, 1, 5, 63, 64, 500):
        parts = [share(limit, p, partitions) for p in range(partitions)]
        assert sum(parts) == limit
        assert max(parts) - min(parts) <= 1


def test_a_limit_counts_per_kind_and_origin_hour() -> None:
    breaker = Breaker({"lock": 2}, 0, 1)
    assert [breaker.take("lock", t) for t in (0, HOUR - 1, HOUR - 1, HOUR)] == [
        True, True, False, True
    ]  # fmt: skip
    assert breaker.take("lock", 5) is False
    assert all(breaker.take("warn", 0) for _ in range(10))


def test_hours_long_past_share_one_count() -> None:
    breaker = Breaker({"lock": 2}, 0, 1)
    now = (KEPT_HOURS + 10) * HOUR
    assert breaker.take("lock", now)
    assert [breaker.take("lock", hour * HOUR) for hour in range(4)] == [True, True, False, False]
    assert breaker.take("lock", now + HOUR)
    assert breaker.take("lock", 11 * HOUR) is False  # its hour now is the shared one
