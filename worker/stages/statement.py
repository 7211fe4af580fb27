"""Write the statement of reasons of one decision (docs/records.md): every number it rests on.

Nothing is decided here. The same decision gives the same bytes in every run, but for `in`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias

import orjson

from fastpath.spec import Atom
from worker.domain.action import (
    ACTION_KINDS,
    ActionKind,
    ActionPost,
    Counter,
    PersonsDecision,
    PostEvidence,
    PriorWarning,
    Proposal,
    Restriction,
)
from worker.domain.identity import ActionIds, account_digest
from worker.domain.signal import RECORD_VERSION, Origin, Review, Signal
from worker.policy.bundle import Bundle, Policy, Rule, Step
from worker.stages import wire
from worker.stages.action_form import EMPTY, NULL, ActionForm, Shared, drafted
from worker.stages.protocols import Output
from worker.state.rows import NEVER, Finding, Issued, Row

CONTENT_TYPE = b"application/json"
_POST_DELETED = b'"post_deleted"'
_BOOL = (b"false", b"true")
Headers: TypeAlias = tuple[tuple[str, bytes], ...]
_KIND_HEADERS: dict[ActionKind, Headers] = {
    kind: (("weir.kind", kind.encode()), ("content-type", CONTENT_TYPE)) for kind in ACTION_KINDS
}
# Attributes of CloudEvents 1.0 in binary mode.
_SPECVERSION = ("ce_specversion", b"1.0")
_SOURCE = ("ce_source", b"weir/enforce")
_EVENT_TYPES = {
    kind: ("ce_type", f"weir.action.{kind}.v{RECORD_VERSION}".encode()) for kind in ACTION_KINDS
}
_ROLES = {kind: f"actions.{kind}" for kind in ACTION_KINDS}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Case:
    """Hold what is being judged: one finding of one account, and what led to it."""

    account: str | None
    row: Row | None  # None: nobody to hold a ledger for
    finding: Finding
    time: int  # judged time
    origin: Origin  # of the record that led here: a post, a delete, a person's decision
    posted_at: int  # origin time of the post itself
    shadow: bool
    where: tuple[str, int, int]  # topic, partition, offset of the signal in this run
    policy: Policy | None = None
    rule: Rule | None = None
    signal: Signal | None = None
    review: Review | None = None
    detected: bool = True  # by a rule; False where a person pointed at the post unasked
    answers: tuple[str, ...] = ()  # the review action that a person's decision answers
    strikes_before: int = 0
    strikes_after: int = 0
    outputs: list[Output] = field(default_factory=list)
    ids: dict[tuple[ActionKind, int], str] = field(default_factory=dict)  # by kind and step
    begun_id: blake2b | None = None  # what all those begin with
    said: Said | None = None  # what all its actions say alike


@dataclass(slots=True)
class Decided:
    """Hold what was decided on a case."""

    kind: ActionKind
    step: int = 0
    ladder_step: Step | None = None
    expires_at: int | None = None
    until_deleted: bool = False
    warning: PriorWarning | None = None
    proposal: Proposal | None = None
    supersedes: tuple[str, ...] = ()


@dataclass(slots=True)
class Said:
    """Hold what all actions on a case say alike, once the first is written."""

    shared: Shared
    rules: tuple[str, ...]
    key: bytes | None
    counters: bytes  # a list without the strikes
    event: Headers  # subject and time, where the action goes out as a CloudEvent


class Statements:
    """Turn decisions into outputs, and remember each under its id."""

    def __init__(self, bundle: Bundle, deployment: str, deployment_key: bytes) -> None:
        self._bundle = bundle
        self._key = deployment_key
        self._ids = ActionIds(deployment_key, deployment)
        self._forms: dict[tuple[str, ActionKind, bool], ActionForm] = {}
        # Most signals of a rule cite numbers that another one cited. About 1 KB each.
        self._cited = lru_cache(maxsize=4_096)(self._cite)

    def id_of(self, case: Case, kind: ActionKind, step: int) -> str:
        """Name a decision on a case (rule 6 of docs/time-and-identity.md)."""
        identity = case.ids.get((kind, step))
        if identity is None:
            if case.begun_id is None:
                finding = case.finding
                case.begun_id = self._ids.begin(
                    case.account or "", finding.post, finding.revision, finding.policy
                )
            identity = case.ids[kind, step] = self._ids.complete(case.begun_id, kind, step)
        return identity

    def write(self, case: Case, decided: Decided) -> None:
        """Add one action to the case's outputs; its rules are complete before the first."""
        kind = decided.kind
        identity = self.id_of(case, kind, decided.step)
        seq = 0
        if case.row is not None:
            case.row.seq += 1
            seq = case.row.seq
            case.row.record(
                Issued(identity, kind, decided.step, case.finding, decided.proposal, seq=seq)
            )
        said = case.said
        if said is None:
            said = case.said = self._say(case)
        value = self._form(case, kind).fill(
            said.shared,
            action_id=identity,
            account_seq=seq,
            effective_at=case.time,
            expires_at=decided.expires_at,
            release_condition=_POST_DELETED if decided.until_deleted else NULL,
            step=decided.step,
            counters=_with_strikes(said.counters, case, decided),
            strikes_before=case.strikes_before,
            strikes_after=case.strikes_after,
            warning=NULL if decided.warning is None else orjson.dumps(decided.warning),
            proposal=NULL if decided.proposal is None else orjson.dumps(decided.proposal),
            supersedes=orjson.dumps(decided.supersedes) if decided.supersedes else EMPTY,
            in_force=_in_force(case),
        )
        headers: Headers = _KIND_HEADERS[kind]
        if not case.shadow:
            name = ("ce_id", identity.encode())
            headers = (_SPECVERSION, name, _SOURCE, _EVENT_TYPES[kind], *said.event, *headers)
        role = "shadow" if case.shadow else _ROLES[kind]
        case.outputs.append(
            Output(
                case.where[2],
                case.origin.offset,
                role,
                said.key,
                value,
                headers=headers,
                rules=said.rules,
            )
        )

    def _say(self, case: Case) -> Said:
        finding, signal = case.finding, case.signal
        rules, rule_ids, facts_text_id = _rules_said(finding.policy, *finding.rules)
        topic, partition, offset = case.where
        coordinates = {"topic": topic, "partition": partition, "offset": offset}
        shared = Shared(
            account_id=orjson.dumps(case.account),
            post=orjson.dumps(_post(finding)),
            rule_ids=rule_ids,
            facts_text_id=facts_text_id,
            evidence=NULL
            if signal is None
            else orjson.dumps(wire.evidence_record(signal.evidence)),
            evidence_bundle=NULL if signal is None else orjson.dumps(signal.bundle),
            post_refs=EMPTY if signal is None else orjson.dumps(_post_refs(signal)),
            automated_detection=_BOOL[case.detected],
            automated_decision=_BOOL[case.review is None],
            person=NULL if case.review is None else orjson.dumps(_person(case.review)),
            origin=orjson.dumps(wire.origin_record(case.origin)),
            coordinates=orjson.dumps(coordinates),
        )
        return Said(
            shared,
            rules,
            wire.account_key(case.account),
            EMPTY if signal is None else self._counters(signal),
            () if case.shadow else self._event(case),
        )

    def _event(self, case: Case) -> Headers:
        time = ("ce_time", rfc3339(case.origin.time).encode())
        if case.account is None:  # an attribute is absent, never empty
            return (time,)
        return (("ce_subject", account_digest(self._key, case.account).encode()), time)

    def _form(self, case: Case, kind: ActionKind) -> ActionForm:
        """Give the bytes of what all actions of a kind under a policy say alike."""
        policy, name = case.policy, case.finding.policy
        form = self._forms.get((name, kind, case.shadow))
        if form is None:
            draft = drafted(self._bundle, policy, name, kind, shadow=case.shadow)
            form = ActionForm(draft)
            if policy is not None:  # one that the bundle lacks is named by what came: unbounded
                self._forms[name, kind, case.shadow] = form
        return form

    def _counters(self, signal: Signal) -> bytes:
        """Cite every number that the rule compared, beside what it was compared with."""
        evidence = signal.evidence
        totals: dict[str, int] = {}
        for match in evidence.matches:
            totals[match.list] = totals.get(match.list, 0) + match.count
        windows = tuple(evidence.windows.items())
        return self._cited(signal.policy, signal.rule, windows, tuple(totals.items()))

    def _cite(
        self,
        policy: str,
        rule_id: str,
        windows: tuple[tuple[str, int], ...],
        totals: tuple[tuple[str, int], ...],
    ) -> bytes:
        rule = self._bundle.find_rule(policy, rule_id)
        atoms = rule.when.atoms if rule is not None else ()
        cited: list[Counter] = []
        for name, value in windows:
            window = self._bundle.windows.get(name)
            over_ms = window.over_ms if window is not None else None
            cited += _compared(atoms, "window", name, f"windows.{name}", over_ms, value)
        for name, value in totals:
            cited += _compared(atoms, "match", name, f"matches.{name}", None, value)
        return orjson.dumps(cited)


