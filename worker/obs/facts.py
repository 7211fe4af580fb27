"""State what is known before the first record: what runs, by which bundle, and every zero series.

A rate needs two points and an alert a series, so the rules, lists and topics of this worker are
there from the first scrape.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from worker.obs.instruments import Instruments
from worker.policy.bundle import Bundle
from worker.settings import Settings


class Build(NamedTuple):
    """Name what runs; the composition root knows it."""

    version: str  # of Weir
    backend: str  # fastpath.BACKEND: compiled or reference
    client: str  # name and version of the Kafka client


def state_build(instruments: Instruments, build: Build, settings: Settings) -> None:
    """Set what stays the same while the process runs; called once, before the loop."""
    instruments.inform("weir_build_info", (build.version, build.backend, build.client))
    instruments.set("weir_fast_path", build.backend == "compiled", ("core",))
    instruments.set("weir_durability_production", settings.kafka.durability == "production")
    if instruments.stage == "enforce":
        moment = settings.enforce.act_after
        seconds = moment / 1000 if isinstance(moment, int) else 0.0
        instruments.set("weir_act_after_timestamp_seconds", seconds)


def state_policy(instruments: Instruments, bundle: Bundle, now: float | None = None) -> None:
    """Set which bundle decides from now on, and make the series of its rules and lists."""
    instruments.inform("weir_policy_info", (bundle.name, str(bundle.revision), bundle.digest))
    instruments.set("weir_policy_activated_timestamp_seconds", time.time() if now is None else now)
    if instruments.stage == "screen":
        for keywords in bundle.keyword_lists:
            instruments.declare("weir_list_hits_total", (keywords.name,))
        for hashes in bundle.hash_lists:
            instruments.declare("weir_list_hits_total", (hashes.name,))
    if instruments.stage != "enforce":
        rules = bundle.post_rules if instruments.stage == "screen" else bundle.campaign_rules
        for rule in rules:
            instruments.declare("weir_rule_hits_total", (rule.name, rule.mode))
            instruments.declare("weir_rule_errors_total", (rule.name,))


def state_topics(instruments: Instruments, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Make the series of the topics that this stage reads and writes."""
    for topic in inputs:
        instruments.declare("weir_records_consumed_total", (topic,))
    for topic in outputs:
        instruments.declare("weir_records_produced_total", (topic,))
