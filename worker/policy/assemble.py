"""Turn a validated document into a bundle's values: resolve names, compile, check meaning."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.policy.conditions import PostVocabulary, campaign_vocabulary
from worker.policy.diagnostics import known_names
from worker.policy.findings import Findings
from worker.policy.list_assembly import RADII, ListAssembly
from worker.policy.models import BundleModel, PolicyModel
from worker.policy.rule_check import RuleCheck
from worker.policy.values import Ladder, Policy, Rule, Step, Window


@dataclass
class Assembly:
    """Collect the values of one bundle, and everything that is wrong or doubtful about it."""

    findings: Findings
    lists: ListAssembly
    model: BundleModel
    windows: dict[str, Window] = field(default_factory=dict)
    ladders: dict[str, Ladder] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)

    def run(self) -> None:
        """Fill in the values; what is missing afterwards is explained in the findings."""
        self.lists.run()
        for name in self.model.windows:
            self._window(name)
        for name in self.model.ladders:
            self._ladder(name)
        accounts = [name for name, each in self.windows.items() if each.per == "account"]
        near = [name for name, each in self.model.lists.items() if each.kind in RADII]
        self.post_vocabulary = PostVocabulary(self.model.lists, accounts, near)
        fingerprints = [name for name in self.windows if name not in accounts]
        self.campaign_vocabulary = campaign_vocabulary(fingerprints)
        for name, policy in self.model.policies.items():
            self._policy(name, policy)
        self._unread()

    def _window(self, name: str) -> None:
        model, path = self.model.windows[name], ("windows", name, "count")
        distinct = model.count == "distinct_accounts"
        if model.per == "account" and distinct:
            hint = "count posts, links, distinct_targets or repeated_texts"
            self.findings.error(path, "one account is always one distinct account", hint)
        if model.per != "account" and not distinct:
            hint = "write `count: distinct_accounts`, or `per: account`"
            self.findings.error(
                path, f"a window per {model.per} counts distinct accounts alone", hint
            )
        self.windows[name] = Window(name, model.per, model.count, model.over)

    def _ladder(self, name: str) -> None:
        model = self.model.ladders[name]
        steps: list[Step] = []
        for index, step in enumerate(model.steps):
            path = ("ladders", name, "steps", index)
            if steps and step.at <= steps[-1].at:
                hint = f"the step before it stands at {steps[-1].at}"
                self.findings.error((*path, "at"), "steps must rise by `at`", hint)
            if step.for_ is not None and step.do not in ("lock", "suspend"):
                hint = "`for` belongs to lock and suspend; remove it"
                self.findings.error((*path, "for"), f"`{step.do}` lasts no time", hint, key=True)
            if step.until is not None and step.do != "lock":
                hint = "`until` belongs to lock; remove it"
                message = f"`{step.do}` waits for nothing"
                self.findings.error((*path, "until"), message, hint, key=True)
            if step.do == "lock" and step.for_ is None and step.until is None:
                hint = "add `for: 12h`, `until: post_deleted`, or both; suspend may have no end"
                self.findings.error(path, "a lock must end", hint)
            steps.append(Step(step.at, step.do, step.for_, step.until))
        restricts = any(step.do in ("lock", "suspend") for step in steps)
        if restricts and not any(step.do == "warn" for step in steps):
            hint = "add `{at: 1, do: warn}`"
            message = "no step warns, so the first restriction of an account becomes a warning"
            self.findings.warn(("ladders", name), message, hint)
        self.ladders[name] = Ladder(
            name, model.strike_ttl, model.warn_grace, model.warning, tuple(steps)
        )

    def _policy(self, name: str, model: PolicyModel) -> None:
        path = ("policies", name)
        ladder = self.ladders.get(model.ladder) if model.ladder is not None else None
        if model.ladder is not None and ladder is None:
            hint = known_names(model.ladder, self.ladders, "ladders")
            self.findings.error((*path, "ladder"), f"there is no ladder `{model.ladder}`", hint)
        if model.ground == "illegal" and model.legal_ground is None:
            hint = "name the law: `legal_ground: ...`"
            self.findings.error((*path, "ground"), "`illegal` needs the legal ground", hint)
        if model.ground == "terms" and model.legal_ground is not None:
            hint = "write `ground: illegal`, or remove it"
            self.findings.error(
                (*path, "legal_ground"), "the ground is the terms of service", hint, key=True
            )
        rules: list[Rule] = []
        for index, rule in enumerate(model.rules):
            at = (*path, "rules", index)
            if any(each.id == rule.id for each in model.rules[:index]):
                message = f"there is a rule `{rule.id}` in this policy already"
                self.findings.error((*at, "id"), message, "rename one of the two")
            built = RuleCheck(self, name, model, rule, at).build()
            if built is not None:
                rules.append(built)
        if ladder is not None and not any(rule.strikes for rule in model.rules):
            message = "the ladder has no effect: no rule of this policy gives strikes"
            self.findings.warn(
                (*path, "ladder"), message, "add `strikes: 1` to a rule, or remove it"
            )
        longest = max((self.windows[w].over_ms for r in rules for w in r.windows), default=0)
        self.policies[name] = Policy(
            name=name,
            ladder=ladder,
            severe=model.severe,
            clause=model.clause,
            cooldown_ms=longest if model.cooldown is None else model.cooldown,
            rules=tuple(rules),
            ground=model.ground,
            legal_ground=model.legal_ground,
            category=model.category,
            explanation=model.explanation or f"Posts like this are not allowed: {model.clause}",
            redress=tuple(model.redress),
        )

    def _unread(self) -> None:
        rules = [rule for policy in self.policies.values() for rule in policy.rules]
        if self.findings.errors:
            return  # what a refused condition reads is not known
        read = {name for rule in rules for name in rule.when.variables}
        for name in self.model.lists:
            if not {f"matches.{name}.{part}" for part in ("any", "count", "distance")} & read:
                self.findings.warn(("lists", name), f"no rule reads the list `{name}`")
        for name in self.model.windows:
            if f"windows.{name}" not in read:
                self.findings.warn(("windows", name), f"no rule reads the window `{name}`")
        used = {policy.ladder for policy in self.model.policies.values()}
        for name in self.ladders:
            if name not in used:
                self.findings.warn(("ladders", name), f"no policy uses the ladder `{name}`")
