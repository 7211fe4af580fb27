"""Regular expressions: literals stand in every match, gates let every match through, caps show."""

from pathlib import Path

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.keywords import Keywords
from fastpath.records import BatchView
from fastpath.rows import Row
from fastpath.screen import Screen
from fastpath.spec import FLAGS, Atom, Gate, Match, Status
from fastpath.text import fold_text
from tests.support.bundles import write_bundle
from worker.policy.bundle import check_bundle
from worker.policy.expressions import (
    MAX_MATCHES,
    MAX_PROGRAM,
    ExpressionError,
    ExpressionList,
    Expressions,
    compile_expression,
)
from worker.policy.literals import required_literals
from worker.stages.screen import ScreenStage

LITERALS = [
    ("kill", ("kill",)),
    ("kill (all|every) of", ("kill ",)),
    ("kill +them", ("kill",)),
    ("(kill|murder)s?", ("kill", "murder")),
    ("(kill|x)s", ()),
    ("k[i1]ll them", ("ll them",)),
    ("(abc){2,}", ("abc",)),
    ("(abc){0,2}def", ("def",)),
    ("(abc)?def", ("def",)),
    ("(?:abc|def)+ghi", ("abc", "def")),
    ("ab*cde", ("cde",)),
    (r"\bscam\b", ("scam",)),
    (r"^scam$", ("scam",)),
    (r"\Qa.b*\E", ("a.b*",)),
    (r"a\.b\*c", ("a.b*c",)),
    (r"\x61\x{62}c", ("abc",)),
    (r"\d+\s\pL\p{Greek}abc", ("abc",)),
    ("(?i)KILL", ("kill",)),
    ("(?i:KI)ll", ("kill",)),
    ("(?P<who>them)x", ("themx",)),
    ("[[:alpha:]]abc[^]]def", ("abc",)),
    ("abc|", ()),
    (".*", ()),
    ("ab", ()),
    ("字典", ("字典",)),
]


@pytest.mark.parametrize(("source", "literals"), LITERALS, ids=[each[0] for each in LITERALS])
def test_literals(source, literals):
    re2.compile(source)
    assert required_literals(source, folded=True) == literals


def test_a_letter_whose_case_is_ignored_gates_nothing_in_the_raw_lane():
    assert required_literals("(?i)kill", folded=False) == ()
    assert required_literals("(?i)kill(?-i)them", folded=False) == ("them",)


pieces = st.sampled_from(["a", "b", "ab", "abc", "é", ".", "[ab]", "[^a]", r"\w", r"\b", "^", "c"])
repetitions = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1}", "{1,3}", "+?"])
expressions = st.recursive(
    pieces,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(
            inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1}", "{1,3}", "+?"])
        ).map(lambda two: f"({two[0]}){two[1]}"),
        inner.map(lambda one: f"(?i:{one})"),
    ),
    max_leaves=8,
)


@given(expressions, st.text("abcABCé ", max_size=20))
@settings(max_examples=2_000)
def test_one_of_the_literals_stands_in_every_match(source, text):
    for folded, lane in ((True, fold_text(text)), (False, text)):
        found = re2.search(source, lane)
        literals = required_literals(source, folded=folded)
        if found is not None and literals:
            assert any(literal in found.group() for literal in literals), (source, text, literals)


@pytest.mark.parametrize(
    ("source", "lane", "said"),
    [
        ("(?=a)b", "folded", "not a regular expression: invalid perl operator"),
        (r"(a)\1", "folded", "not a regular expression: invalid escape sequence"),
        ("(abc", "folded", "not a regular expression: missing"),
        ("a*", "folded", "this matches the empty text"),
        ("[ab]{3}", "folded", "no literal of 3 letters"),
        ("ab", "folded", "no literal of 3 letters"),
        ("Kill", "folded", "`Kill` never stands in the folded lane"),
        ("cafe\u0301", "folded", "never stands in the folded lane"),
        ("(?i)kill", "raw", "no literal of 3 letters"),
        ("abc[^a]{1000}", "folded", f"at most {MAX_PROGRAM:,}"),
    ],
)
def test_what_cannot_be_used_is_refused(source, lane, said):
    with pytest.raises(ExpressionError, match=said.replace("(", r"\(")):
        compile_expression(source, lane, ungated=False)


def lists(*sources, lane="folded", ungated=False):
    made = tuple(compile_expression(each, lane, ungated=ungated) for each in sources)
    return {"x": ExpressionList("x", lane, made)}


def row_of(text, held, others=()):
    """Make the row that the core hands out: literals as matches."""
    found = Keywords([each.as_keywords() for each in held.values()]).find(text)
    row = Row(0, 0, 0, Status.POST, matches=(*others, *found.matches), post={"text": text})
    row.flags = found.truncated << FLAGS.index("matches_truncated")
    return row


