"""Decide on one signal: post action, strike, step; the rules are stated in docs/ledger.md."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from worker.domain.action import BANS, ActionKind, PriorWarning, Proposal, ReviewCause
from worker.domain.signal import Notice, Signal
from worker.policy.bundle import Bundle, Ladder, Policy, Rule, Step
from worker.stages.statement import Case, Decided, Statements
from worker.state.breaker import Breaker
from worker.state.ledger import Ledger
from worker.state.rows import APPEAL_MS, NEVER, Finding, Restriction, Row, Warn


@dataclass(slots=True)
class Book:
    """Hold one of a partition's two ledgers, live or shadow, with its own breaker."""

    ledger: Ledger
    breaker: Breaker
    shadow: bool


class Judge:
    """Apply a bundle's policies to signals and notices; changes the book that it is given."""

    def __init__(
        self,
        bundle: Bundle,
        statements: Statements,
        act_after_ms: int | None,
        counters: Counter[str],
    ) -> None:
        self.keep_ms = keep_ms(bundle)
        self._bundle = bundle
        self._statements = statements
        self._act_after_ms = act_after_ms
        self._counters = counters

    def id_of(self, case: Case, kind: ActionKind, step: int) -> str:
        """Name a decision on a case."""
        return self._statements.id_of(case, kind, step)

    def open(self, book: Book, account: str, time: int, finding: Finding) -> tuple[Row, Finding]:
        """Open an account's row at a time, and in it a finding: the one it has, or this one."""
        row = book.ledger.open(account, time)
        row.forget_old(row.last_time, self.keep_ms)
        known = row.findings.get(finding.key)
        if known is None:
            known = finding
            row.touch(known, row.last_time, self.keep_ms)
        row.note(known)
        return row, known

    def signal(self, book: Book, signal: Signal, where: tuple[str, int, int]) -> Case | None:
        """Decide on a rule that held; None where nothing can follow from it."""
        policy = self._bundle.policies.get(signal.policy)
        rule = self._bundle.find_rule(signal.policy, signal.rule)
        if rule is not None and rule.mode == "off":
            self._counters["signals.rule_off"] += 1
            return None
        if rule is not None and not _has_consequence(rule, policy):
            self._counters["signals.no_consequence"] += 1
            return None
        post, origin = signal.post, signal.origin
        filed = Finding(signal.policy, post.id, post.revision, origin, origin.time)
        row, finding = self.open(book, signal.account.id, origin.time, filed)
        case = Case(
            account=signal.account.id,
            row=row,
            finding=finding,
            time=row.last_time,
            origin=origin,
            posted_at=min(origin.time, finding.origin.time),
            shadow=book.shadow,
            where=where,
            policy=policy,
            rule=rule,
            signal=signal,
        )
        note_total(case)
        if finding.cleared:
            self._counters["signals.cleared"] += 1
            return case
        if signal.rule not in finding.rules:
            finding.rules.append(signal.rule)
        if rule is None:
            self._review(case, "unknown_rule", None, 0)
        elif self._act_after_ms is not None and origin.time < self._act_after_ms:
            finding.weight = max(finding.weight, rule.strikes)
            self._review(case, "act_after", rule.post_action, 0)
        else:
            self.carry_out(book, case, rule)
        return case

    def notice(self, book: Book, notice: Notice, where: tuple[str, int, int]) -> Case:
        """Ask a person to look at a record that could not be read, or only in part."""
        origin, policy = notice.origin, f"notice/{notice.reason}"
        if notice.post is not None:
            finding = Finding(policy, notice.post.id, notice.post.revision, origin, origin.time)
        else:
            place = f"{origin.topic}/{origin.partition}/{origin.offset}"
            finding = Finding(policy, place, 0, origin, origin.time, parsed=False)
        row, time = None, origin.time
        if notice.account is not None:
            row, finding = self.open(book, notice.account, origin.time, finding)
            time = row.last_time
        case = Case(
            account=notice.account,
            row=row,
            finding=finding,
            time=time,
            origin=origin,
            posted_at=origin.time,
            shadow=book.shadow,
            where=where,
        )
        self._review(case, "notice", None, 0)
        return case

    def carry_out(self, book: Book, case: Case, rule: Rule) -> None:
        """Execute a rule's post action, count its strike, execute the step of the new total."""
        if rule.post_action == "review":
            self._review(case, "rule", None, 0)
        elif rule.post_action is not None:
            self.act_on_post(book, case, rule.post_action)
        policy = case.policy
        if policy is None or policy.ladder is None:
            return
        if self._strike(case, policy, policy.ladder, rule.strikes):
            step = policy.ladder.step_at(case.strikes_after)
            if step is not None:
                self.execute(book, case, step.do, step)

    def act_on_post(self, book: Book, case: Case, kind: ActionKind) -> None:
        """Execute a post action, once per policy, post and revision."""
        if case.finding.has_issued(self.id_of(case, kind, 0)):
            self._counters["decisions.repeated"] += 1
        elif case.review is None and not book.breaker.take(kind, case.origin.time):
            self._divert(case, "breaker", kind, 0)
        else:
            self.issue(case, Decided(kind, supersedes=case.answers))

    def execute(self, book: Book, case: Case, kind: ActionKind, step: Step) -> None:
        """Execute a step, or what stands in for it: a warning, a review, or nothing."""
        row, policy, time = case.row, case.policy, case.time
        if row is None or policy is None or policy.ladder is None:
            return
        if row.restricted_until("suspend", time) is not None:
            self._counters["decisions.while_suspended"] += 1
            return
        warning = None
        if kind in BANS:
            warn = row.ladder(policy.ladder.name).warn_before(
                case.posted_at, policy.ladder.warn_grace_ms, time
            )
            if warn is not None and warn.counts_from is not None:
                warning = PriorWarning(warn.action_id, warn.counts_from)
            elif not policy.severe:
                kind = "warn"
        if kind == "review":
            self._review(case, "step", None, step.at)
        elif case.review is None and case.account in self._bundle.exempt_accounts:
            self._divert(case, "exempt", kind, step.at)
        elif case.finding.has_issued(self.id_of(case, kind, step.at)):
            self._counters["decisions.repeated"] += 1
        elif case.review is None and not book.breaker.take(kind, case.origin.time):
            self._divert(case, "breaker", kind, step.at)
        elif kind == "warn":
            self._warn(case, policy.ladder, step)
        else:
            self._restrict(case, kind, step, warning)

    def _strike(self, case: Case, policy: Policy, ladder: Ladder, weight: int) -> bool:
        """Add a post's strike, or the difference to it; False where nothing was added."""
        row, finding, time = case.row, case.finding, case.time
        added = weight - finding.weight
        if row is None or added <= 0:
            return False
        finding.weight = weight
        state = row.ladder(ladder.name)
        if not policy.severe and state.in_grace(case.posted_at, ladder.warn_grace_ms, time):
            self._counters["strikes.spared_by_grace"] += 1
            return False
        if finding.strike is None:
            last = row.last_strike.get(policy.name)
            if case.review is None and last is not None and time - last < policy.cooldown_ms:
                self._counters["strikes.spared_by_cooldown"] += 1
                return False
            finding.strike = state.add(added, time + ladder.strike_ttl_ms)
            row.last_strike[policy.name] = time
        elif finding.strike.expires_at <= time:
            self._counters["strikes.already_ended"] += 1
            return False
        else:
            row.ladder(finding.strike.ladder).raise_by(finding.strike, added)
        row.touch(finding, time, self.keep_ms)
        self._counters[f"strikes.{'shadow' if case.shadow else 'live'}"] += 1
        case.strikes_after = state.total(time)
        return True

    def _warn(self, case: Case, ladder: Ladder, step: Step) -> None:
        if case.row is None:
            return
        expires_at = case.time + ladder.strike_ttl_ms
        # Nobody sends receipts for shadow warnings: they count from where they would be issued.
        delivered = ladder.warning == "issued" or case.shadow
        identity = self.id_of(case, "warn", step.at)
        case.row.ladder(ladder.name).warns.append(
            Warn(identity, expires_at, case.time if delivered else None)
        )
        decided = Decided("warn", step.at, step, expires_at=expires_at, supersedes=case.answers)
        self.issue(case, decided)

    def _restrict(
        self, case: Case, kind: ActionKind, step: Step, warning: PriorWarning | None
    ) -> None:
        """Lock or suspend; never ends before a restriction of its kind that is in force."""
        row, time = case.row, case.time
        if row is None:
            return
        own_end = NEVER if step.for_ms is None else time + step.for_ms
        current = row.restricted_until(kind, time)
        outlasts = current is None or own_end > current
        replaced = (
            [r.action_id for r in row.live_restrictions(time) if r.kind == kind] if outlasts else []
        )
        end = own_end if current is None else max(own_end, current)
        until_deleted = step.until == "post_deleted"
        identity = self.id_of(case, kind, step.at)
        row.restrict(Restriction(identity, kind, step.at, case.finding, own_end, until_deleted))
        decided = Decided(
            kind,
            step.at,
            step,
            expires_at=None if end == NEVER else end,
            until_deleted=until_deleted and outlasts,
            warning=warning,
            supersedes=(*case.answers, *replaced),
        )
        self.issue(case, decided)

    def _divert(self, case: Case, cause: ReviewCause, kind: ActionKind, step: int) -> None:
        self._counters[f"diverted.{cause}.{kind}"] += 1
        self._review(case, cause, kind, step)

    def _review(self, case: Case, cause: ReviewCause, kind: ActionKind | None, step: int) -> None:
        """Ask a person, once per policy, post, revision and step."""
        if case.finding.has_issued(self.id_of(case, "review", step)):
            self._counters["decisions.repeated"] += 1
            return
        ladder_step = None
        if step and case.policy is not None and case.policy.ladder is not None:
            ladder_step = case.policy.ladder.step_at(step)
        self.issue(case, Decided("review", step, ladder_step, proposal=Proposal(cause, kind, step)))

    def issue(self, case: Case, decided: Decided) -> None:
        """Write a decision and keep it known."""
        if case.row is not None:
            case.row.touch(case.finding, case.time, self.keep_ms)
        if case.shadow:
            self._counters[f"shadow.{decided.kind}"] += 1
        else:
            automated = "yes" if case.review is None else "no"
            self._counters[f"actions.{decided.kind}.{automated}"] += 1
        self._statements.write(case, decided)


def keep_ms(bundle: Bundle) -> int:
    """Say how long a decision stays known: six months, or as long as it can still matter."""
    ladders = [p.ladder.strike_ttl_ms for p in bundle.policies.values() if p.ladder is not None]
    cooldowns = [policy.cooldown_ms for policy in bundle.policies.values()]
    return max([APPEAL_MS, *ladders, *cooldowns])


def _has_consequence(rule: Rule, policy: Policy | None) -> bool:
    ladder = policy.ladder if policy is not None else None
    return rule.post_action is not None or (rule.strikes > 0 and ladder is not None)


def note_total(case: Case) -> None:
    """Read the strikes of the case's ladder as they stand before it is decided."""
    if case.row is not None and case.policy is not None and case.policy.ladder is not None:
        total = case.row.ladder(case.policy.ladder.name).total(case.time)
        case.strikes_before = case.strikes_after = total
