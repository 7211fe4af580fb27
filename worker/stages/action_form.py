"""Encode actions: what all of a kind under a policy say alike is written once, with holes.

Most of the 45 keys of an action say the same in every action of its kind and policy. So
bytes are kept of them, and of what several actions on one post share; the rest is filled in.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from worker.domain.action import Action, ActionKind
from worker.domain.signal import RECORD_VERSION, Origin
from worker.policy.bundle import Bundle, Policy

NULL = b"null"
EMPTY = b"[]"
_NOWHERE = Origin("", 0, 0, 0)
# How what differs from action to action stands in the form: JSON as bytes, or an integer.
_HOLES = {
    "action_id": b'"%b"',
    "account_id": b"%b",
    "account_seq": b"%d",
    "post": b"%b",
    "effective_at": b"%d",
    "expires_at": b"%b",
    "release_condition": b"%b",
    "rule_ids": b"%b",
    "step": b"%d",
    "facts_text_id": b"%b",
    "counters": b"%b",
    "strikes_before": b"%d",
    "strikes_after": b"%d",
    "warning": b"%b",
    "evidence": b"%b",
    "evidence_bundle": b"%b",
    "post_refs": b"%b",
    "automated_detection": b"%b",
    "automated_decision": b"%b",
    "proposal": b"%b",
    "person": b"%b",
    "supersedes": b"%b",
    "in_force": b"%b",
    "origin": b"%b",
}


class Shared(NamedTuple):
    """Hold what all actions on one case say alike, as JSON."""

    account_id: bytes
    post: bytes
    rule_ids: bytes
    facts_text_id: bytes
    evidence: bytes
    evidence_bundle: bytes
    post_refs: bytes
    automated_detection: bytes
    automated_decision: bytes
    person: bytes
    origin: bytes
    coordinates: bytes  # of the signal in this run: the last key, `in`


class ActionForm:
    """Hold the bytes of a kind of action under a policy; `draft` says what they have in common.

    What the draft holds under the keys of `_HOLES` is ignored. Made by enforce for each policy
    and kind that it meets.
    """

    def __init__(self, draft: Action) -> None:
        keys = [key for key in draft if key in _HOLES]
        if keys != list(_HOLES):
            raise AssertionError(f"values would fill each other's holes: {keys}")
        written = [
            orjson.dumps(key) + b":" + (_HOLES.get(key) or _literal(value))
            for key, value in draft.items()
        ]
        self._form = b"{" + b",".join(written) + b',"in":%b}'

    def fill(
        self,
        shared: Shared,
        *,
        action_id: str,
        account_seq: int,
        effective_at: int,
        expires_at: int | None,
        release_condition: bytes,
        step: int,
        counters: bytes,
        strikes_before: int,
        strikes_after: int,
        warning: bytes,
        proposal: bytes,
        supersedes: bytes,
        in_force: bytes,
    ) -> bytes:
        """Write one action: the keys of the draft in its order, then `in`; bytes are JSON."""
        return self._form % (
            action_id.encode(),
            shared.account_id,
            account_seq,
            shared.post,
            effective_at,
            NULL if expires_at is None else b"%d" % expires_at,
            release_condition,
            shared.rule_ids,
            step,
            shared.facts_text_id,
            counters,
            strikes_before,
            strikes_after,
            warning,
            shared.evidence,
            shared.evidence_bundle,
            shared.post_refs,
            shared.automated_detection,
            shared.automated_decision,
            proposal,
            shared.person,
            supersedes,
            in_force,
            shared.origin,
            shared.coordinates,
        )


def drafted(
    bundle: Bundle, policy: Policy | None, name: str, kind: ActionKind, *, shadow: bool
) -> Action:
    """Say what all actions of a kind under a policy say alike; the rest is filled in later.

    `name` is the policy's, which the bundle may lack.
    """
    return Action(
        v=RECORD_VERSION,
        kind=kind,
        action_id="",
        account_id=None,
        account_seq=0,
        account_type=None,
        shadow=shadow,
        post=None,
        effective_at=0,
        expires_at=None,
        release_condition=None,
        scope=(),
        policy=name,
        policy_revision=bundle.revision,
        clause_ref=policy.clause if policy else None,
        rule_ids=[],
        ladder=policy.ladder.name if policy and policy.ladder else None,
        step=0,
        severe=policy.severe if policy else False,
        bundle_digest=bundle.digest,
        ground=policy.ground if policy else "terms",
        legal_ground=policy.legal_ground if policy else None,
        explanation=policy.explanation if policy else "",
        category=policy.category if policy else None,
        keywords=(),
        facts_text_id="",
        counters=[],
        strikes_before=0,
        strikes_after=0,
        warning=None,
        evidence=None,
        evidence_bundle=None,
        post_refs=[],
        source_type="voluntary",
        automated_detection=True,
        automated_decision=True,
        human_review_required=kind == "review",
        proposal=None,
        person=None,
        redress=policy.redress if policy else (),
        notice_template_id=f"weir.{kind}.v{RECORD_VERSION}",
        supersedes=(),
        in_force=[],
        origin=_NOWHERE,
    )


def _literal(value: object) -> bytes:
    return orjson.dumps(value).replace(b"%", b"%%")