@lru_cache(maxsize=1_024)  # as many as there are sets of rules that hold together
def _rules_said(policy: str, *rules: str) -> tuple[tuple[str, ...], bytes, bytes]:
    """Name the rules of a finding, and give the JSON of `rule_ids` and `facts_text_id`."""
    names = tuple([f"{policy}/{rule}" for rule in rules])
    return names, orjson.dumps(names), orjson.dumps("+".join(names) or policy)


def _with_strikes(counters: bytes, case: Case, decided: Decided) -> bytes:
    """Cite the strikes too where they led to a step."""
    ladder = case.policy.ladder if case.policy is not None else None
    if decided.ladder_step is None or ladder is None:
        return counters
    least = decided.ladder_step.at
    strikes = _counter("strikes", ladder.strike_ttl_ms, case.strikes_after, ">=", least)
    before = b"[" if counters == EMPTY else counters[:-1] + b","
    return before + orjson.dumps(strikes) + b"]"


def rfc3339(time: int) -> str:
    """Write a time in UTC with milliseconds; years 1 to 9999."""
    second, milliseconds = divmod(time, 1_000)
    return f"{_whole_second(second)}.{milliseconds:03}Z"


@lru_cache(maxsize=256)  # actions come in the order of posts, many in a second
def _whole_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat()


