"""Load a policy bundle: a directory with `bundle.yaml`, compiled, immutable, named by digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from fastpath.checks import check_spec
from fastpath.errors import BuildError
from fastpath.spec import (
    FINGERPRINT_TYPES,
    FingerprintType,
    HashList,
    KeywordList,
    ScreenSpec,
    WindowSpec,
)
from worker.policy.assemble import Assembly
from worker.policy.conditions import Condition, PostVocabulary, Verdict, Vocabulary
from worker.policy.diagnostics import BundleRefused, Diagnostic
from worker.policy.expressions import Expressions
from worker.policy.files import ROOT_FILE, BundleFiles, FileRefused, digest
from worker.policy.findings import Findings
from worker.policy.list_assembly import ListAssembly
from worker.policy.render import render_gate
from worker.policy.schema import validate
from worker.policy.source import MAX_YAML_BYTES, Document
from worker.policy.values import Ladder, Policy, Rule, Step, Window

__all__ = [
    "Bundle",
    "BundleRefused",
    "CheckReport",
    "CheckedRule",
    "Condition",
    "Diagnostic",
    "Ladder",
    "Policy",
    "Rule",
    "Step",
    "Verdict",
    "Window",
    "build_diagnostic",
    "check_bundle",
    "load_bundle",
]


@dataclass(frozen=True)
class Bundle:
    """Hold everything that decides; equal bundles have equal digests.

    Stages share one bundle; nothing in it changes after loading.
    """

    name: str
    revision: int
    digest: str  # 64 hex digits
    enforcement: Literal["observe", "live"]
    exempt_accounts: frozenset[str]
    exempt_phrases: tuple[str, ...]
    keyword_lists: tuple[KeywordList, ...]
    hash_lists: tuple[HashList, ...]
    windows: Mapping[str, Window]
    policies: Mapping[str, Policy]
    limits: Mapping[str, int]  # action kind -> actions per origin hour
    post_rules: tuple[Rule, ...]  # in force (live or shadow); index = gate bit
    campaign_rules: tuple[Rule, ...]
    post_vocabulary: PostVocabulary = field(repr=False, compare=False)
    campaign_vocabulary: Vocabulary = field(repr=False, compare=False)
    expressions: Expressions = field(repr=False, compare=False)

    @property
    def account_windows(self) -> tuple[Window, ...]:
        """List the windows per account in the order of `Row.windows`."""
        return tuple(each for each in self.windows.values() if each.per == "account")

    @property
    def fingerprints(self) -> tuple[FingerprintType, ...]:
        """List the types of fingerprint that rules in force compare accounts under."""
        used = {rule.of for rule in self.campaign_rules}
        return tuple(each for each in FINGERPRINT_TYPES if each in used)

    def find_rule(self, policy: str, rule: str) -> Rule | None:
        """Find a rule by policy and id, in whatever mode; None if this bundle lacks it."""
        return self._rules.get((policy, rule))

    @cached_property
    def _rules(self) -> Mapping[tuple[str, str], Rule]:
        return {(p.name, rule.id): rule for p in self.policies.values() for rule in p.rules}

    def run_ms(self, rule: Rule) -> int:
        """Give the length of the runs that a campaign rule judges: that of its windows."""
        return self.windows[rule.windows[0]].over_ms

    def screen_spec(
        self,
        *,
        deployment_key: bytes,
        topic: str = "posts",
        time_source: Literal["record", "created_at"] = "record",
        check_key: bool = True,
        field_map: Mapping[str, tuple[str, ...]] | None = None,
        preset: str = "generic",
        sighting_partitions: int = 1,
        max_window_keys: int = 4_000_000,
    ) -> ScreenSpec:
        """Say what a Screen is built from; gate i belongs to `post_rules[i]`."""
        windows = tuple(
            WindowSpec(each.name, each.count, each.over_ms)
            for each in self.account_windows
            if each.count != "distinct_accounts"
        )
        return ScreenSpec(
            keyword_lists=self.keyword_lists,
            hash_lists=self.hash_lists,
            windows=windows,
            gates=tuple(rule.when.gate for rule in self.post_rules),
            fingerprints=self.fingerprints,
            exempt_phrases=self.exempt_phrases,
            deployment_key=deployment_key,
            bundle_digest=bytes.fromhex(self.digest),
            topic=topic,
            time_source=time_source,
            check_key=check_key,
            field_map=field_map,
            preset=preset,
            sighting_partitions=sighting_partitions,
            max_window_keys=max_window_keys,
        )


@dataclass(frozen=True)
class CheckedRule:
    """Show one rule of a checked bundle; `gate` is "" for campaign rules."""

    rule: Rule
    gate: str


@dataclass(frozen=True)
class CheckReport:
    """Report everything about a bundle; `bundle` is None exactly if there are diagnostics."""

    bundle: Bundle | None
    diagnostics: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]
    rules: tuple[CheckedRule, ...]


def build_diagnostic(path: Path, error: BuildError) -> Diagnostic:
    """Say for people that the compiled core cannot hold a bundle; `path` is the bundle's."""
    detail = f" ({error.detail})" if error.detail else ""
    message = f"the core cannot build this bundle: {error.kind} is {error.actual}{detail}"
    return Diagnostic(str(path / ROOT_FILE), 0, 0, message, f"the limit is {error.limit}")


