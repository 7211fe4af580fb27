"""The law of gates through both screens: what a screen holds back, CEL would have refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.records import BatchView
from fastpath.reference.screen import Screen as ReferenceScreen
from fastpath.screen import Screen
from fastpath.spec import GATE_TRUE, HashList, KeywordList, ScreenSpec, Status, WindowSpec
from tests.property.test_gates import LISTS, NEAR_LISTS, conditions, posts
from worker.policy.conditions import PostVocabulary, Verdict

SPEC = ScreenSpec(
    keyword_lists=(KeywordList("incitement", ("x", "say", "naïve")),),
    hash_lists=(
        HashList("spam_domains", "domain", ("a.example",)),
        HashList("images", "pdq", ("f" * 64, "f" * 62 + "00"), 31, 50),
    ),
    windows=(WindowSpec("posts_1m", "posts", 60_000), WindowSpec("links_1h", "links", 3_600_000)),
    time_source="created_at",
    check_key=False,
)
WINDOWS = tuple(window.name for window in SPEC.windows)
VOCABULARY = PostVocabulary(LISTS, WINDOWS, NEAR_LISTS)
START = 102 * 86_400_000


@pytest.mark.parametrize("backend", [Screen, ReferenceScreen])
@settings(max_examples=150)
@given(
    sources=st.lists(conditions, min_size=1, max_size=4),
    stream=st.lists(st.tuples(posts, st.integers(0, 40_000)), min_size=1, max_size=12),
)
def test_what_a_gate_holds_back_has_no_true_condition(
    backend: Any, sources: list[str], stream: list[tuple[dict[str, Any], int]]
) -> None:
    rules = [VOCABULARY.compile(source) for source in sources]
    # A last gate that is always true makes a row of every post, also of those held back.
    gates = (*(rule.gate for rule in rules), GATE_TRUE)
    screen = backend(replace(SPEC, gates=gates))
    time, lines = START, []
    for post, later in stream:
        time += later
        content = {} if {"text", "media", "urls"} & set(post) else {"text": ""}
        lines.append(orjson.dumps({**post, **content, "created_at": time}))
    view = BatchView.from_lines("posts", b"\n".join(lines) + b"\n", 1)

    rows = screen.step(view, screen.new_state(0)).rows

    assert [row.status for row in rows] == [Status.POST] * len(stream)
    for row in rows:
        activation = VOCABULARY.activation(row)
        for index, rule in enumerate(rules):
            if not row.gates >> index & 1:
                assert rule.evaluate(activation) is not Verdict.TRUE, rule.source
