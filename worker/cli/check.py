"""Check a policy bundle and the settings; no network."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from fastpath.errors import BuildError
from worker.cli import console
from worker.cli.console import Form, FormOption
from worker.cli.options import ConfigOption, FieldMapOption, Preset, PresetOption, read_field_map
from worker.policy.bundle import CheckReport, build_diagnostic, check_bundle
from worker.policy.keyword_report import KeywordReport, report_keywords
from worker.policy.render import render_diagnostics
from worker.runtime import offline
from worker.settings_load import Loaded, load_settings, resolved

EXAMPLES = console.examples(
    "weir check deploy/example/bundle",
    "weir check bundle --sample posts.ndjson.gz --output json",
    "weir check --config weir.yaml",
)

SampleOption = Annotated[
    str | None,
    typer.Option(
        "--sample",
        metavar="POSTS",
        help="Show which share of these posts passes each rule's gate.",
    ),
]


def check(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="BUNDLE", help="Folder of the policy bundle.")
    ] = None,
    config: ConfigOption = None,
    sample: SampleOption = None,
    preset: PresetOption = Preset.GENERIC,
    field_map: FieldMapOption = None,
    output: FormOption = Form.TEXT,
) -> None:
    """Check a policy bundle, or print the resolved settings; no network.

    Errors come with file, line, column and a hint; the exit code is then 1. Of a sound bundle
    each rule's gate is shown: the filter that decides which posts its condition is asked about.
    Of the settings each value is shown with its origin: flag, variable, file and line, or default.
    """
    if bundle is None and config is None:
        raise typer.BadParameter("give a bundle, --config FILE, or both", param_hint="BUNDLE")
    if sample is not None and bundle is None:
        raise typer.BadParameter("needs a BUNDLE to judge the posts by", param_hint="--sample")
    answer: dict[str, Any] = {}
    refused = False
    if config is not None:
        loaded = load_settings(config, os.environ)
        answer["settings"] = _settings(loaded)
        if output is Form.TEXT:
            _print_settings(answer["settings"])
    if bundle is not None:
        report, keywords = _checked(bundle)
        refused = report.bundle is None
        counts = None
        if report.bundle is not None and sample is not None:
            flags = {
                "input.preset": preset.value,
                "input.field_map": read_field_map(field_map),
            }
            settings = load_settings(flags=flags).settings
            counts = offline.count_gates(settings, report.bundle, sample)
        answer |= _report(report, keywords, counts)
        if output is Form.TEXT:
            _print_report(bundle, report, keywords, counts)
    if output is Form.JSON:
        console.print_json(answer)
    if refused:
        raise typer.Exit(1)


def _checked(bundle: Path) -> tuple[CheckReport, KeywordReport | None]:
    """Check a bundle and build its keyword table, which is part of being sound."""
    report = check_bundle(bundle)
    if report.bundle is None:
        return report, None
    try:
        return report, report_keywords(report.bundle)
    except BuildError as error:
        return CheckReport(None, (build_diagnostic(bundle, error),), report.warnings, ()), None


def _settings(loaded: Loaded) -> list[dict[str, object]]:
    return [
        {"setting": path, "value": _plain(value), "origin": origin}
        for path, value, origin in resolved(loaded)
    ]


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _print_settings(settings: list[dict[str, object]]) -> None:
    table = console.table("setting", "value", "origin")
    for row in settings:
        table.add_row(*(escape(_shown(row[column])) for column in ("setting", "value", "origin")))
    console.print_table(table)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return "" if value is None else str(value)


def _report(
    report: CheckReport, keywords: KeywordReport | None, counts: offline.GateCounts | None
) -> dict[str, object]:
    answer: dict[str, object] = {
        "ok": report.bundle is not None,
        "errors": [_diagnostic(each) for each in report.diagnostics],
        "warnings": [_diagnostic(each) for each in report.warnings],
    }
    if report.bundle is not None:
        answer |= {
            "name": report.bundle.name,
            "revision": report.bundle.revision,
            "digest": report.bundle.digest,
            "enforcement": report.bundle.enforcement,
            "rules": [
                {
                    "rule": checked.rule.name,
                    "on": checked.rule.on,
                    "mode": checked.rule.mode,
                    "when": checked.rule.when.source,
                    "gate": checked.gate or None,
                    **({} if counts is None else {"passed": counts.passed.get(checked.rule.name)}),
                }
                for checked in report.rules
            ],
        }
    if keywords is not None:
        answer["keywords"] = dataclasses.asdict(keywords)
    if counts is not None:
        answer["sample"] = {"posts": counts.posts, "dead_letters": counts.rejects}
    return answer


def _diagnostic(each: Any) -> dict[str, object]:
    return dataclasses.asdict(each)


def _print_report(
    folder: Path,
    report: CheckReport,
    keywords: KeywordReport | None,
    counts: offline.GateCounts | None,
) -> None:
    if report.warnings:
        console.print_text(render_diagnostics(report.warnings, "warning") + "\n")
    if report.bundle is None:
        console.print_text(render_diagnostics(report.diagnostics) + "\n")
        number = len(report.diagnostics)
        console.print_line(f"{folder}: {number} error{'s' if number != 1 else ''}")
        return
    bundle = report.bundle
    columns = ["rule", "on", "mode"] + (["passed", "share"] if counts else [])
    table = console.table(*columns, numbers=2 if counts else 0)
    for checked in report.rules:
        cells = [escape(checked.rule.name), checked.rule.on, checked.rule.mode]
        if counts is not None:
            passed = counts.passed.get(checked.rule.name)
            share = "" if passed is None else f"{passed / max(counts.posts, 1):.2%}"
            cells += ["" if passed is None else f"{passed:,}", share]
        table.add_row(*cells)
    console.print_table(table)
    console.out().print()
    for checked in report.rules:
        if checked.gate:
            console.print_line(f"gate of {checked.rule.name}: {checked.gate}")
    if keywords is not None:
        for note in keywords.notes:
            console.print_line(str(note))
        console.print_line(str(keywords))
    if counts is not None:
        console.print_line(f"sample: {counts.posts:,} posts, {counts.rejects:,} dead letters")
    console.print_line(
        f"{folder}: {bundle.name} revision {bundle.revision}, digest {bundle.digest[:16]}, "
        f"enforcement {bundle.enforcement}: no errors"
    )
