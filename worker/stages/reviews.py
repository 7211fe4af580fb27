"""Apply what people, executors and authors did after a decision: reviews, receipts, deletes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from worker.domain.action import POST_KINDS, ActionKind
from worker.domain.signal import Delete, Origin, Receipt, Review
from worker.policy.bundle import Bundle, Policy, Rule
from worker.stages.judge import Book, Judge, note_total
from worker.stages.protocols import Output
from worker.stages.statement import Case, Decided
from worker.state.rows import Finding, Issued, Restriction, Row

# What an overturn undoes; a review restricts nothing and a restore only ends things.
_UNDONE: frozenset[ActionKind] = frozenset({"label", "limit", "remove", "warn", "lock", "suspend"})
# From mildest to hardest, for a person's decision that leaves the rule open.
_SEVERITY: tuple[str | None, ...] = (None, "review", "label", "limit", "remove")
# A post of unknown time is taken to be older than every warning: nobody is banned on a guess.
_UNKNOWN_TIME = -(2**62)


class _Scene(NamedTuple):
    book: Book
    account: str
    origin: Origin  # of the record that is applied
    where: tuple[str, int, int]
    review: Review | None


class Reviews:
    """Change a book by what came after its decisions."""

    def __init__(self, bundle: Bundle, judge: Judge, counters: Counter[str]) -> None:
        self._bundle = bundle
        self._judge = judge
        self._counters = counters

    def receipt(self, book: Book, receipt: Receipt) -> None:
        """Let a delivered warning count from now; forget one that did not arrive."""
        row = book.ledger.find(receipt.account, receipt.origin.time)
        issued = row.by_id.get(receipt.action_id) if row is not None else None
        if row is None or issued is None:
            self._counters["receipts.unknown_action"] += 1
            return
        self._counters[f"receipts.{receipt.status}"] += 1
        row.note(issued.finding)
        if receipt.status == "failed":
            row.drop_warns({receipt.action_id})
            return
        for state in row.ladders.values():
            for warn in state.warns:
                if warn.action_id == receipt.action_id and warn.counts_from is None:
                    warn.counts_from = row.last_time

    def delete(self, book: Book, delete: Delete, where: tuple[str, int, int]) -> list[Output]:
        """End what waited for this post to be deleted; strikes stay."""
        row = book.ledger.find(delete.account, delete.origin.time)
        if row is None:
            return []
        scene = _Scene(book, delete.account, delete.origin, where, None)
        waited: dict[int, list[Restriction]] = {}
        for restriction in row.live_restrictions(row.last_time):
            if restriction.until_deleted and restriction.finding.post == delete.post:
                waited.setdefault(id(restriction.finding), []).append(restriction)
        return [
            output
            for restrictions in waited.values()
            for output in self._released(scene, row, restrictions)
        ]

    def review(self, book: Book, review: Review, where: tuple[str, int, int]) -> list[Output]:
        """Carry out a person's decision; one on an action that nobody knows is counted alone."""
        row = book.ledger.find(review.account, review.origin.time)
        issued = None
        if review.action_id is not None:
            issued = row.by_id.get(review.action_id) if row is not None else None
            if issued is None:
                self._counters["reviews.unknown_action"] += 1
                return []
        scene = _Scene(book, review.account, review.origin, where, review)
        if review.decision == "act":
            return self._act(scene, review, row, issued)
        findings = _findings(row, review, issued)
        if row is None or not findings:
            self._counters["reviews.unknown_post"] += 1
            return []
        self._counters[f"reviews.{review.decision}"] += 1
        if review.decision == "uphold":
            return []  # the record itself is the account of it
        return [out for finding in findings for out in self._overturn(scene, row, finding)]

    def _released(self, scene: _Scene, row: Row, restrictions: list[Restriction]) -> list[Output]:
        """End one finding's restrictions; silent where another one keeps the account as it is."""
        before = _ends(row)
        row.release(restrictions, self._judge.keep_ms)
        if _ends(row) == before:
            return []
        ended = {restriction.action_id for restriction in restrictions}
        case = self._case(scene, row, restrictions[0].finding)
        self._restore(case, max(r.step for r in restrictions), ended)
        return case.outputs

    def _overturn(self, scene: _Scene, row: Row, finding: Finding) -> list[Output]:
        """Undo all that one policy did about one post, and let it not act on that post again."""
        if finding.cleared:
            self._counters["reviews.repeated"] += 1
            return []
        finding.cleared = True
        row.note(finding)
        case = self._case(scene, row, finding)
        if finding.strike is not None:
            row.ladder(finding.strike.ladder).undo(finding.strike)
            finding.strike = None
            if case.policy is not None and case.policy.ladder is not None:
                case.strikes_after = row.ladder(case.policy.ladder.name).total(case.time)
        undone = {i.action_id for i in finding.issued if i.kind in _UNDONE and not i.undone}
        row.drop_warns(undone)
        ended = [r for r in row.restrictions if r.finding is finding]
        row.release(ended, self._judge.keep_ms)
        if undone:
            self._restore(case, 0, undone)
        return case.outputs

    def _act(
        self, scene: _Scene, review: Review, row: Row | None, issued: Issued | None
    ) -> list[Output]:
        """Execute a person's decision under the policy that it names."""
        policy = self._bundle.policies.get(review.policy or "")
        if policy is None:
            self._counters["reviews.unknown_policy"] += 1
            return []
        named = _named(row, review, issued, policy)
        if named is None:
            self._counters["reviews.unknown_post"] += 1
            return []
        self._counters["reviews.act"] += 1
        row, finding = self._judge.open(scene.book, review.account, review.origin.time, named)
        finding.cleared = False  # the later decision of a person stands
        if finding.strike is None:
            finding.weight = 0  # spared or put off before: the person decides it now
        case = self._case(scene, row, finding)
        case.posted_at = min(named.origin.time, finding.origin.time)
        case.detected = issued is not None
        if issued is not None and issued.kind == "review":
            case.answers = (issued.action_id,)
        self._execute(scene.book, case, policy, issued)
        return case.outputs

    def _execute(self, book: Book, case: Case, policy: Policy, issued: Issued | None) -> None:
        """Execute what the review stood for; else what a rule of the named policy would do."""
        own = issued is not None and issued.finding is case.finding
        proposal = issued.proposal if issued is not None and own else None
        if proposal is not None and proposal.kind is not None and proposal.cause != "act_after":
            step = policy.ladder.step_at(proposal.step) if policy.ladder else None
            if proposal.step and step is not None:
                self._judge.execute(book, case, step.do, step)
            elif not proposal.step:
                self._judge.act_on_post(book, case, proposal.kind)
            return
        rule = _rule_for(case.finding, policy)
        if rule is None:
            self._counters["reviews.nothing_to_execute"] += 1
            return
        if rule.id not in case.finding.rules:
            case.finding.rules.append(rule.id)
        case.rule = rule
        self._judge.carry_out(book, case, rule)

    def _case(self, scene: _Scene, row: Row, finding: Finding) -> Case:
        case = Case(
            account=scene.account,
            row=row,
            finding=finding,
            time=row.last_time,
            origin=scene.origin,
            posted_at=finding.origin.time,
            shadow=scene.book.shadow,
            where=scene.where,
            policy=self._bundle.policies.get(finding.policy),
            review=scene.review,
        )
        note_total(case)
        return case

    def _restore(self, case: Case, step: int, ended: Iterable[str]) -> None:
        """Say which actions end.

        A later restore on the same finding counts up from its step, so that it is not taken for
        a repeat of the first and refused.
        """
        while case.finding.has_issued(self._judge.id_of(case, "restore", step)):
            step += 1
        wanted = set(ended)
        ids = []
        for issued in case.finding.issued:
            if issued.action_id in wanted:
                issued.undone = True
                ids.append(issued.action_id)
        self._judge.issue(case, Decided("restore", step, supersedes=tuple(ids)))