@pytest.mark.parametrize(
    ("sources", "text", "expected"),
    [
        (["kill (all|every)"], "Kill ALL, kill every", [("kill (all|every)", "Kill ALL", 2)]),
        (["kill \\w+"], "kill", []),
        (["caf[eé]s"], "many cafe\u0301s", [("caf[eé]s", "cafe\u0301s", 1)]),
        (["fish(es)?"], "ﬁshes", [("fish(es)?", "ﬁshes", 1)]),
        (["one|two", "two|three"], "two", [("one|two", "two", 1), ("two|three", "two", 1)]),
        (["buy\\s+now"], "buy \n now", [("buy\\s+now", "buy \n now", 1)]),
        (["^scam"], "a scam", []),
    ],
)
def test_rows_hold_what_expressions_match(sources, text, expected):
    held = lists(*[source for source in sources if required_literals(source, folded=True)])
    row = row_of(text, held)
    Expressions(held).refine(row)
    shown = [(m.pattern, text[m.start : m.end], m.count) for m in row.matches]
    assert shown == expected
    assert not row.flags


def test_the_raw_lane_keeps_case():
    held = lists("US (Army|Navy)", lane="raw")
    for text, count in (("the US Navy", 1), ("the us navy", 0)):
        row = row_of(text, held)
        Expressions(held).refine(row)
        assert len(row.matches) == count


def test_other_lists_stay_as_they_are():
    held = lists("abcd+")
    other = Match("y", "abc", "folded", 0, 3, 1)
    row = row_of("abcdd", held, [other])
    Expressions(held).refine(row)
    assert row.matches == (other, Match("x", "abcd+", "folded", 0, 5, 1))


def test_a_post_that_matches_without_end_is_flagged():
    held = lists("abc.*z|abc")
    row = row_of("abc" * 20_000, held)
    Expressions(held).refine(row)
    assert row.flags == 1 << FLAGS.index("matches_truncated")
    assert row.matches[0].count <= MAX_MATCHES


def test_many_expressions_share_one_budget():
    sources = [f"abc{'d?' * n}[xyz]" for n in range(100)]
    held = lists(*sources)
    row = row_of("abc" * 20_000, held)
    Expressions(held).refine(row)
    assert row.flags == 1 << FLAGS.index("matches_truncated")


def test_ungated_expressions_run_on_every_row():
    held = lists("[ab]{3}", ungated=True)
    row = Row(0, 0, 0, Status.POST, post={"text": "xaba"})
    Expressions(held).refine(row)
    assert [m.pattern for m in row.matches] == ["[ab]{3}"]
    assert Expressions(held).relax(Gate("atom", Atom("match", "x", ">=", 1))) == Gate("and")


@given(st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), st.integers(-1, 3), st.integers(0, 4))
def test_a_relaxed_gate_is_true_wherever_the_condition_is(op, constant, count):
    holds = {
        "<": count < constant,
        "<=": count <= constant,
        "==": count == constant,
        "!=": count != constant,
        ">=": count >= constant,
        ">": count > constant,
    }[op]
    gate = Expressions(lists("abc")).relax(Gate("atom", Atom("match", "x", op, constant)))
    # Whatever matches at least once holds at least one literal; literals may stand alone.
    for literals in range(min(count, 1), 6):
        passes = gate == Gate("and") or literals >= 1
        assert passes or not holds


def test_the_stage_judges_by_expressions(tmp_path: Path):
    folder = tmp_path / "bundle"
    write_bundle(
        folder,
        {"incitement: {kind: keyword, file: lists/incitement.txt, lanes: [folded], boundary: word}":
         "incitement: {kind: regex, file: lists/incitement.txt}"},
        {"lists/incitement.txt": "burn (it|them)( all)? down\nstorm the (gate|hall)s?\n"},
    )  # fmt: skip
    report = check_bundle(folder)
    assert report.diagnostics == ()
    bundle = report.bundle
    assert bundle is not None
    stage = ScreenStage(bundle, Screen(bundle.screen_spec(deployment_key=bytes(32))))
    texts = ["Burn them ALL down", "burn", "storm the halls", "storm the hall's", "burn it  down"]
    records = [
        f'{{"id": "p{at}", "account": {{"id": "a"}}, "text": "{text}"}}'.encode()
        for at, text in enumerate(texts)
    ]
    view = BatchView.from_records(
        "posts", 0, [b"a"] * len(texts), records, [10**12] * len(texts), list(range(len(texts)))
    )
    outputs = stage.step(stage.new_table(0, 1), view)
    signalled = [out.cause for out in outputs if out.topic == "signals"]
    assert signalled == [0, 2, 3]
