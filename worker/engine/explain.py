"""Show how one post is judged: lanes, matches, terms of every rule, and what would follow.

Decisions come out of the production stages, run over this one post; nothing is judged twice by
other means. Only the terms of a condition are evaluated one by one, for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from fastpath.columns import Columns
from fastpath.records import BatchView, unpack_sightings
from fastpath.rows import Row
from fastpath.spec import FLAGS, Status
from fastpath.text import (
    normalised_text,
    view_folded,
    view_raw,
    view_skeleton,
    view_squeezed,
)
from worker.engine.scan import Pipeline
from worker.policy.bundle import Bundle
from worker.policy.conditions import (
    MEMBERS,
    Condition,
    Vocabulary,
    campaign_activation,
    member_activation,
    post_activation,
)
from worker.policy.terms import Term, explain_terms
from worker.policy.values import Rule
from worker.stages.protocols import Stage
from worker.transport.protocols import Headers

# What stands for URLs and mentions in normalised text, shown so that people can read it.
_PLACEHOLDERS = {0x01: "<url>", 0x02: "<mention>"}


class Screen(Protocol):
    """Name what this module uses of a screen; both backends have it."""

    def new_state(self, partition: int, placement_seed: bytes = ...) -> Any:
        """Make the windows of one partition."""

    def step(self, view: BatchView, state: Any) -> Columns:
        """Judge every record; never raises on data."""


@dataclass(frozen=True, slots=True)
class Found:
    """Show one entry of a list that was found; `span` is in code points of the text."""

    list: str
    entry: str
    lane: str | None  # None for hashes
    span: tuple[int, int] | None
    source: str | None  # what stands there in the original text
    count: int
    distance: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """Show a condition: `when` or `members`, its verdict and its terms."""

    name: str
    source: str
    verdict: str
    error: str
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class RuleView:
    """Show how one rule came out; `gate` is None for campaign rules, which have none."""

    rule: str
    on: str
    mode: str
    gate: bool | None
    parts: tuple[Part, ...]
    note: str = ""


@dataclass(slots=True)
class Explanation:
    """Hold everything there is to say about one post."""

    status: str  # post, delete or reject
    reason: str | None = None
    error: str = ""
    post: dict[str, object] = field(default_factory=dict)  # in canonical form
    time: int = 0  # origin time, ms
    lanes: dict[str, str] = field(default_factory=dict)
    found: tuple[Found, ...] = ()
    windows: dict[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    sightings: tuple[tuple[str, str], ...] = ()  # type, fingerprint as hex
    rules: tuple[RuleView, ...] = ()
    records: dict[str, list[Any]] = field(default_factory=dict)  # by result name

    @property
    def text(self) -> str:
        """Return the original text; empty where the post has none."""
        return str(self.post.get("text", ""))


class _Records:
    """Keep what the stages write, parsed."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[Any]] = {}

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        del key, partition, headers
        self.by_name.setdefault(topic, []).append(orjson.loads(value or b"null"))

    def flush(self, timeout_s: float) -> int:
        del timeout_s
        return 0

    def publish(self, summary: bytes) -> None:
        del summary

    def path(self, name: str) -> Path:
        return Path(f"{name}.ndjson")

    def close(self, timeout_s: float) -> None:
        del timeout_s