def load_bundle(path: Path) -> Bundle:
    """Load the bundle in a directory; called at start and on reload, blocks on reading files.

    Raises:
        BundleRefused: With every error found, each a Diagnostic with its place.
    """
    report = check_bundle(path)
    if report.bundle is None:
        raise BundleRefused(report.diagnostics)
    return report.bundle


def check_bundle(path: Path) -> CheckReport:
    """Check the bundle in a directory and report errors and warnings; raises nothing of its own."""
    files = BundleFiles(path)
    try:
        document = _read_document(files)
        model = validate(document)
    except BundleRefused as refused:
        return CheckReport(None, refused.diagnostics, (), ())
    findings = Findings(document)
    assembly = Assembly(findings, ListAssembly(findings, files, model), model)
    assembly.run()
    warnings = tuple(sorted(set(findings.warnings)))
    if findings.errors:
        return CheckReport(None, tuple(sorted(set(findings.errors))), warnings, ())
    bundle = _bundle(assembly)
    try:
        check_spec(bundle.screen_spec(deployment_key=bytes(32)))
    except BuildError as error:
        return CheckReport(None, (build_diagnostic(path, error),), warnings, ())
    rules = (rule for policy in bundle.policies.values() for rule in policy.rules)
    checked = tuple(
        CheckedRule(rule, render_gate(rule.when.gate) if rule.on == "post" else "")
        for rule in rules
    )
    return CheckReport(bundle, (), warnings, checked)


def _read_document(files: BundleFiles) -> Document:
    shown = files.shown(ROOT_FILE)
    try:
        content = files.read(ROOT_FILE, MAX_YAML_BYTES)
    except FileRefused as refused:
        hint = refused.hint
        if not files.root.is_dir():
            hint = "a bundle is a directory with `bundle.yaml` at its root"
        raise BundleRefused([Diagnostic(shown, 0, 0, refused.message, hint)]) from None
    try:
        return Document(shown, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8"
        hint = "save the file as UTF-8"
        raise BundleRefused([Diagnostic(shown, 0, 0, message, hint)]) from None


def _bundle(assembly: Assembly) -> Bundle:
    """Number the rules in force, in the order of the file, and freeze everything."""
    policies: dict[str, Policy] = {}
    post_rules: list[Rule] = []
    campaign_rules: list[Rule] = []
    for policy in assembly.policies.values():
        numbered: list[Rule] = []
        for rule in policy.rules:
            if rule.mode != "off":
                into = post_rules if rule.on == "post" else campaign_rules
                rule = replace(rule, index=len(into))  # noqa: PLW2901
                into.append(rule)
            numbered.append(rule)
        policies[policy.name] = replace(policy, rules=tuple(numbered))
    model = assembly.model
    limits = model.limits.model_dump(exclude_none=True)
    return Bundle(
        name=model.name,
        revision=model.revision,
        digest=digest(assembly.lists.files.contents),
        enforcement=model.enforcement,
        exempt_accounts=assembly.lists.exempt_accounts,
        exempt_phrases=assembly.lists.exempt_phrases,
        keyword_lists=tuple(assembly.lists.keyword_lists),
        hash_lists=tuple(assembly.lists.hash_lists),
        windows=assembly.windows,
        policies=policies,
        limits={key.removesuffix("_per_hour"): value for key, value in limits.items()},
        post_rules=tuple(post_rules),
        campaign_rules=tuple(campaign_rules),
        post_vocabulary=assembly.post_vocabulary,
        campaign_vocabulary=assembly.campaign_vocabulary,
        expressions=Expressions(assembly.lists.expression_lists),
    )
