"""A remembered verdict is what evaluation gives, for any values in any order."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.policy import conditions
from worker.policy.conditions import Activation, Verdict, campaign_vocabulary

SOURCES = (
    "windows.a > 3 && windows.b < 2",
    "windows.a / windows.b > 1",  # fails for some values
    "windows.a == 1 || fingerprint.sightings % 2 == 1",
    "fingerprint.type == 'url' && windows.a > 0",  # reads a string: not remembered
    "true",
)
VALUES = st.fixed_dictionaries(
    {
        "windows.a": st.integers(0, 4),
        "windows.b": st.integers(0, 3),
        "fingerprint.sightings": st.integers(0, 3),
        "fingerprint.type": st.sampled_from(["url", "text"]),
    }
)


@pytest.mark.parametrize("most", [2, conditions.MAX_REMEMBERED])
@given(runs=st.lists(VALUES, min_size=2, max_size=40))
def test_a_remembered_verdict_is_what_evaluation_gives(
    most: int, runs: list[Mapping[str, object]]
) -> None:
    vocabulary = campaign_vocabulary(["a", "b"])
    compiled = [vocabulary.compile(source) for source in SOURCES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conditions, "MAX_REMEMBERED", most)
        for values in runs:
            activation = Activation(vocabulary.env, values)
            for condition in compiled:
                assert condition.evaluate(activation) is condition.evaluate(values)
                assert len(condition._known) <= most


def test_a_verdict_is_remembered_by_the_values_that_the_condition_reads() -> None:
    vocabulary = campaign_vocabulary(["a", "b"])
    condition = vocabulary.compile("windows.a > 3")
    for b in range(5):
        values = {"windows.a": 4, "windows.b": b, "fingerprint.sightings": b}
        activation = Activation(vocabulary.env, {**values, "fingerprint.type": "url"})
        assert condition.evaluate(activation) is Verdict.TRUE
    assert len(condition._known) == 1
