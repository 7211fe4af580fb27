"""Enforce against the plain oracle, over generated bundles and streams of signals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.enforce_stories import (
    ACCOUNTS,
    DAY,
    HOUR,
    MINUTE,
    RULE,
    Replay,
    enforce,
    oracle_for,
    story,
    told,
)
from tests.support.stage_inputs import base_bundle
from worker.policy.bundle import Bundle, Ladder, Policy, Rule, Step

steps_lists = st.lists(
    st.builds(
        Step,
        st.integers(1, 6),
        st.sampled_from(["warn", "lock", "lock", "suspend", "review"]),
        st.sampled_from([None, HOUR, 7 * DAY, 200 * DAY]),
        st.sampled_from([None, "post_deleted"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda step: step.at,
).map(lambda steps: tuple(sorted(steps, key=lambda step: step.at)))
ladders = st.builds(
    Ladder,
    st.just(""),
    st.sampled_from([2 * HOUR, 90 * DAY, 400 * DAY]),
    st.sampled_from([0, HOUR]),
    st.sampled_from(["issued", "issued", "delivered"]),
    steps_lists,
)
rules = st.tuples(
    st.sampled_from([None, "label", "limit", "remove", "review"]),
    st.integers(0, 3),
    st.sampled_from(["live", "live", "live", "shadow", "off"]),
)


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    pool = [replace(draw(ladders), name=name) for name in ("mild", "hard")]
    policies = {}
    for name in ("p", "q"):
        ladder = draw(st.sampled_from([*pool, pool[0], None]))
        made: list[Rule] = [
            replace(RULE, policy=name, id=f"r{i}", post_action=post, strikes=strikes, mode=mode)
            for i, (post, strikes, mode) in enumerate(draw(st.lists(rules, min_size=1, max_size=3)))
        ]
        policies[name] = Policy(
            name=name,
            ladder=ladder,
            severe=draw(st.sampled_from([False, False, True])),
            clause="https://example.org/rules",
            cooldown_ms=draw(st.sampled_from([0, 0, 10 * MINUTE])),
            rules=tuple(made),
        )
    limits = draw(
        st.dictionaries(
            st.sampled_from(["warn", "lock", "suspend", "remove", "limit"]),
            st.integers(0, 5),
            max_size=2,
        )
    )
    observe = draw(st.sampled_from([False] * 9 + [True]))
    return replace(
        base_bundle(),
        enforcement="observe" if observe else "live",
        policies=policies,
        limits=limits,
        exempt_accounts=frozenset({"newsroom"}),
    )


GAPS = [0, 0, 1, MINUTE, 30 * MINUTE, HOUR, HOUR, 2 * HOUR, DAY, 91 * DAY, -HOUR, -MINUTE]
gaps = st.sampled_from([*GAPS, 8 * DAY, 200 * DAY, -9 * DAY, -200 * DAY])
names = st.sampled_from(["p", "p", "q", "lost"])
posts = st.integers(0, 4).map(lambda n: f"post{n}")
accounts = st.sampled_from(["a", "a", "a", "b", "newsroom"])
signals = st.tuples(
    st.just("signal"), gaps, accounts, posts, st.integers(0, 1), names,
    st.integers(0, 2).map(lambda n: f"r{n}"), st.sampled_from(["live", "live", "live", "shadow"]),
)  # fmt: skip
fresh = st.tuples(st.just("fresh"), gaps, accounts, names, st.integers(0, 2).map(lambda n: f"r{n}"))
others = st.one_of(
    st.tuples(st.just("delete"), gaps, accounts, posts),
    st.tuples(st.just("delete_of"), gaps, st.integers(0, 50)),
    st.tuples(
        st.just("receipt"), gaps, st.integers(0, 50),
        st.sampled_from(["done", "done", "repeated", "failed"]),
    ),
    st.tuples(
        st.just("review"), gaps, st.integers(0, 50),
        st.sampled_from(["overturn", "act", "uphold"]), st.sampled_from(["p", "q", "lost", None]),
    ),
    st.tuples(
        st.just("review_post"), gaps, accounts, posts, st.sampled_from([None, 0, 1]),
        st.sampled_from(["overturn", "act"]), st.sampled_from(["p", "q", None]),
    ),
    st.tuples(
        st.just("notice"), gaps, st.sampled_from(["a", "b", None]),
        st.sampled_from([None, ("post1", 0)]), st.sampled_from(["json_invalid", "late"]),
    ),
)  # fmt: skip
streams = st.lists(st.one_of(fresh, fresh, fresh, signals, signals, others), max_size=30)


def differences(mine: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    return [pair for pair in zip(mine, others, strict=False) if pair[0] != pair[1]][:1]


STORIES = 600
# What the stories below must have led to, so that an equal nothing is no agreement.
LED_TO = {
    ("warn", "signal"): 200,
    ("lock", "signal"): 100,
    ("suspend", "signal"): 20,
    ("remove", "signal"): 200,
    ("review", "signal"): 200,
    ("restore", "delete"): 10,
    ("restore", "person"): 50,
    ("lock", "person"): 5,
    ("lock", "shadow"): 10,
}


def test_stories_end_as_the_oracle_says() -> None:
    led_to: Counter[tuple[str, str]] = Counter()
    for seed in range(STORIES):
        bundle, events, act_after = story(seed)
        partition = seed % 2
        replay = Replay(oracle_for(bundle, act_after, partition, 2))
        for event in events:
            replay.feed(event)
        outputs = enforce(bundle, replay.records, act_after, (), partition, 2)
        mine = [told(output) for output in outputs]
        assert not differences(mine, replay.oracle.actions), f"story {seed}"
        assert len(mine) == len(replay.oracle.actions), f"story {seed}"
        for action in mine:
            by = "signal" if action["kind"] != "restore" else "delete"
            who = by if action["automated"] else "person"
            led_to[action["kind"], "shadow" if action["shadow"] else who] += 1
    assert all(led_to[what] >= least for what, least in LED_TO.items()), led_to


def test_nobody_is_banned_unwarned_in_the_stories() -> None:
    for seed in range(STORIES):
        bundle, events, _ = story(seed)
        replay = Replay(oracle_for(bundle, None))
        for event in events:
            replay.feed(event)
        check_warned_before_banned(bundle, replay)


@settings(max_examples=300)
@given(bundles(), streams, st.sampled_from([None, None, 1_000 * DAY + 3 * HOUR]),
       st.sampled_from([(0, 1), (0, 2), (1, 2)]))  # fmt: skip
def test_actions_equal_the_oracles(
    bundle: Bundle, events: list[tuple[Any, ...]], act_after: int | None, part: tuple[int, int]
) -> None:
    replay = Replay(oracle_for(bundle, act_after, *part))
    for event in events:
        replay.feed(event)
    outputs = enforce(bundle, replay.records, act_after, (), *part)
    mine = [told(output) for output in outputs]
    assert not differences(mine, replay.oracle.actions)
    assert len(mine) == len(replay.oracle.actions)
    for output, action in zip(outputs, mine, strict=True):
        assert output.topic == ("shadow" if action["shadow"] else f"actions.{action['kind']}")
        assert output.key == (action["account_id"] and action["account_id"].encode())


@settings(max_examples=150)
@given(bundles(), streams, st.lists(st.integers(1, 5), max_size=8))
def test_actions_do_not_depend_on_where_views_end(
    bundle: Bundle, events: list[tuple[Any, ...]], sizes: list[int]
) -> None:
    replay = Replay(oracle_for(bundle, None))
    for event in events:
        replay.feed(event)
    whole = enforce(bundle, replay.records, None)
    assert enforce(bundle, replay.records, None, sizes) == whole


@settings(max_examples=200)
@given(bundles(), streams)
def test_ids_never_repeat_and_sequences_are_dense(
    bundle: Bundle, events: list[tuple[Any, ...]]
) -> None:
    assume(all(abs(event[1]) < 8 * DAY for event in events))  # while the rows live
    replay = Replay(oracle_for(bundle, None))
    for event in events:
        replay.feed(event)
    actions = [told(output) for output in enforce(bundle, replay.records, None)]
    for shadow in (False, True):
        mine = [a for a in actions if a["shadow"] is shadow]
        named = [a["action_id"] for a in mine if a["account_id"] is not None]
        assert len(named) == len(set(named))
        for name in ACCOUNTS:
            numbers = [a["account_seq"] for a in mine if a["account_id"] == name]
            assert numbers == list(range(1, len(numbers) + 1))


def banned(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in records if r["kind"] in ("lock", "suspend")]


@settings(max_examples=150)
@given(bundles(), st.lists(st.one_of(fresh, fresh, signals, others), max_size=40))
def test_nobody_is_banned_without_a_warning_they_could_read(
    bundle: Bundle, events: list[tuple[Any, ...]]
) -> None:
    replay = Replay(oracle_for(bundle, None))
    for event in events:
        replay.feed(event)
    check_warned_before_banned(bundle, replay)


def check_warned_before_banned(bundle: Bundle, replay: Replay) -> None:
    """Read from the records alone: a lock or suspension cites an older warning of its ladder."""
    records = [orjson.loads(o.value or b"") for o in enforce(bundle, replay.records, None)]
    warns = {(r["shadow"], r["action_id"]): r for r in records if r["kind"] == "warn"}
    receipts = [orjson.loads(record) for record in replay.records]
    for ban in banned(records):
        policy = bundle.policies[ban["policy"]]
        assert policy.ladder is not None
        assert ban["severe"] is policy.severe
        if ban["warning"] is None:
            assert policy.severe
            continue
        warn = warns[ban["shadow"], ban["warning"]["action_id"]]
        assert warn["account_id"] == ban["account_id"]
        assert warn["ladder"] == ban["ladder"]
        assert warn["effective_at"] < warn["expires_at"]
        assert ban["effective_at"] < warn["expires_at"]
        assert ban["warning"]["at"] >= warn["effective_at"]
        # The post's own origin time, read from the signals of this post.
        posted = [
            s["origin"]["time"]
            for s in receipts
            if s["kind"] == "signal"
            and s["account"]["id"] == ban["account_id"]
            and s["post"]["id"] == ban["post"]["id"]
            and s["post"]["revision"] == ban["post"]["revision"]
        ]
        assert max(posted) >= ban["warning"]["at"] + policy.ladder.warn_grace_ms
        if policy.ladder.warning == "delivered" and not ban["shadow"]:
            assert any(
                s["kind"] == "receipt"
                and s["status"] in ("done", "repeated")
                and s["action_id"] == warn["action_id"]
                for s in receipts
            )


@settings(max_examples=150)
@given(bundles(), streams)
def test_a_restriction_is_never_shortened_by_a_later_step(
    bundle: Bundle, events: list[tuple[Any, ...]]
) -> None:
    replay = Replay(oracle_for(bundle, None))
    for event in events:
        replay.feed(event)
    last: dict[tuple[bool, str, str], float] = {}
    for record in (orjson.loads(o.value or b"") for o in enforce(bundle, replay.records, None)):
        account = (record["shadow"], record["account_id"])
        if record["kind"] == "restore":  # only what people or authors undo shortens
            last = {key: end for key, end in last.items() if key[:2] != account}
        if record["kind"] in ("lock", "suspend"):
            end = float("inf") if record["expires_at"] is None else record["expires_at"]
            assert end >= last.get((*account, record["kind"]), end) or (
                last[(*account, record["kind"])] <= record["effective_at"]
            )
            last[(*account, record["kind"])] = end


@settings(max_examples=100)
@given(bundles(), streams)
def test_a_second_delivery_of_everything_changes_nothing(
    bundle: Bundle, events: list[tuple[Any, ...]]
) -> None:
    """Signals alone: each one twice in a row gives the actions of once."""
    only: Callable[[tuple[Any, ...]], bool] = lambda event: event[0] in ("signal", "fresh")  # noqa: E731
    replay = Replay(oracle_for(bundle, None))
    for event in filter(only, events):
        replay.feed(event)
    twice = [record for record in replay.records for _ in range(2)]
    once = [told(o) for o in enforce(bundle, replay.records, None)]
    assert [told(o) for o in enforce(bundle, twice, None)] == once
