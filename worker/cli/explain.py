"""Show how one post is judged."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

from worker.cli import console
from worker.cli.console import Form, FormOption
from worker.cli.options import (
    BundleOption,
    DeploymentKeyOption,
    FieldMapOption,
    Preset,
    PresetOption,
    read_field_map,
)
from worker.engine.explain import Explanation, Part, RuleView
from worker.runtime import offline
from worker.settings_load import load_settings

EXAMPLES = console.examples(
    "weir explain post.json --bundle deploy/example/bundle",
    "zcat posts.ndjson.gz | sed -n 7p | weir explain - --bundle bundle --output json",
)
_MARKS = (
    "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}",
    "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}",
)


def explain(
    post: Annotated[
        str, typer.Argument(metavar="POST", help="JSON file with one post; - reads standard input.")
    ],
    bundle: BundleOption,
    preset: PresetOption = Preset.GENERIC,
    field_map: FieldMapOption = None,
    deployment_key_file: DeploymentKeyOption = None,
    output: FormOption = Form.TEXT,
) -> None:
    """Show how one post is judged, for an account without history.

    Lanes, matches with their spans marked in the original text, windows as after this post, each
    rule's terms with the values that they read, and the records that the stages would write.
    """
    loaded = load_settings(
        flags={
            "bundle": bundle,
            "input.preset": preset.value,
            "input.field_map": read_field_map(field_map),
            "enforce.act_after": "none",
            "deployment_key_file": deployment_key_file,
        }
    )
    explanation = offline.explain_post(loaded.settings, post)
    if output is Form.JSON:
        console.print_json(as_json(explanation))
    else:
        print_explanation(explanation)


def as_json(shown: Explanation) -> dict[str, object]:
    """Return an explanation as one JSON document."""
    return {
        "status": shown.status,
        "reason": shown.reason,
        "error": shown.error or None,
        "post": shown.post,
        "time": shown.time,
        "lanes": shown.lanes,
        "matches": [
            {
                "list": each.list,
                "entry": each.entry,
                "lane": each.lane,
                "span": each.span,
                "source": each.source,
                "count": each.count,
                "distance": each.distance,
            }
            for each in shown.found
        ],
        "windows": shown.windows,
        "flags": shown.flags,
        "sightings": [{"type": kind, "fingerprint": key} for kind, key in shown.sightings],
        "rules": [_rule_json(rule) for rule in shown.rules],
        "records": shown.records,
    }


def _rule_json(rule: RuleView) -> dict[str, object]:
    return {
        "rule": rule.rule,
        "on": rule.on,
        "mode": rule.mode,
        "gate": rule.gate,
        "note": rule.note or None,
        **{part.name: _part_json(part) for part in rule.parts},
    }


def _part_json(part: Part) -> dict[str, object]:
    return {
        "source": part.source,
        "verdict": part.verdict,
        "error": part.error or None,
        "terms": [
            {"source": term.source, "verdict": term.verdict.value, "values": term.values}
            for term in part.terms
        ],
    }


def print_explanation(shown: Explanation) -> None:
    """Print an explanation as sections; text of the post is made safe for a terminal."""
    if shown.status == "reject":
        console.print_line(f"dead letter: {shown.reason}: {shown.error}")
    elif shown.status == "delete":
        console.print_line(f"delete of post {shown.post.get('id')}: no rule is asked")
    else:
        _print_text(shown)
        _print_found(shown)
        _print_counts(shown)
        for rule in shown.rules:
            _print_rule(rule)
    _print_records(shown)


def _heading(title: str) -> None:
    console.out().print(f"[bold]{title}[/]")


def _print_text(shown: Explanation) -> None:
    _heading("lanes")
    table = console.table("lane", "text")
    spans = [each.span for each in shown.found if each.span is not None]
    for lane, text in shown.lanes.items():
        table.add_row(lane, marked(text, spans) if lane == "raw" else Text(visible(text)))
    if not shown.lanes:
        table.add_row("none", "the post has no text")
    console.print_table(table)
    console.out().print()


def marked(text: str, spans: list[tuple[int, int]]) -> Text:
    """Mark spans, given in code points, with brackets and, on a terminal, in bold."""
    inside = [False] * (len(text) + 1)
    for start, end in spans:
        inside[start:end] = [True] * (end - start)
    made = Text()
    for place, char in enumerate(text):
        opens = inside[place] and (place == 0 or not inside[place - 1])
        closes = inside[place] and not inside[place + 1]
        cell = (_MARKS[0] if opens else "") + visible(char) + (_MARKS[1] if closes else "")
        made.append(cell, style="bold red" if inside[place] else "")
    return made


def visible(text: str) -> str:
    """Replace what a terminal would obey: control, format and surrogate code points."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char
        for char in text
    )


def _print_found(shown: Explanation) -> None:
    _heading("matches")
    table = console.table("list", "entry", "lane", "span", "in the text", "count", numbers=1)
    for each in shown.found:
        span = f"{each.span[0]}-{each.span[1]}" if each.span else ""
        lane = each.lane or f"distance {each.distance}"
        table.add_row(
            each.list,
            Text(visible(each.entry)),
            lane,
            span,
            Text(visible(each.source or "")),
            str(each.count),
        )
    if not shown.found:
        table.add_row("none", "", "", "", "", "0")
    console.print_table(table)
    console.out().print()


def _print_counts(shown: Explanation) -> None:
    _heading("counted")
    table = console.table("what", "value")
    for window, value in shown.windows.items():
        table.add_row(f"windows.{window}", f"{value:,} after this post")
    table.add_row("flags", ", ".join(shown.flags) or "none")
    kinds = ", ".join(f"{kind} {key[:12]}" for kind, key in shown.sightings)
    table.add_row("sightings", kinds or "none")
    console.print_table(table)
    console.out().print()


def _print_rule(rule: RuleView) -> None:
    gate = "" if rule.gate is None else f", gate {'passed' if rule.gate else 'closed'}"
    note = f" ({rule.note})" if rule.note else ""
    console.out().print(f"[bold]{escape(rule.rule)}[/] {rule.mode}{gate}{escape(note)}")
    for part in rule.parts:
        error = f": {part.error}" if part.error else ""
        console.print_line(f"  {part.name}: {part.verdict}{error}")
        for term in part.terms:
            values = ", ".join(f"{name} = {shown_value(v)}" for name, v in term.values.items())
            reads = f"   [{values}]" if values else ""
            console.print_line(f"    {term.verdict.value:5}  {visible(term.source)}{reads}")
    console.out().print()


def shown_value(value: object) -> str:
    """Write a value as a condition would, cut to a readable length."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = f'"{text}"' if isinstance(value, str) else text
    return visible(text if len(text) <= 60 else text[:59] + "…")


def _print_records(shown: Explanation) -> None:
    _heading("what would follow")
    actions: list[dict[str, Any]] = shown.records.get("actions", [])
    shadow: list[dict[str, Any]] = shown.records.get("shadow", [])
    table = console.table("action", "policy", "rules", "step", "strikes", "until")
    for each, kind in [(a, "") for a in actions] + [(s, " (shadow)") for s in shadow]:
        table.add_row(
            each["kind"] + kind,
            str(each["policy"]),
            ", ".join(each["rule_ids"]),
            str(each["step"]),
            f"{each['strikes_before']} to {each['strikes_after']}",
            _instant(each["expires_at"]),
        )
    if not table.row_count:
        table.add_row("none")
    console.print_table(table)


def _instant(time_ms: int | None) -> str:
    if time_ms is None:
        return ""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
