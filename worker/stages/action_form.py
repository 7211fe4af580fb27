"""Encode actions: what all of a kind under a policy say alike is written once, with holes.

Most of the 45 keys of an action say the same in every action of its kind and policy. So
bytes are kept of them, and of what several actions on one post share; the rest is filled in.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from worker.domain.action import Action

NULL = b"null"
EMPTY = b"[]"
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
        assert keys == list(_HOLES)  # noqa: S101  # else values would fill each other's holes
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


def _literal(value: object) -> bytes:
    return orjson.dumps(value).replace(b"%", b"%%")