def _compared(
    atoms: Iterable[Atom], column: str, name: str, shown: str, over_ms: int | None, value: int
) -> Iterator[Counter]:
    cited = False
    for atom in atoms:
        if (atom.column, atom.name) == (column, name) and type(atom.constant) is int:
            cited = True
            yield _counter(shown, over_ms, value, atom.op, atom.constant)
    if not cited:
        yield _counter(shown, over_ms, value, None, None)


def _counter(
    name: str, window_ms: int | None, value: int, op: str | None, threshold: int | None
) -> Counter:
    return {
        "name": name,
        "window_ms": window_ms,
        "value": value,
        "op": op,
        "threshold": threshold,
    }


def _post(finding: Finding) -> ActionPost | None:
    return {"id": finding.post, "revision": finding.revision} if finding.parsed else None


def _post_refs(signal: Signal) -> list[PostEvidence]:
    """Point at the post once per lane in which something was found, spans in order."""
    lanes: dict[str | None, list[tuple[int, int]]] = {}
    for match in signal.evidence.matches:
        spans = lanes.setdefault(match.lane, [])
        if match.span is not None:
            spans.append(match.span)
    origin = signal.origin
    return [
        {
            "topic": origin.topic,
            "partition": origin.partition,
            "offset": origin.offset,
            "post_id": signal.post.id,
            "content_digest": signal.post.digest,
            "lane": lane,
            "spans": sorted(set(spans)),
        }
        for lane, spans in (lanes or {None: []}).items()
    ]


def _person(review: Review) -> PersonsDecision:
    return {
        "decision": review.decision,
        "by_id": review.by.id,
        "role": review.by.role,
        "reason": review.reason,
        "time": review.time,
    }


def _in_force(case: Case) -> bytes:
    if case.row is None or not case.row.restrictions:
        return EMPTY
    until: dict[ActionKind, int] = {}
    for restriction in case.row.live_restrictions(case.time):
        until[restriction.kind] = max(
            restriction.expires_at, until.get(restriction.kind, restriction.expires_at)
        )
    restrictions: list[Restriction] = [
        {"kind": kind, "expires_at": None if end == NEVER else end}
        for kind, end in sorted(until.items())
    ]
    return orjson.dumps(restrictions)
