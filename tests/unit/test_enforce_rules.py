"""Rules of docs/ledger.md that a random stream seldom reaches, each told in full."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.support.enforce_stories import DAY, HOUR, MINUTE, RULE, START
from tests.support.stage_inputs import KEY, base_bundle, view_of
from worker.domain.signal import (
    AccountRef,
    Delete,
    Evidence,
    Notice,
    Origin,
    Person,
    PostName,
    PostRef,
    Receipt,
    Review,
    Signal,
)
from worker.policy.bundle import Bundle, Ladder, Policy, Step
from worker.stages import wire
from worker.stages.enforce import EnforceStage

WARN_LOCK = (Step(1, "warn"), Step(2, "lock", 12 * HOUR, "post_deleted"), Step(4, "suspend"))


def bundle(
    rules: dict[str, tuple[Any, int]],
    *,
    severe: bool = False,
    cooldown: int = 0,
    steps: tuple[Step, ...] = WARN_LOCK,
    ttl: int = 90 * DAY,
    warning: Any = "issued",
    **changes: Any,
) -> Bundle:
    ladder = Ladder("default", ttl, HOUR, warning, steps)
    policy = Policy(
        name="p",
        ladder=ladder,
        severe=severe,
        clause="https://example.org/rules",
        cooldown_ms=cooldown,
        rules=tuple(
            replace(RULE, policy="p", id=name, post_action=post, strikes=strikes, mode="live")
            for name, (post, strikes) in rules.items()
        ),
    )
    return replace(base_bundle(), policies={"p": policy}, limits={}, **changes)


class Desk:
    """Step one record at a time and read what came of it."""

    def __init__(self, of: Bundle, act_after: int | None = None) -> None:
        self.stage = EnforceStage(of, "weir", KEY, act_after)
        self.table = self.stage.new_table(0, 1)
        self.offset = 0

    def _step(self, value: bytes) -> list[dict[str, Any]]:
        outputs = self.stage.step(self.table, view_of([value], first=self.offset))
        return [orjson.loads(output.value or b"") for output in outputs]

    def _origin(self, at: int) -> Origin:
        self.offset += 1
        return Origin("posts", 0, self.offset, START + at)

    def post(self, post: str, rule: str, at: int) -> list[dict[str, Any]]:
        signal = Signal(
            AccountRef("a"), PostRef(post, 0, "00"), self._origin(at), "p", rule, "live", "d",
            Evidence(),
        )  # fmt: skip
        return self._step(wire.encode_signal(signal))

    def review(
        self, decision: Any, at: int, action: str | None = None, post: str | None = None,
        policy: str | None = "p",
    ) -> list[dict[str, Any]]:  # fmt: skip
        name = PostName(post) if post else None
        person = Person("m1", "moderator")
        review = Review("a", action, name, decision, policy, person, "why", 5, self._origin(at))
        return self._step(wire.encode_review(review))

    def receipt(self, action: str, status: Any, at: int) -> list[dict[str, Any]]:
        return self._step(wire.encode_receipt(Receipt("a", action, status, 0, self._origin(at))))

    def delete(self, post: str, at: int) -> list[dict[str, Any]]:
        return self._step(wire.encode_delete(Delete("a", post, self._origin(at))))

    def notice(self, account: str | None, at: int) -> list[dict[str, Any]]:
        notice = Notice(account, None, "json_invalid", self._origin(at))
        return self._step(wire.encode_notice(notice))


def kinds(actions: list[dict[str, Any]]) -> list[str]:
    return [action["kind"] for action in actions]


def test_the_ladder_of_the_example_climbs_and_a_delete_releases() -> None:
    desk = Desk(bundle({"r": ("limit", 1)}))
    assert kinds(desk.post("one", "r", 0)) == ["limit", "warn"]
    assert kinds(desk.post("two", "r", HOUR - 1)) == ["limit"]  # before the warning was readable
    _, lock = desk.post("three", "r", HOUR)
    assert (lock["kind"], lock["strikes_before"], lock["strikes_after"]) == ("lock", 1, 2)
    assert lock["expires_at"] == START + 13 * HOUR
    assert lock["release_condition"] == "post_deleted"
    assert lock["in_force"] == [{"kind": "lock", "expires_at": START + 13 * HOUR}]
    assert desk.delete("two", 2 * HOUR) == []
    (restore,) = desk.delete("three", 2 * HOUR)
    assert restore["supersedes"] == [lock["action_id"]]
    assert (restore["kind"], restore["in_force"]) == ("restore", [])
    assert restore["strikes_after"] == 2  # a deleted post's strike stays
    assert desk.delete("three", 3 * HOUR) == []


def test_a_put_off_post_adds_no_strike_when_it_comes_again() -> None:
    desk = Desk(bundle({"r": ("limit", 1)}), act_after=START + HOUR)
    (review,) = desk.post("old", "r", HOUR - 1)
    assert (review["kind"], review["proposal"]["cause"]) == ("review", "act_after")
    assert review["proposal"]["kind"] == "limit"
    assert kinds(desk.post("old", "r", HOUR)) == ["limit"]
    assert kinds(desk.post("new", "r", HOUR)) == ["limit", "warn"]


def test_a_difference_to_an_ended_strike_is_not_added() -> None:
    of = bundle({"low": (None, 1), "high": (None, 3)}, severe=True, ttl=5 * HOUR)
    desk = Desk(of)
    assert kinds(desk.post("one", "low", 0)) == ["warn"]
    assert desk.post("one", "high", 6 * HOUR) == []
    (warn,) = desk.post("two", "low", 6 * HOUR)
    assert warn["strikes_after"] == 1


def test_a_difference_to_a_live_strike_ends_with_it() -> None:
    of = bundle({"low": (None, 1), "high": (None, 3)}, severe=True, ttl=5 * HOUR)
    desk = Desk(of)
    desk.post("one", "low", 0)
    (lock,) = desk.post("one", "high", 4 * HOUR)
    assert (lock["kind"], lock["strikes_before"], lock["strikes_after"]) == ("lock", 1, 3)
    (warn,) = desk.post("two", "low", 5 * HOUR)
    assert warn["strikes_before"] == 0


def test_after_a_spared_strike_only_the_difference_counts() -> None:
    of = bundle({"low": (None, 1), "high": (None, 3)}, severe=True, cooldown=10 * MINUTE)
    desk = Desk(of)
    desk.post("one", "low", 0)
    assert desk.post("two", "low", 10 * MINUTE - 1) == []
    (lock,) = desk.post("two", "high", 10 * MINUTE)
    assert lock["strikes_after"] == 3


def test_a_cooldown_never_limits_post_actions() -> None:
    desk = Desk(bundle({"r": ("remove", 1)}, severe=True, cooldown=10 * MINUTE))
    assert kinds(desk.post("one", "r", 0)) == ["remove", "warn"]
    assert kinds(desk.post("two", "r", 1)) == ["remove"]


def test_a_strike_without_an_action_keeps_the_row() -> None:
    of = bundle(
        {"low": (None, 1), "high": (None, 2)},
        severe=True,
        cooldown=DAY,
        steps=(Step(4, "warn"),),
        ttl=400 * DAY,
    )
    desk = Desk(of)
    desk.post("one", "low", 0)
    desk.post("two", "low", 1)  # spared, but known
    desk.post("two", "high", 100 * DAY)  # the difference: one strike, no step
    (warn,) = [*desk.post("three", "high", 430 * DAY), *desk.post("four", "low", 431 * DAY)]
    assert warn["strikes_after"] == 4


def test_a_second_receipt_moves_no_warning() -> None:
    desk = Desk(bundle({"r": (None, 1)}, warning="delivered"))
    (warn,) = desk.post("one", "r", 0)
    assert desk.post("two", "r", 30 * HOUR) == []  # the warning is not delivered yet
    desk.receipt(warn["action_id"], "done", 31 * HOUR)
    desk.receipt(warn["action_id"], "repeated", 32 * HOUR)
    (lock,) = desk.post("three", "r", 32 * HOUR)
    assert lock["kind"] == "lock"
    assert lock["warning"] == {"action_id": warn["action_id"], "at": START + 31 * HOUR}


@pytest.mark.parametrize("warning", ["issued", "delivered"])
def test_a_warning_that_did_not_arrive_is_given_again(warning: Any) -> None:
    desk = Desk(bundle({"r": (None, 1)}, warning=warning))
    (warn,) = desk.post("one", "r", 0)
    desk.receipt(warn["action_id"], "failed", 1)
    assert kinds(desk.post("two", "r", 2 * HOUR)) == ["warn"]


def test_an_overturn_undoes_everything_and_twice_is_once() -> None:
    desk = Desk(bundle({"r": ("remove", 1)}))
    remove, warn = desk.post("one", "r", 0)
    (restore,) = desk.review("overturn", 1, warn["action_id"])
    assert restore["supersedes"] == [remove["action_id"], warn["action_id"]]
    assert (restore["strikes_before"], restore["strikes_after"]) == (1, 0)
    assert restore["automated_decision"] is False
    assert restore["person"] == {
        "decision": "overturn", "by_id": "m1", "role": "moderator", "reason": "why", "time": 5
    }  # fmt: skip
    assert desk.review("overturn", 2, remove["action_id"]) == []
    assert desk.stage.counters["reviews.repeated"] == 1
    assert desk.post("one", "r", 3) == []  # a person has cleared it
    assert kinds(desk.post("two", "r", 3 * HOUR)) == ["remove", "warn"]  # not warned any more


def test_a_person_may_act_after_an_overturn_and_a_later_overturn_has_its_own_id() -> None:
    desk = Desk(bundle({"r": ("remove", 0), "s": ("label", 1)}))
    (remove,) = desk.post("one", "r", 0)
    (first,) = desk.review("overturn", 1, remove["action_id"])
    acted = desk.review("act", 2, post="one")
    assert kinds(acted) == []  # the same removal is not decided twice
    assert kinds(desk.post("one", "s", 3)) == ["label", "warn"]  # automatic again
    (second,) = desk.review("overturn", 4, post="one")
    assert first["action_id"] != second["action_id"]
    assert (first["step"], second["step"]) == (0, 1)
    assert remove["action_id"] not in second["supersedes"]


def test_a_person_acts_by_the_rule_that_held_first() -> None:
    desk = Desk(bundle({"r": ("label", 1), "s": ("remove", 2)}, severe=True), START + HOUR)
    (review,) = desk.post("one", "r", 0)
    assert desk.post("one", "s", 0) == []
    acted = desk.review("act", 2 * HOUR, review["action_id"])
    assert kinds(acted) == ["label", "warn"]
    assert {a["automated_decision"] for a in acted} == {False}
    assert {a["automated_detection"] for a in acted} == {True}
    assert acted[0]["supersedes"] == [review["action_id"]]


def test_a_person_who_names_only_the_post_gets_the_mildest_rule_and_no_ban() -> None:
    desk = Desk(bundle({"hard": ("remove", 2), "mild": ("label", 1), "none": (None, 0)}))
    acted = desk.review("act", 0, post="unseen")
    assert kinds(acted) == ["label", "warn"]
    assert acted[0]["rule_ids"] == ["p/mild"]
    assert acted[0]["automated_detection"] is False
    # The time of the post is unknown: it may be older than the warning, so it adds no strike.
    assert kinds(desk.review("act", 5 * DAY, post="other")) == ["label"]


def test_a_diverted_lock_is_executed_when_a_person_says_so() -> None:
    of = replace(bundle({"r": (None, 1)}), exempt_accounts=frozenset({"a"}))
    desk = Desk(of)
    (first,) = desk.post("one", "r", 0)
    assert first["proposal"] == {"cause": "exempt", "kind": "warn", "step": 1}
    (warn,) = desk.review("act", 1, first["action_id"])
    assert (warn["kind"], warn["supersedes"]) == ("warn", [first["action_id"]])
    (second,) = desk.post("two", "r", 2 * HOUR)
    assert second["proposal"] == {"cause": "exempt", "kind": "lock", "step": 2}
    (lock,) = desk.review("act", 3 * HOUR, second["action_id"])
    assert (lock["kind"], lock["warning"]["action_id"]) == ("lock", warn["action_id"])


def test_a_step_into_a_longer_lock_does_not_shorten_it() -> None:
    steps = (Step(1, "lock", HOUR, "post_deleted"), Step(2, "lock", 7 * DAY))
    desk = Desk(bundle({"r": (None, 2), "s": (None, 1)}, steps=steps, severe=True, ttl=2 * HOUR))
    (long,) = desk.post("one", "r", 0)
    (short,) = desk.post("two", "s", 3 * HOUR)
    assert short["expires_at"] == long["expires_at"] == START + 7 * DAY
    assert short["release_condition"] is None
    assert short["supersedes"] == []
    assert desk.delete("two", 3 * HOUR) == []  # the longer lock stands
    (restore,) = desk.review("overturn", 3 * HOUR, long["action_id"])
    assert restore["in_force"] == []


def test_overturning_a_longer_lock_falls_back_to_the_shorter() -> None:
    steps = (Step(1, "lock", 12 * HOUR, "post_deleted"), Step(2, "lock", 7 * DAY))
    desk = Desk(bundle({"r": (None, 1)}, steps=steps, severe=True))
    (short,) = desk.post("one", "r", 0)
    (long,) = desk.post("two", "r", HOUR)
    assert long["supersedes"] == [short["action_id"]]
    (restore,) = desk.review("overturn", 2 * HOUR, long["action_id"])
    assert restore["in_force"] == [{"kind": "lock", "expires_at": START + 12 * HOUR}]


def test_time_never_runs_backwards_for_an_account() -> None:
    desk = Desk(bundle({"r": (None, 1)}, severe=True))
    desk.post("one", "r", 10 * HOUR)
    (lock,) = desk.post("two", "r", 2 * HOUR)
    assert lock["effective_at"] == START + 10 * HOUR
    assert lock["origin"]["time"] == START + 2 * HOUR
    assert lock["expires_at"] == START + 22 * HOUR


def test_an_unreadable_record_without_a_key_asks_a_person_and_keeps_nothing() -> None:
    desk = Desk(bundle({"r": (None, 1)}))
    (review,) = desk.notice(None, 0)
    assert (review["account_id"], review["account_seq"], review["post"]) == (None, 0, None)
    assert desk.stage.entries(desk.table) == {"accounts": 0, "shadow": 0}
    (named,) = desk.notice("a", 1)
    assert (named["account_id"], named["account_seq"]) == ("a", 1)
    assert desk.review("act", 2, named["action_id"]) == []
    assert desk.stage.counters["reviews.unknown_post"] == 1


def test_an_unknown_action_is_counted_and_ignored() -> None:
    desk = Desk(bundle({"r": (None, 1)}))
    assert desk.review("overturn", 0, "NOBODY") == []
    assert desk.receipt("NOBODY", "done", 0) == []
    assert desk.stage.counters["reviews.unknown_action"] == 1
    assert desk.stage.counters["receipts.unknown_action"] == 1


def test_an_action_of_another_account_is_unknown() -> None:
    desk = Desk(bundle({"r": (None, 1)}))
    (warn,) = desk.post("one", "r", 0)
    review = Review(
        "b", warn["action_id"], None, "overturn", None, Person("m", "r"), "", 0,
        Origin("weir.reviews", 0, 9, START + 1),
    )  # fmt: skip
    assert desk._step(wire.encode_review(review)) == []
    assert desk.stage.counters["reviews.unknown_action"] == 1


def test_a_row_ends_with_what_can_still_matter_and_memory_follows() -> None:
    desk = Desk(bundle({"r": (None, 1)}))
    stage, table = desk.stage, desk.table
    for n in range(50):
        signal = Signal(
            AccountRef(f"u{n}"), PostRef("x", 0, "00"), Origin("posts", 0, n, START + n), "p",
            "r", "live", "d", Evidence(),
        )  # fmt: skip
        stage.step(table, view_of([wire.encode_signal(signal)], first=n))
    assert stage.entries(table)["accounts"] == 50
    for n in range(40):
        desk.notice(None, (184 + 8) * DAY + n)
    assert stage.entries(table)["accounts"] == 0


def test_a_record_that_is_no_signal_is_set_aside() -> None:
    desk = Desk(bundle({"r": (None, 1)}))
    stage = desk.stage
    outputs = stage.step(desk.table, view_of([b"{", None, b'{"v":2}', b'{"v":1,"kind":"signal"}']))
    assert [o.topic for o in outputs] == ["dlq"] * 4
    assert [dict(o.headers)["weir.dlq.reason"] for o in outputs] == [
        b"json_invalid", b"json_invalid", b"field_type", b"field_missing"
    ]  # fmt: skip
    assert {dict(o.headers)["weir.dlq.disposition"] for o in outputs} == {b"systemic"}


def test_stream_time_ends_a_row_for_a_record_that_is_very_late() -> None:
    desk = Desk(bundle({"r": ("label", 0)}))
    (first,) = desk.post("one", "r", 0)
    desk.notice(None, (184 + 7) * DAY - 1)
    (second,) = desk.post("two", "r", DAY)
    assert (first["account_seq"], second["account_seq"]) == (1, 2)
    desk.notice(None, (184 + 7 + 7) * DAY)
    (third,) = desk.post("three", "r", 2 * DAY)
    assert third["account_seq"] == 1
