"""Judge a file of posts without a broker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from worker import runtime
from worker.cli import console
from worker.cli.console import Form, FormOption
from worker.cli.options import (
    ActAfterOption,
    BundleOption,
    DeploymentKeyOption,
    FieldMapOption,
    LatenessOption,
    Preset,
    PresetOption,
    read_field_map,
)
from worker.engine.scan import Scan, Summary
from worker.settings_load import load_settings

EXAMPLES = console.examples(
    "weir scan posts.ndjson.gz --bundle deploy/example/bundle --out out/demo",
    "zcat *.ndjson.gz | weir scan - --bundle bundle --out out/all --output json",
    "weir scan toots.ndjson --preset mastodon --bundle bundle",
)

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder for the results; an older result in it is replaced. "
        "[dim]default: out/<name of POSTS>[/]",
    ),
]


def scan(
    posts: Annotated[
        str,
        typer.Argument(metavar="POSTS", help="NDJSON, plain or gzip; - reads standard input."),
    ],
    bundle: BundleOption,
    out: OutOption = None,
    preset: PresetOption = Preset.GENERIC,
    field_map: FieldMapOption = None,
    act_after: ActAfterOption = "none",
    deployment_key_file: DeploymentKeyOption = None,
    correlate_lateness: LatenessOption = "10m",
    output: FormOption = Form.TEXT,
) -> None:
    """Judge a file of posts: posts in, actions out, no broker.

    Writes actions.ndjson, signals.ndjson, campaigns.ndjson, shadow.ndjson, dlq.ndjson and
    summary.json. The same posts and bundle give the same bytes, but for the two timings.
    """
    loaded = load_settings(
        flags={
            "bundle": bundle,
            "input.preset": preset.value,
            "input.field_map": read_field_map(field_map),
            "enforce.act_after": act_after,
            "deployment_key_file": deployment_key_file,
            "correlate.lateness": correlate_lateness,
        }
    )
    job = runtime.build_scan(loaded.settings, posts, out or default_folder(posts))
    summary = _run_with_progress(job) if sys.stderr.isatty() else job.run()
    if output is Form.JSON:
        console.print_json(summary.as_dict())
    else:
        print_summary(job, summary)
    advise(job, summary)


def default_folder(posts: str) -> Path:
    """Name the folder of results after the input: `data/posts.ndjson.gz` gives `out/posts`."""
    name = "stdin" if posts == "-" else Path(posts).name
    for ending in (".gz", ".ndjson", ".jsonl", ".json"):
        name = name.removesuffix(ending)
    return Path("out") / (name or "posts")


def _run_with_progress(job: Scan) -> Summary:
    columns = (
        TextColumn("scan"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[posts]:,} posts"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console.err(), transient=True) as progress:
        task = progress.add_task("scan", total=job.posts.size, posts=0)
        return job.run(
            lambda position, posts: progress.update(task, completed=position, posts=posts)
        )


def print_summary(job: Scan, summary: Summary) -> None:
    """Print what a scan did as tables, and where the actions stand."""
    tally = summary.tally
    totals = console.table("scan", escape(job.posts.name), numbers=1)
    totals.add_row("posts", f"{tally.posts:,}")
    totals.add_row("posts/s", f"{summary.posts_per_s:,}")
    totals.add_row("campaigns", f"{tally.campaigns:,}")
    totals.add_row("dead letters", f"{tally.dead_letters:,}")
    for reason, count in sorted(tally.reasons.items()):
        totals.add_row(f"  {reason}", f"{count:,}")
    console.print_table(totals)
    console.print_text("")

    rules = console.table("rule", "hits", "shadow actions", numbers=2)
    for rule in sorted(tally.signals.keys() | tally.shadow.keys()):
        rules.add_row(escape(rule), f"{tally.signals[rule]:,}", f"{tally.shadow[rule]:,}")
    if not rules.row_count:
        rules.add_row("none", "0", "0")
    console.print_table(rules)
    console.print_text("")

    actions = console.table("action", "count", numbers=1)
    for kind, count in sorted(tally.actions.items()):
        actions.add_row(kind, f"{count:,}")
    if not actions.row_count:
        actions.add_row("none", "0")
    console.print_table(actions)
    console.print_text("")
    console.print_line(f"actions: {job.results.path('actions')}")


def advise(job: Scan, summary: Summary) -> None:
    """Warn where a result is probably not what was meant."""
    tally = summary.tally
    if not tally.posts:
        console.warn(f"{job.posts.name} holds no post")
    elif tally.dead_letters == tally.posts:
        reason, _ = tally.reasons.most_common(1)[0]
        console.warn(
            f"no line was a post ({reason}): the posts may have another form, see --preset and "
            f"--field-map; each line and its reason is in {job.results.path('dlq')}"
        )
    elif tally.shadow and not tally.actions:
        console.warn(
            "nothing was enforced, every rule that held is shadow (mode: shadow, or "
            f"enforcement: observe); what would have followed is in {job.results.path('shadow')}"
        )