@dataclass(frozen=True, slots=True)
class Explainer:
    """Hold a bundle, a screen that flags every post, and the production stages.

    `screen` is built from the bundle's specification with one more gate, which is always true,
    behind those of its rules.
    """

    bundle: Bundle
    screen: Screen
    stages: Mapping[str, Stage]

    def explain(self, value: bytes, name: str) -> Explanation:
        """Judge one post, of an account without history; pure computation."""
        view = BatchView.from_records(name, 0, [None], [value], [0], [1])
        columns = self.screen.step(view, self.screen.new_state(0))
        row = columns.rows[0]
        status, post = row.status.name.lower(), dict(row.post)
        explanation = Explanation(status=status, time=row.time, post=post)
        if row.status is Status.REJECT:
            explanation.reason, explanation.error = row.reason, row.error
        elif row.status is Status.POST:
            self._show_post(explanation, row, columns)
        records = _Records()
        Pipeline(name, results=records, **self.stages).step(view)
        explanation.records = records.by_name
        return explanation

    def _show_post(self, shown: Explanation, row: Row, columns: Columns) -> None:
        self.bundle.expressions.refine(row)
        lists = self.bundle.keyword_lists
        shown.lanes = _lanes(shown.text, frozenset(lane for held in lists for lane in held.lanes))
        shown.found = tuple(_found(row, shown.text))
        shown.windows = {
            window.name: value
            for window, value in zip(self.bundle.account_windows, row.windows, strict=True)
        }
        shown.flags = tuple(flag for bit, flag in enumerate(FLAGS) if row.flags >> bit & 1)
        sightings = [
            each for batch in columns.sightings for each in unpack_sightings(batch.value).sightings
        ]
        shown.sightings = tuple((each.type, each.fingerprint.hex()) for each in sightings)
        rules = (rule for policy in self.bundle.policies.values() for rule in policy.rules)
        types = {each.type for each in sightings}
        shown.rules = tuple(
            self._post_rule(rule, row)
            if rule.on == "post"
            else self._campaign_rule(rule, row, types)
            for rule in rules
        )

    def _post_rule(self, rule: Rule, row: Row) -> RuleView:
        if rule.mode == "off":
            return RuleView(rule.name, rule.on, rule.mode, None, (), "switched off")
        activation = post_activation(self.bundle, row)
        part = _part("when", rule.when, self.bundle.post_vocabulary, activation)
        gate = bool(row.gates >> rule.index & 1)
        return RuleView(rule.name, rule.on, rule.mode, gate, (part,))

    def _campaign_rule(self, rule: Rule, row: Row, types: set[str]) -> RuleView:
        if rule.mode == "off":
            return RuleView(rule.name, rule.on, rule.mode, None, (), "switched off")
        if rule.of is None or rule.of not in types:
            note = f"the post has no {rule.of} to compare accounts under"
            return RuleView(rule.name, rule.on, rule.mode, None, (), note)
        run = campaign_activation(self.bundle, rule.of, self.bundle.run_ms(rule), 1, 1)
        parts = [_part("when", rule.when, self.bundle.campaign_vocabulary, run)]
        if rule.members is not None:
            member = member_activation(row.account_created_at, row.time, row.account)
            parts.append(_part("members", rule.members, MEMBERS, member))
        note = "counted over this one account and sighting"
        return RuleView(rule.name, rule.on, rule.mode, None, tuple(parts), note)


def _part(
    name: str, condition: Condition, vocabulary: Vocabulary, activation: Mapping[str, object]
) -> Part:
    verdict = condition.evaluate(activation)
    return Part(
        name,
        condition.source,
        verdict.value,
        condition.error(activation),
        tuple(explain_terms(condition, vocabulary, activation)),
    )


def _lanes(text: str, read: frozenset[str]) -> dict[str, str]:
    """Show the lanes that ran; skeleton and squeezed do so for lists that read them."""
    if not text:
        return {}
    normalised = normalised_text(text)
    shown = normalised.data.decode().translate(_PLACEHOLDERS)
    disguise = {
        "skeleton": view_skeleton(text).data.decode(),
        "squeezed": view_squeezed(text).data.decode(),
    }
    return {
        "raw": view_raw(text).data.decode(),
        "folded": view_folded(text).data.decode(),
        **{lane: held for lane, held in disguise.items() if lane in read and held},
        "compared": shown if normalised.content else "",
    }


def _found(row: Row, text: str) -> list[Found]:
    matches = [
        Found(
            each.list,
            each.pattern,
            each.lane,
            (each.start, each.end),
            text[each.start : each.end],
            each.count,
            None,
        )
        for each in row.matches
    ]
    hits = [Found(each.list, each.entry, None, None, None, 1, each.distance) for each in row.hits]
    return matches + hits
