"""Compare what a scan and a run decided; shared by the tests and `benchmarks.equalities`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fastpath.records import BatchView
from tests.support.deployment import Deployment
from worker import runtime
from worker.settings import Settings


def post_rules_alone(bundle: Path, target: Path) -> Path:
    """Copy a bundle with its campaign rules off and its breakers out of reach."""
    shutil.copytree(bundle, target)
    yaml = YAML()
    file = target / "bundle.yaml"
    document = yaml.load(file)
    for policy in document["policies"].values():
        for rule in policy["rules"]:
            if rule["on"] == "campaign":
                rule["mode"] = "off"
    document["limits"] = dict.fromkeys(document["limits"], 1_000_000_000)
    yaml.dump(document, file)
    return target


def scan_into(deployment: Deployment, posts: Path, out: Path) -> Path:
    """Scan the same posts under the same settings and keys; return the folder of results."""
    runtime.build_scan(Settings(**deployment.document()), str(posts), out).run()
    return out


def records(source: Path | Iterable[Any]) -> Iterable[Any]:
    """Give JSON records of an NDJSON file, or as they are."""
    return ndjson(source) if isinstance(source, Path) else source


def ndjson(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def action_ids(source: Path | Iterable[Any]) -> set[str]:
    """Name the decisions on posts; where no post id parses, coordinates of the run stand in."""
    return {record["action_id"] for record in records(source) if record["post"] is not None}


def signal_set(source: Path | Iterable[Any]) -> set[tuple[str, str, str, str]]:
    """Name each signal: policy/rule, campaign fingerprint or "", account, post."""
    found = set()
    for record in records(source):
        if record["kind"] != "signal":
            continue
        campaign = record["evidence"]["campaign"]
        name = json.dumps(campaign["fingerprint"], sort_keys=True) if campaign else ""
        rule = f"{record['policy']}/{record['rule']}"
        found.add((rule, name, record["account"]["id"], record["post"]["id"]))
    return found


def campaign_set(source: Path | Iterable[Any]) -> set[tuple[str, str]]:
    return {
        (record["rule"], json.dumps(record["fingerprint"], sort_keys=True))
        for record in records(source)
    }


def decide_again(deployment: Deployment) -> dict[str, bytes]:
    """Feed enforce the recorded signals, partition by partition; return actions by id."""
    settings = deployment.settings()
    bundle = runtime.read_bundle(settings)
    built = runtime.build_stage(settings, "enforce", bundle, settings.deployment_key())
    written: dict[str, bytes] = {}
    signals = deployment.read("signals")
    for partition, reads in groupby(signals, key=lambda read: read.partition):
        held = list(reads)
        view = BatchView.from_records(
            settings.topic("signals"),
            partition,
            [read.key for read in held],
            [read.value for read in held],
            [read.time for read in held],
            [read.offset for read in held],
        )
        table = built.stage.new_table(partition, deployment.partitions)
        for output in built.stage.step(table, view):
            if output.topic.startswith("actions."):
                assert output.value is not None
                written[json.loads(output.value)["action_id"]] = output.value
    return written
