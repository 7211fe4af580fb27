"""Which names conditions may read, what they read from a row, and how conditions come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastpath.columns import Evasion
from fastpath.rows import Row
from fastpath.spec import FLAGS, HashHit, Match
from tests.support.bundles import write_bundle
from tests.support.rows import row_of
from worker.policy.bundle import Bundle, load_bundle
from worker.policy.conditions import (
    MEMBERS,
    ConditionErrors,
    PostVocabulary,
    Verdict,
    age_days,
    campaign_activation,
    campaign_vocabulary,
    member_activation,
    post_activation,
)
from worker.policy.monotone import violations

DAY = 86_400_000
POST = {
    "id": "p1",
    "op": "edit",
    "revision": 2,
    "account": {"id": "u9", "created_at": 100 * DAY, "followers": 12},
    "created_at": 103 * DAY + 5,
    "text": "naïve 𝒳",
    "lang": "en",
    "urls": ["https://a.example/", "https://b.example/"],
    "hashtags": ["x"],
    "media": [{"md5": "ab" * 16}, {}, {}],
    "repost_of": "p0",
    "reply_to": "p7",
    "client": {"device": "d7"},
    "scores": {"toxicity": 0.91},
}


def row(post: dict[str, object], **changes: object) -> Row:
    fields: dict[str, object] = {"windows": (31, 4), "time": 103 * DAY + 5}
    return row_of(post, offset=7, **{**fields, **changes})


FULL = row(
    POST,
    flags=1 << FLAGS.index("clock_skew"),
    matches=(
        Match("incitement", "storm the hall", "folded", 0, 14, 2),
        Match("incitement", "burn it down", "folded", 20, 32, 1),
    ),
    hits=(HashHit("spam_domains", "evil.example", 0),),
)
BARE = row({"id": "1", "op": "create", "revision": 0, "account": {"id": "u1"}}, windows=(0, 0))

# condition -> does it hold for the full post, for the bare one
VALUES = {
    "matches.incitement.count == 3 && matches.incitement.any": (True, False),
    "matches.spam_domains.count == 1 && matches.spam_domains.any": (True, False),
    "matches.incitement.count == 0 && !matches.spam_domains.any": (False, True),
    "windows.posts_1m == 31 && windows.links_1h == 4": (True, False),
    "account.id == 'u9'": (True, False),
    "account.age_days == 3 && account.followers == 12": (True, False),
    "account.age_days == -1 && account.followers == -1": (False, True),
    "post.id == 'p1' && post.op == 'edit' && post.revision == 2": (True, False),
    "post.op == 'create' && post.revision == 0": (False, True),
    "post.lang == 'en' && post.text == 'naïve 𝒳'": (True, False),
    "post.lang == '' && post.text == ''": (False, True),
    "post.text_length == 7 && size(post.text) == 7": (True, False),
    "post.reply_to == 'p7' && post.repost_of == 'p0' && post.device == 'd7'": (True, False),
    "post.reply_to == '' && post.repost_of == '' && post.device == ''": (False, True),
    "post.url_count == 2 && post.hashtag_count == 1 && post.media_count == 3": (True, False),
    "post.url_count == 0 && post.hashtag_count == 0 && post.media_count == 0": (False, True),
    "post.mixed_words == 0 && post.hidden_characters == 0": (True, True),
    "post.direction_overrides == 0": (True, True),
    "post.urls == ['https://a.example/', 'https://b.example/']": (True, False),
    "post.hashtags == ['x'] && size(post.urls) == 2": (True, False),
    "has(scores.toxicity) && scores.toxicity > 0.9": (True, False),
    "!has(scores.toxicity) && size(scores) == 0": (False, True),
    "flags.clock_skew && !flags.late": (True, False),
}


@pytest.mark.parametrize("source", VALUES)
def test_variables_read_the_row(source: str) -> None:
    vocabulary = PostVocabulary(["incitement", "spam_domains"], ["posts_1m", "links_1h"])
    condition = vocabulary.compile(source)
    held = tuple(
        condition.evaluate(vocabulary.activation(each)) is Verdict.TRUE for each in (FULL, BARE)
    )
    assert held == VALUES[source]
    assert condition.variables <= set(vocabulary.activation(FULL))


def test_every_variable_of_a_post_is_read_by_a_test() -> None:
    vocabulary = PostVocabulary(["incitement", "spam_domains"], ["posts_1m", "links_1h"])
    read = set().union(*(vocabulary.compile(source).variables for source in VALUES))
    flags = {f"flags.{flag}" for flag in FLAGS}
    assert vocabulary.names - flags == read - flags


@pytest.mark.parametrize("name", Evasion._fields)
def test_each_count_of_evasion_is_its_own(name: str) -> None:
    texts = {
        "mixed_words": "p\u0430ypal",
        "hidden_characters": "pay\u200bpal",
        "direction_overrides": "\u202elapyap",
    }
    vocabulary = PostVocabulary([], [])
    condition = vocabulary.compile(f"post.{name} == 1")
    rows = {other: row({**POST, "text": text}) for other, text in texts.items()}
    activations = {other: vocabulary.activation(each) for other, each in rows.items()}
    found = [n for n, each in activations.items() if condition.evaluate(each) is Verdict.TRUE]
    assert found == [name]


@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_reads_its_own_bit(flag: str) -> None:
    vocabulary = PostVocabulary([], [])
    conditions = {name: vocabulary.compile(f"flags.{name}") for name in FLAGS}
    activation = vocabulary.activation(row(POST, flags=1 << FLAGS.index(flag)))
    raised = [n for n, each in conditions.items() if each.evaluate(activation) is Verdict.TRUE]
    assert raised == [flag]


def test_an_activation_holds_what_all_compiled_conditions_read() -> None:
    vocabulary = PostVocabulary(["incitement"], ["posts_1m"])
    first = vocabulary.compile("windows.posts_1m > 3")
    assert set(vocabulary.activation(FULL)) == {"windows.posts_1m"}
    second = vocabulary.compile("matches.incitement.any")
    shared = vocabulary.activation(FULL)
    assert dict(shared) == {"windows.posts_1m": 31, "matches.incitement.any": True}
    assert first.evaluate(shared) is second.evaluate(shared) is Verdict.TRUE
    assert first.evaluate({"windows.posts_1m": 2}) is Verdict.FALSE


def test_what_cannot_be_evaluated_is_an_error_and_no_exception() -> None:
    vocabulary = PostVocabulary([], ["posts_1m"])
    condition = vocabulary.compile("scores.spam > 0.5 || windows.posts_1m / 0 > 1")
    activation = vocabulary.activation(BARE)
    assert condition.evaluate(activation) is Verdict.ERROR
    assert "spam" in condition.error(activation)
    assert vocabulary.compile("windows.posts_1m >= 0").error(activation) == ""


LONG = row(POST | {key: [str(n) for n in range(20_000)] for key in ("urls", "hashtags")})


def test_a_spent_budget_is_an_error_and_no_exception() -> None:
    vocabulary = PostVocabulary([], [])
    three = "post.urls.all(u, post.urls.all(v, post.urls.all(w, u + v + w != '')))"
    condition = vocabulary.compile(three)
    activation = vocabulary.activation(LONG)
    assert condition.evaluate(activation) is Verdict.ERROR
    assert "budget" in condition.error(activation)


@pytest.mark.parametrize("name", ["urls", "hashtags"])
def test_a_condition_sees_the_beginning_of_a_long_list(name: str) -> None:
    """Nobody can make a worker walk, or build, a list as long as he likes."""
    vocabulary = PostVocabulary([], [])
    for source, verdict in {
        f"post.{name}.exists(each, each == '63')": Verdict.TRUE,
        f"post.{name}.exists(each, each == '64')": Verdict.FALSE,
        f"post.{name}.filter(each, each != '').size() == 64": Verdict.TRUE,
        f"post.{name}.exists(u, post.{name}.exists(v, u + v == ''))": Verdict.FALSE,
        f"post.{name.removesuffix('s')}_count == 20000": Verdict.TRUE,
    }.items():
        condition = vocabulary.compile(source)
        assert condition.evaluate(vocabulary.activation(LONG)) is verdict, source


@pytest.mark.parametrize(
    ("created", "time", "days"),
    [(None, 5, -1), (0, 0, 0), (0, DAY - 1, 0), (0, DAY, 1), (DAY, 3 * DAY + 1, 2), (5, 4, -1)],
)
def test_age_counts_whole_days(created: int | None, time: int, days: int) -> None:
    assert age_days(created, time) == days


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_bundle(tmp_path))


def test_rules_of_a_bundle_share_one_activation(bundle: Bundle) -> None:
    found = Match("incitement", "burn it down", "folded", 0, 12, 1)
    activation = post_activation(bundle, row(POST, matches=(found,), windows=(31,)))
    verdicts = {rule.id: rule.when.evaluate(activation) for rule in bundle.post_rules}
    assert verdicts == {
        "incitement": Verdict.TRUE, "images": Verdict.FALSE, "flood": Verdict.TRUE
    }  # fmt: skip


def test_a_run_of_sightings_counts_for_windows_of_its_type_and_length(bundle: Bundle) -> None:
    activation = campaign_activation(bundle, "text", 600_000, accounts=20, sightings=24)
    assert dict(activation) == {
        "fingerprint.type": "text",
        "fingerprint.sightings": 24,
        "windows.copies_10m": 20,
        "windows.copies_1h": 0,
        "windows.device_24h": 0,
    }
    held = [r.id for r in bundle.campaign_rules if r.when.evaluate(activation) is Verdict.TRUE]
    assert held == ["copypasta"]


def test_members_are_judged_at_their_own_time(bundle: Bundle) -> None:
    members = bundle.campaign_rules[0].members
    assert members is not None
    young = member_activation(0, 30 * DAY - 1, "u1")
    old = member_activation(0, 30 * DAY, "u1")
    assert members.evaluate(young) is Verdict.TRUE
    assert members.evaluate(old) is Verdict.FALSE
    assert dict(member_activation(None, DAY, "u2")) == {"account.id": "u2", "account.age_days": -1}


def test_members_know_the_account_alone() -> None:
    with pytest.raises(ConditionErrors, match=r"unknown name `post.text`"):
        MEMBERS.compile("post.text == ''")


MONOTONE = [
    "windows.a >= 3",
    "3 <= windows.a",
    "windows.a > 3 && fingerprint.sightings > 9 || windows.a > 100",
    "!(windows.a < 3)",
    "!(windows.a <= 3 || 9 > fingerprint.sightings)",
    "windows.a + fingerprint.sightings > 12",
    "fingerprint.type == 'text' && windows.a > 1",
    "fingerprint.type != 'url' ? windows.a > 1 : windows.a > 2",
    "windows.a > size('abc')",
    "true || windows.a > 3",
]
FALLING = [
    "windows.a < 3",
    "3 > windows.a",
    "windows.a == 3",
    "windows.a != 3",
    "!(windows.a > 3)",
    "windows.a > 3 && fingerprint.sightings < 100",
    "windows.a > fingerprint.sightings",
    "windows.a > 3 ? false : true",
    "windows.a - fingerprint.sightings > 3",
    "windows.a * -1 > -3",
    "windows.a + 9223372036854775807 > 3",
    "windows.a in [3, 4]",
    "string(windows.a) == '3'",
    "[windows.a].exists(n, n == 3)",
    "(windows.a > 3) == false",
]


@pytest.mark.parametrize("source", MONOTONE + FALLING)
def test_monotone_means_that_more_sightings_keep_it_true(source: str) -> None:
    """Compare the check with evaluation over a grid of growing runs."""
    condition = campaign_vocabulary(["a"]).compile(source)
    accepted = not violations(condition.tree)
    assert accepted is (source in MONOTONE)

    def held(accounts: int, sightings: int) -> bool:
        values = {"windows.a": accounts, "fingerprint.sightings": sightings}
        verdict = condition.evaluate({**values, "fingerprint.type": "text"})
        return verdict is Verdict.TRUE

    grid = range(14)
    kept = all(
        not held(a, s) or (held(a + 1, s) and held(a, s + 1) and held(a + 1, s + 1))
        for a in grid
        for s in grid
    )
    assert kept or not accepted
