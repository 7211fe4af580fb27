"""Put posts from NDJSON into Kafka."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from worker import runtime
from worker.cli import console
from worker.cli.console import Form, FormOption
from worker.cli.options import ConfigOption, FieldMapOption, Preset, read_field_map
from worker.settings_load import load_settings

EXAMPLES = console.examples(
    "weir load posts.ndjson.gz --config weir.yaml",
    "weir load toots.ndjson --topic posts --preset mastodon --config weir.yaml",
)


def load(
    posts: Annotated[
        str,
        typer.Argument(metavar="POSTS", help="NDJSON, plain or gzip; - reads standard input."),
    ],
    config: ConfigOption = None,
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="NAME", help="Topic of the posts.")
    ] = None,
    preset: Annotated[
        Preset | None, typer.Option("--preset", help="Form of the posts in the file.")
    ] = None,
    field_map: FieldMapOption = None,
    output: FormOption = Form.TEXT,
) -> None:
    """Put posts from NDJSON into the input topic: key = account, time = created_at.

    A line that is no post goes in without a key, to partition 0, and ends as a dead letter.
    """
    loaded = load_settings(
        config,
        os.environ,
        {
            "input.topic": topic,
            "input.preset": None if preset is None else preset.value,
            "input.field_map": read_field_map(field_map),
        },
    )
    if sys.stderr.isatty():
        with Progress(
            TextColumn("load"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[posts]:,} posts"),
            TimeRemainingColumn(),
            console=console.err(),
            transient=True,
        ) as progress:
            size = None if posts == "-" or not Path(posts).exists() else Path(posts).stat().st_size
            task = progress.add_task("load", total=size, posts=0)
            report = runtime.load_posts(
                loaded.settings,
                posts,
                lambda position, count: progress.update(task, completed=position, posts=count),
            )
    else:
        report = runtime.load_posts(loaded.settings, posts)
    if output is Form.JSON:
        console.print_json(
            {
                "topic": loaded.settings.topic("posts"),
                "posts": report.posts,
                "unreadable": report.unreadable,
                "too_large": report.too_large,
                "too_large_lines": report.too_large_lines,
            }
        )
    else:
        console.print_line(
            f"{report.posts:,} posts into {loaded.settings.topic('posts')}, "
            f"{report.unreadable:,} of them unreadable"
        )
    if report.too_large:
        lines = ", ".join(str(line) for line in report.too_large_lines)
        more = ", and more" if report.too_large > len(report.too_large_lines) else ""
        console.warn(
            f"{report.too_large:,} lines were not written, they are above the topic's "
            f"max.message.bytes: line {lines}{more}"
        )
        raise typer.Exit(1)
