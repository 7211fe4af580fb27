"""A form says what its draft says, whatever stands in it, and every hole is filled by its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from worker.domain.action import ACTION_KINDS, Action, ActionKind
from worker.policy.bundle import load_bundle
from worker.stages.action_form import ActionForm, Shared, drafted

BUNDLE = Path(__file__).parents[2] / "deploy" / "example" / "bundle"
SHARED = {
    "account_id": 'a "quoted" %b \u00e9',
    "post": {"id": "%", "revision": 0},
    "rule_ids": ["p/r"],
    "facts_text_id": "p/r",
    "evidence": {"matches": []},
    "evidence_bundle": "b",
    "post_refs": [1],
    "automated_detection": True,
    "automated_decision": False,
    "person": None,
    "origin": {"topic": "posts"},
    "in": {"topic": "signals"},
}
OWN = {
    "action_id": "A" * 32,
    "account_seq": 3,
    "effective_at": -5,
    "release_condition": "post_deleted",
    "step": 2,
    "counters": [{"name": "100 %d"}],
    "strikes_before": 1,
    "strikes_after": 4,
    "warning": {"at": 9},
    "proposal": {"cause": "rule"},
    "supersedes": ["S"],
    "in_force": [{"kind": "lock"}],
}


def draft(kind: ActionKind) -> Action:
    bundle = load_bundle(BUNDLE)
    made = drafted(bundle, bundle.policies["spam"], "spam", kind, shadow=False)
    made["explanation"] = "100 % sure, %b %(x)s \u00e9"
    return made


def filled(said: Action, expires_at: int | None) -> dict[str, Any]:
    shared = Shared(*[orjson.dumps(value) for value in SHARED.values()])
    value = ActionForm(said).fill(
        shared,
        action_id="A" * 32,
        account_seq=3,
        effective_at=-5,
        expires_at=expires_at,
        release_condition=b'"post_deleted"',
        step=2,
        counters=b'[{"name":"100 %d"}]',
        strikes_before=1,
        strikes_after=4,
        warning=b'{"at":9}',
        proposal=b'{"cause":"rule"}',
        supersedes=b'["S"]',
        in_force=b'[{"kind":"lock"}]',
    )
    return cast("dict[str, Any]", orjson.loads(value))


@pytest.mark.parametrize("expires_at", [None, 77])
@pytest.mark.parametrize("kind", ACTION_KINDS)
def test_an_action_is_its_draft_with_every_hole_filled(
    kind: ActionKind, expires_at: int | None
) -> None:
    said = draft(kind)
    action = filled(said, expires_at)
    rest = orjson.loads(orjson.dumps(said))
    assert action == {**rest, **OWN, **SHARED, "expires_at": expires_at}
    assert list(action) == [*said, "in"]


def test_a_draft_in_another_order_is_refused() -> None:
    turned = dict(reversed(draft("warn").items()))
    with pytest.raises(AssertionError):
        ActionForm(cast("Action", turned))
