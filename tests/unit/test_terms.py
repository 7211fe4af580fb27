"""Hold the terms of a condition to what the condition as a whole says."""

from __future__ import annotations

import pytest
from cel_expr_python import cel
from hypothesis import given
from hypothesis import strategies as st

from worker.policy.conditions import Activation, Verdict, Vocabulary
from worker.policy.terms import explain_terms

TYPES = {
    "windows.posts_1m": cel.Type.INT,
    "matches.words.any": cel.Type.BOOL,
    "flags.late": cel.Type.BOOL,
    "post.text": cel.Type.STRING,
}
VALUES = {
    "windows.posts_1m": 31,
    "matches.words.any": True,
    "flags.late": False,
    "post.text": "a && (b",
}
VOCABULARY = Vocabulary("post rule", TYPES)


def terms(source: str) -> list[tuple[str, Verdict]]:
    activation = Activation(VOCABULARY.env, dict(VALUES))
    found = explain_terms(VOCABULARY.compile(source), VOCABULARY, activation)
    return [(term.source, term.verdict) for term in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("matches.words.any", ["matches.words.any"]),
        (
            "windows.posts_1m > 30 && !flags.late",
            ["windows.posts_1m > 30", "!flags.late"],
        ),
        (
            "(windows.posts_1m > 30 || flags.late) && (matches.words.any)",
            ["windows.posts_1m > 30", "flags.late", "matches.words.any"],
        ),
        (
            "(windows.posts_1m + 1) * (2) > 30 && flags.late",
            ["(windows.posts_1m + 1) * (2) > 30", "flags.late"],
        ),
        (
            "!(flags.late || matches.words.any) && windows.posts_1m > 1",
            ["!(flags.late || matches.words.any)", "windows.posts_1m > 1"],
        ),
        (
            'post.text == "a && (b" && flags.late',
            ['post.text == "a && (b"', "flags.late"],
        ),
        (
            "[1, 2].exists(x, x > 1 && flags.late) || matches.words.any",
            ["[1, 2].exists(x, x > 1 && flags.late)", "matches.words.any"],
        ),
        (
            "flags.late ? matches.words.any && true : false",
            ["flags.late ? matches.words.any && true : false"],
        ),
    ],
)
def test_terms_are_what_and_and_or_join(source: str, expected: list[str]) -> None:
    assert [text for text, _ in terms(source)] == expected


def test_a_term_shows_its_verdict_and_the_values_it_read() -> None:
    activation = Activation(VOCABULARY.env, dict(VALUES))
    condition = VOCABULARY.compile("windows.posts_1m > 30 && 1 / (windows.posts_1m - 31) > 0")
    high, divided = explain_terms(condition, VOCABULARY, activation)
    assert high == ("windows.posts_1m > 30", Verdict.TRUE, {"windows.posts_1m": 31})
    assert divided.verdict is Verdict.ERROR


ATOMS = st.sampled_from(["flags.late", "matches.words.any", "windows.posts_1m > 40", "!flags.late"])


@given(
    st.recursive(
        ATOMS,
        lambda inner: st.tuples(inner, st.sampled_from([" && ", "||"]), inner).map(
            lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"
        ),
        max_leaves=12,
    )
)
def test_terms_of_nested_conditions_are_their_atoms_in_order(source: str) -> None:
    atoms = source.replace("||", "&&").replace("(", "").replace(")", "").split("&&")
    assert [text for text, _ in terms(source)] == [atom.strip() for atom in atoms]
