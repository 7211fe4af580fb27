"""Compose what needs no broker: `weir scan`, `weir explain`, and the counts of `weir check`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastpath.spec import GATE_TRUE
from worker.domain.identity import SCAN_DEPLOYMENT_KEY
from worker.engine.explain import Explainer, Explanation
from worker.engine.scan import MAX_RECORDS, RESULTS, Pipeline, Scan
from worker.policy.bundle import Bundle
from worker.runtime.stages import (
    VERSION,
    build_screen,
    build_stage,
    keep_built,
    new_screen,
    read_bundle,
)
from worker.settings import Settings
from worker.transport.files import STDIN, InputError, PostFile, ResultFolder, logical_name

# A file with one post is read whole: one of this size is another file than the one meant.
MAX_POST_BYTES = 16 * 1024 * 1024


def build_scan(settings: Settings, posts: str, out: Path) -> Scan:
    """Compose `weir scan`: three stages over one file, results in a folder.

    Raises:
        UserError: input, output or bundle cannot be used.
    """
    bundle = read_bundle(settings)
    key = settings.deployment_key() if settings.deployment_key_file else SCAN_DEPLOYMENT_KEY
    source = PostFile(posts)
    screen = build_screen(
        settings, bundle, key, topic=source.name, from_file=True, sighting_partitions=1
    )
    stages = {
        name: build_stage(settings, name, bundle, key, screen if name == "screen" else None).stage
        for name in ("screen", "correlate", "enforce")
    }
    results = ResultFolder(out, RESULTS)
    pipeline = Pipeline(source.name, results=results, **stages)
    keep_built()
    return Scan(source, pipeline, results, time.perf_counter, bundle.digest, VERSION)


@dataclass(frozen=True, slots=True)
class GateCounts:
    """Say how many posts of a sample passed each rule's gate."""

    posts: int
    rejects: int
    passed: dict[str, int]  # by policy/rule, for rules on: post in force


def count_gates(settings: Settings, bundle: Bundle, posts: str) -> GateCounts:
    """Screen a file of posts and count what each gate lets through; blocks on reading.

    Raises:
        UserError: the file cannot be read, or preset or field map are refused.
    """
    source = PostFile(posts)
    screen = _file_screen(settings, bundle, source.name, _key(settings))
    state = screen.new_state(0)
    try:
        while not source.at_end:
            for view in source.poll(0, MAX_RECORDS).items:
                screen.step(view, state)
    finally:
        source.close()
    counters = screen.counters()
    passed = {rule.name: counters[f"gate.{rule.index}"] for rule in bundle.post_rules}
    return GateCounts(counters["posts"], counters["rejects"], passed)


def explain_post(settings: Settings, post: str) -> Explanation:
    """Judge the one post in a file, or on standard input, and show how.

    Raises:
        UserError: bundle, file, preset or field map cannot be used.
    """
    bundle = read_bundle(settings)
    key = _key(settings)
    name = logical_name(post)
    value = _read_post(post)
    stages = {
        stage: build_stage(
            settings,
            stage,
            bundle,
            key,
            _file_screen(settings, bundle, name, key) if stage == "screen" else None,
        ).stage
        for stage in ("screen", "correlate", "enforce")
    }
    screen = _file_screen(settings, bundle, name, key, show_all=True)
    return Explainer(bundle, screen, stages).explain(value, name)


def _key(settings: Settings) -> bytes:
    return settings.deployment_key() if settings.deployment_key_file else SCAN_DEPLOYMENT_KEY


def _file_screen(
    settings: Settings, bundle: Bundle, name: str, key: bytes, *, show_all: bool = False
) -> Any:
    """Build a screen for posts of a file; with `show_all` one more gate lets every post pass."""
    spec = bundle.screen_spec(
        deployment_key=key,
        topic=name,
        time_source="created_at",
        check_key=False,
        field_map=settings.input.field_map,
        preset=settings.input.preset,
    )
    if show_all:
        spec = replace(spec, gates=(*spec.gates, GATE_TRUE))
    return new_screen(settings, spec)


def _read_post(post: str) -> bytes:
    try:
        if post == STDIN:
            value = sys.stdin.buffer.read(MAX_POST_BYTES + 1)
        else:
            with Path(post).open("rb") as file:
                value = file.read(MAX_POST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{post}: {error.strerror}. Give a JSON file with one post, or - for standard input"
        ) from None
    value = value.removeprefix(b"\xef\xbb\xbf").strip()
    if not value:
        raise InputError(f"{post}: is empty. Give a JSON file with one post")
    if len(value) > MAX_POST_BYTES:
        raise InputError(f"{post}: larger than {MAX_POST_BYTES >> 20} MiB, so it is no single post")
    if b"}\n{" in value.replace(b"\r", b""):
        raise InputError(
            f"{post}: holds several lines of JSON. Give one post: sed -n 7p {post} | weir explain -"
        )
    return value