def _ends(row: Row) -> dict[ActionKind, int]:
    """Give when the account is free again, by kind."""
    until: dict[ActionKind, int] = {}
    for restriction in row.live_restrictions(row.last_time):
        known = until.get(restriction.kind, restriction.expires_at)
        until[restriction.kind] = max(known, restriction.expires_at)
    return until


def _findings(row: Row | None, review: Review, issued: Issued | None) -> list[Finding]:
    """Give what a person's decision is about: the action's finding, or those on the post."""
    if issued is not None:
        return [issued.finding]
    post = review.post
    if row is None or post is None:
        return []
    return [
        finding
        for finding in row.findings.values()
        if finding.post == post.id
        and post.revision in (None, finding.revision)
        and review.policy in (None, finding.policy)
    ]


def _named(
    row: Row | None, review: Review, issued: Issued | None, policy: Policy
) -> Finding | None:
    """Make the finding that `act` stands for, under its policy; None where there is no post.

    A post named without revision is its newest one known; of a post that the ledger does not
    know the time is not known either.
    """
    if issued is not None:
        found = issued.finding
        if not found.parsed:
            return None  # an unreadable record has no post to act on
        return _under(policy, found.post, found.revision, found.origin)
    if review.post is None:
        return None
    known = {
        finding.revision: finding.origin
        for finding in (row.findings.values() if row is not None else ())
        if finding.post == review.post.id and finding.parsed
    }
    revision = review.post.revision
    if revision is None:
        revision = max(known, default=0)
    at = review.origin
    origin = known.get(revision, Origin(at.topic, at.partition, at.offset, _UNKNOWN_TIME))
    return _under(policy, review.post.id, revision, origin)


def _under(policy: Policy, post: str, revision: int, origin: Origin) -> Finding:
    return Finding(policy.name, post, revision, origin, origin.time)


def _rule_for(finding: Finding, policy: Policy) -> Rule | None:
    """Choose the rule to execute: the one that held, else the mildest that does something."""

    def does_something(rule: Rule) -> bool:
        strikes = rule.strikes if policy.ladder is not None else 0
        return rule.mode == "live" and (rule.post_action in POST_KINDS or strikes > finding.weight)

    able = [rule for rule in policy.rules if does_something(rule)]
    held = [rule for rule in able if rule.id in finding.rules]
    if held:
        return held[0]
    return min(
        able, key=lambda rule: (rule.strikes, _SEVERITY.index(rule.post_action)), default=None
    )
