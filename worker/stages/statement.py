"""Write the statement of reasons of one decision (docs/records.md): every number it rests on.

Nothing is decided here. The same decision gives the same bytes in every run, but for `in`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fastpath.spec import Atom, Gate
from worker.domain.action import (
    Action,
    ActionKind,
    ActionPost,
    Counter,
    PersonsDecision,
    PostEvidence,
    PriorWarning,
    Proposal,
    Restriction,
)
from worker.domain.identity import account_digest, action_id
from worker.domain.signal import RECORD_VERSION, Origin, Review, Signal
from worker.policy.bundle import Bundle, Policy, Rule, Step
from worker.stages import wire
from worker.stages.protocols import Output
from worker.state.rows import NEVER, Finding, Issued, Row

CONTENT_TYPE = b"application/json"
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


@dataclass(frozen=True, slots=True)
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


class Statements:
    """Turn decisions into outputs, and remember each under its id."""

    def __init__(self, bundle: Bundle, deployment: str, deployment_key: bytes) -> None:
        self._bundle = bundle
        self._deployment = deployment
        self._key = deployment_key

    def id_of(self, case: Case, kind: ActionKind, step: int) -> str:
        """Name a decision on a case (rule 6 of docs/time-and-identity.md)."""
        finding = case.finding
        return action_id(
            self._key,
            self._deployment,
            case.account or "",
            finding.post,
            finding.revision,
            finding.policy,
            kind,
            step,
        )

    def write(self, case: Case, decided: Decided) -> None:
        """Add one action to the case's outputs."""
        identity = self.id_of(case, decided.kind, decided.step)
        seq = 0
        if case.row is not None:
            case.row.seq += 1
            seq = case.row.seq
            case.row.record(
                Issued(
                    identity,
                    decided.kind,
                    decided.step,
                    case.finding,
                    decided.proposal,
                    seq=seq,
                )
            )
        value = wire.encode_action(self._action(case, decided, identity, seq), *case.where)
        kind = (("weir.kind", decided.kind.encode()), ("content-type", CONTENT_TYPE))
        headers = kind if case.shadow else (*self._cloud_event(case, decided, identity), *kind)
        role = "shadow" if case.shadow else f"actions.{decided.kind}"
        key = wire.account_key(case.account)
        case.outputs.append(
            Output(case.where[2], case.origin.offset, role, key, value, headers=headers)
        )

    def _cloud_event(
        self, case: Case, decided: Decided, identity: str
    ) -> tuple[tuple[str, bytes], ...]:
        """Give the attributes of CloudEvents 1.0 in binary mode."""
        subject = "" if case.account is None else account_digest(self._key, case.account)
        attributes = [
            ("ce_specversion", b"1.0"),
            ("ce_id", identity.encode()),
            ("ce_source", b"weir/enforce"),
            ("ce_type", f"weir.action.{decided.kind}.v{RECORD_VERSION}".encode()),
            ("ce_time", rfc3339(case.origin.time).encode()),
        ]
        if subject:  # an attribute is absent, never empty
            attributes.insert(4, ("ce_subject", subject.encode()))
        return tuple(attributes)

    def _action(self, case: Case, decided: Decided, identity: str, seq: int) -> Action:
        policy, finding, signal = case.policy, case.finding, case.signal
        evidence = signal.evidence if signal is not None else None
        return Action(
            v=RECORD_VERSION,
            kind=decided.kind,
            action_id=identity,
            account_id=case.account,
            account_seq=seq,
            account_type=None,
            shadow=case.shadow,
            post=_post(finding),
            effective_at=case.time,
            expires_at=decided.expires_at,
            release_condition="post_deleted" if decided.until_deleted else None,
            scope=(),
            policy=finding.policy,
            policy_revision=self._bundle.revision,
            clause_ref=policy.clause if policy else None,
            rule_ids=_rule_ids(case),
            ladder=policy.ladder.name if policy and policy.ladder else None,
            step=decided.step,
            severe=policy.severe if policy else False,
            bundle_digest=self._bundle.digest,
            ground=policy.ground if policy else "terms",
            legal_ground=policy.legal_ground if policy else None,
            explanation=policy.explanation if policy else "",
            category=policy.category if policy else None,
            keywords=(),
            facts_text_id="+".join(_rule_ids(case)) or finding.policy,
            counters=tuple(self._counters(case, decided)),
            strikes_before=case.strikes_before,
            strikes_after=case.strikes_after,
            warning=decided.warning,
            evidence=evidence,
            evidence_bundle=signal.bundle if signal is not None else None,
            post_refs=tuple(_post_refs(signal)) if signal is not None else (),
            source_type="voluntary",
            automated_detection=case.detected,
            automated_decision=case.review is None,
            human_review_required=decided.kind == "review",
            proposal=decided.proposal,
            person=_person(case.review),
            redress=policy.redress if policy else (),
            notice_template_id=f"weir.{decided.kind}.v{RECORD_VERSION}",
            supersedes=decided.supersedes,
            in_force=_in_force(case),
            origin=case.origin,
        )

    def _counters(self, case: Case, decided: Decided) -> Iterator[Counter]:
        """Cite every number that was compared, beside what it was compared with."""
        if case.signal is not None:
            atoms = list(_atoms(case.rule.when.gate)) if case.rule is not None else []
            for name, value in case.signal.evidence.windows.items():
                window = self._bundle.windows.get(name)
                over_ms = window.over_ms if window is not None else None
                yield from _compared(atoms, "window", name, f"windows.{name}", over_ms, value)
            totals: dict[str, int] = {}
            for match in case.signal.evidence.matches:
                totals[match.list] = totals.get(match.list, 0) + match.count
            for name, value in totals.items():
                yield from _compared(atoms, "match", name, f"matches.{name}", None, value)
        if decided.ladder_step is not None and case.policy and case.policy.ladder:
            ttl = case.policy.ladder.strike_ttl_ms
            at = decided.ladder_step.at
            yield Counter("strikes", ttl, case.strikes_after, ">=", at)


