"""Check one rule of a validated document: shape, condition, gate, what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.policy.conditions import MEMBERS, Condition, ConditionErrors, Vocabulary
from worker.policy.diagnostics import known_names
from worker.policy.expressions import Expressions
from worker.policy.gates import is_false, is_true
from worker.policy.models import PolicyModel, RuleModel
from worker.policy.monotone import violations
from worker.policy.tree import Ident, walk
from worker.policy.values import Rule

if TYPE_CHECKING:
    from worker.policy.assemble import Assembly

UNGATED_HINT = (
    "begin with something a filter can test, as in `matches.<list>.any && ...` or "
    "`windows.<window> > 10 && ...`; or accept about 10 microseconds for every post with "
    "`ungated: true`"
)


@dataclass
class RuleCheck:
    """Check one rule and build it."""

    assembly: Assembly
    policy: str
    policy_model: PolicyModel
    model: RuleModel
    path: tuple[str | int, ...]

    def build(self) -> Rule | None:
        """Compile and check its condition; None where it is refused, and the findings say why."""
        model = self.model
        self._consequences()
        if model.on == "post":
            self._post_shape()
            when = self._compile("when", model.when, self.assembly.post_vocabulary)
            members = None
        else:
            self._campaign_shape()
            when = self._compile("when", model.when, self.assembly.campaign_vocabulary)
            members = None
            if model.members is not None:
                members = self._compile("members", model.members, MEMBERS)
                if members is None:
                    return None
        if when is None:
            return None
        when = replace(
            when, gate=Expressions(self.assembly.lists.expression_lists).relax(when.gate)
        )
        if model.on == "post":
            self._gate(when)
        else:
            self._campaign(when)
        observed = self.assembly.model.enforcement == "observe" and model.mode == "live"
        return Rule(
            policy=self.policy,
            id=model.id,
            on=model.on,
            of=model.of,
            when=when,
            members=members,
            post_action=model.post_action,
            strikes=model.strikes,
            mode="shadow" if observed else model.mode,
            index=-1,
            windows=_windows(when),
        )

    def _error(self, key: str, message: str, hint: str = "", at_key: bool = False) -> None:
        self.assembly.findings.error((*self.path, key), message, hint, key=at_key)

    def _consequences(self) -> None:
        if self.model.strikes and self.policy_model.ladder is None:
            ladders = known_names("", self.assembly.ladders, "ladders")
            self._error("strikes", "strikes need a ladder", f"add `ladder:`; {ladders}")
        if not self.model.strikes and self.model.post_action is None:
            hint = "add `post_action: label` or `strikes: 1`, or leave it to measure"
            message = f"the rule `{self.model.id}` signals and has no consequence"
            self.assembly.findings.warn((*self.path, "id"), message, hint)

    def _post_shape(self) -> None:
        for key, value in (("of", self.model.of), ("members", self.model.members)):
            if value is not None:
                hint = "write `on: campaign`, or remove it"
                self._error(key, f"`{key}` belongs to campaign rules", hint, at_key=True)

    def _campaign_shape(self) -> None:
        if self.model.of is None:
            hint = "add `of: text`, `url`, `media`, `repost` or `device`"
            self._error("on", "a campaign rule names the type of its fingerprint", hint)
        if self.model.ungated:
            self._error("ungated", "campaign rules have no gate", "remove it", at_key=True)

    def _compile(self, key: str, source: str, vocabulary: Vocabulary) -> Condition | None:
        try:
            return vocabulary.compile(source)
        except ConditionErrors as refused:
            document = self.assembly.findings.document
            for error in refused.errors:
                hint = self._other_window(error.message, vocabulary) or error.hint
                place = document.at_value((*self.path, key), error.message, hint, error.at)
                self.assembly.findings.errors.append(place)
        return None

    def _other_window(self, message: str, vocabulary: Vocabulary) -> str:
        """Explain a window that exists and belongs to the other kind of rule."""
        for name, window in self.assembly.windows.items():
            if message != f"unknown name `windows.{name}`":
                continue
            if vocabulary is MEMBERS:
                return "members are judged by account.id and account.age_days; put it in `when`"
            if window.per == "account":
                return f"`{name}` counts per account; a campaign rule reads windows per fingerprint"
            return (
                f"`{name}` counts accounts per {window.per}; only a rule with `on: campaign` and "
                f"`of: {window.per}` can read it"
            )
        return ""

    def _gate(self, when: Condition) -> None:
        if is_true(when.gate) and not self.model.ungated:
            self._error("when", "every post would be judged in Python", UNGATED_HINT)
        if is_false(when.gate):
            message = f"the rule `{self.model.id}` can never hold"
            self.assembly.findings.warn((*self.path, "when"), message, "no count is below 0")
        if self.model.ungated and not is_true(when.gate):
            message = "`ungated` is not needed: this condition filters"
            self.assembly.findings.warn((*self.path, "ungated"), message, "remove it")

    def _campaign(self, when: Condition) -> None:
        document, path = self.assembly.findings.document, (*self.path, "when")
        for found in violations(when.tree):
            message = "more sightings could make this false, so a campaign would depend on order"
            self.assembly.findings.errors.append(
                document.at_value(path, message, found.hint, found.at)
            )
        names = _windows(when)
        if not names:
            hint = "add a window, as in `windows.<window> >= 20`"
            self._error("when", "the condition reads no window of a fingerprint", hint)
        read = [node for node in walk(when.tree) if isinstance(node, Ident)]
        lengths: dict[int, str] = {}
        for node in sorted(read, key=lambda each: each.at):
            window = self.assembly.windows.get(node.name.removeprefix("windows."))
            if window is None or not node.name.startswith("windows."):
                continue
            start = max(0, node.at - len("windows"))
            if self.model.of is not None and window.per != self.model.of:
                message = f"`{window.name}` counts per {window.per}, the rule is of {self.model.of}"
                hint = f"write `of: {window.per}`, or read a window per {self.model.of}"
                self.assembly.findings.errors.append(document.at_value(path, message, hint, start))
            other = next((name for ms, name in lengths.items() if ms != window.over_ms), None)
            if other is not None:
                message = f"`{window.name}` and `{other}` have different lengths"
                hint = "a campaign rule reads windows of one length; make two rules"
                self.assembly.findings.errors.append(document.at_value(path, message, hint, start))
            lengths.setdefault(window.over_ms, window.name)


def _windows(when: Condition) -> tuple[str, ...]:
    names = (name for name in when.variables if name.startswith("windows."))
    return tuple(sorted(name.removeprefix("windows.") for name in names))