def rfc3339(time: int) -> str:
    """Write a time in UTC with milliseconds; years 1 to 9999."""
    moment = _EPOCH + timedelta(milliseconds=time)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _atoms(gate: Gate) -> Iterator[Atom]:
    if gate.atom is not None:
        yield gate.atom
    for part in gate.parts:
        yield from _atoms(part)


def _compared(
    atoms: list[Atom], column: str, name: str, shown: str, over_ms: int | None, value: int
) -> Iterator[Counter]:
    cited = False
    for atom in atoms:
        if (atom.column, atom.name) == (column, name) and type(atom.constant) is int:
            cited = True
            yield Counter(shown, over_ms, value, atom.op, atom.constant)
    if not cited:
        yield Counter(shown, over_ms, value, None, None)


def _post(finding: Finding) -> ActionPost | None:
    return ActionPost(finding.post, finding.revision) if finding.parsed else None


def _rule_ids(case: Case) -> tuple[str, ...]:
    return tuple(f"{case.finding.policy}/{rule}" for rule in case.finding.rules)


def _post_refs(signal: Signal) -> Iterator[PostEvidence]:
    """Point at the post once per lane in which something was found, spans in order."""
    lanes: dict[str | None, list[tuple[int, int]]] = {}
    for match in signal.evidence.matches:
        spans = lanes.setdefault(match.lane, [])
        if match.span is not None:
            spans.append(match.span)
    origin = signal.origin
    for lane, spans in (lanes or {None: []}).items():
        yield PostEvidence(
            origin.topic,
            origin.partition,
            origin.offset,
            signal.post.id,
            signal.post.digest,
            lane,
            tuple(sorted(set(spans))),
        )


def _person(review: Review | None) -> PersonsDecision | None:
    if review is None:
        return None
    return PersonsDecision(
        review.decision, review.by.id, review.by.role, review.reason, review.time
    )


def _in_force(case: Case) -> tuple[Restriction, ...]:
    if case.row is None:
        return ()
    until: dict[ActionKind, int] = {}
    for restriction in case.row.live_restrictions(case.time):
        until[restriction.kind] = max(
            restriction.expires_at, until.get(restriction.kind, restriction.expires_at)
        )
    return tuple(
        Restriction(kind, None if end == NEVER else end) for kind, end in sorted(until.items())
    )
