"""Judge a finished run: the invariants of docs/delivery.md, from topics and log files alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from tests.faults import oracle
from tests.faults.dump import check_state
from tests.faults.reader import Watch
from tests.faults.report import Report
from tests.faults.segments import Outcomes, outcomes
from tests.faults.state_log import follow
from tests.support.deployment import INPUTS, Deployment, Read
from worker.settings import STAGE_NAMES
from worker.transport.kafka.topics import WRITES


def judge(deployment: Deployment, report: Report, watch: Watch, data: list[Path]) -> list[str]:
    """Say what is wrong; nothing is right that could not be counted."""
    reader = watch.outputs
    topic = deployment.settings().topic
    posts = deployment.read("posts")
    signals = reader.of(topic("signals"))
    actions = [r for role in WRITES["enforce"] if "action" in role for r in reader.of(topic(role))]
    actions += reader.of(topic("shadow"))
    expected = oracle.Expected(posts, deployment.bundle)
    wrong = [f"I6: {each}" for reader in watch.all for each in reader.broken]
    if expected.inputs != report.posts:
        wrong.append(f"I10: {report.posts} posts were loaded, {expected.inputs} are there")
    letters = reader.of(topic("dlq"))
    checks = {
        "posts": oracle.check_screen(expected, signals, letters),
        "campaigns": oracle.check_campaigns(expected, signals, reader.of(topic("sightings"))),
        "actions": oracle.check_actions(
            signals, actions, deployment.bundle, bytes.fromhex("5a" * 32), deployment.partitions
        ),
    }
    wrong += [f"{name}: {each}" for name, found in checks.items() for each in found]
    sightings = reader.of(topic("sightings"))
    wrong += check_state(deployment, {"screen": posts, "correlate": sightings, "enforce": signals})
    wrong += _judge_state(deployment, report, watch)
    seen = {**watch.outputs.records, **watch.state.records}
    return wrong + _judge_segments(report, seen, watch.topics, data)


def _judge_state(deployment: Deployment, report: Report, watch: Watch) -> list[str]:
    """I5: every state partition is one unbroken chain that ends at the committed offset.

    Where state was moved to a topic made anew, each part is one, and begins where the last ended.
    """
    wrong = []
    settings = deployment.settings()
    for stage in STAGE_NAMES:
        topic, source = settings.topic(f"state.{stage}"), settings.topic(INPUTS[stage])
        consumer = KafkaConsumer(
            bootstrap_servers=deployment.servers,
            group_id=settings.group(stage),
            enable_auto_commit=False,
        )
        for number in range(deployment.partitions):
            where, ended = f"I5: {topic}-{number}", None
            for moved, part in enumerate((*watch.moved, watch.state)):
                held = part.records[TopicPartition(topic, number)]
                log = follow(((read.offset, read.value) for read in held), imported=moved > 0)
                wrong += [f"{where}: {each}" for each in log.broken[:3]]
                if ended is not None and log.began != ended:
                    wrong.append(f"{where} was moved at {ended} and begins at {log.began}")
                ended = log.in_next or 0
                report.claims += log.claims
                report.deltas += log.deltas
            committed = consumer.committed(TopicPartition(source, number))
            if log.in_next != committed:
                wrong.append(f"{where} ends at {log.in_next}, the group at {committed}")
        consumer.close(autocommit=False)
    return wrong


def _judge_segments(
    report: Report,
    records: Mapping[TopicPartition, list[Read]],
    topics: frozenset[str],
    data: list[Path],
) -> list[str]:
    """I6, I7: the reader saw what transactions committed, all of it, and nothing else."""
    wrong = []
    aborts: set[tuple[int, int]] = set()
    for folder in _whole(data):
        name, _, number = folder.name.rpartition("-")
        if name == "__consumer_offsets":
            report.committed += outcomes(folder).commits
        if name not in topics:
            continue
        found: Outcomes = outcomes(folder)
        aborts |= found.aborts
        report.hidden += len(found.aborted)
        seen = {read.offset for read in records.get(TopicPartition(name, int(number)), ())}
        where = f"{name}-{number}"
        if seen & found.aborted:
            wrong.append(
                f"I6: {where}: aborted records were read: {sorted(seen & found.aborted)[:3]}"
            )
        if seen & found.open:
            wrong.append(
                f"I6: {where}: records of open transactions: {sorted(seen & found.open)[:3]}"
            )
        if found.committed - seen:
            lost = sorted(found.committed - seen)
            wrong.append(f"I6: {where}: {len(lost)} committed records unread: {lost[:3]}")
        compacted = ".state." in name  # what the reader saw before may be gone from the log
        if compacted:
            report.compacted += len(seen - found.committed)
        elif seen - found.committed:
            wrong.append(
                f"I7: {where}: read, but never committed: {sorted(seen - found.committed)[:3]}"
            )
    report.aborted = len(aborts)
    return wrong


def _whole(data: list[Path]) -> list[Path]:
    """Give each partition's folder, of several brokers' the one that holds most."""
    held: dict[str, list[Path]] = defaultdict(list)
    for folder in (each for broker in data for each in broker.iterdir() if each.is_dir()):
        held[folder.name].append(folder)
    size = {
        each: sum(file.stat().st_size for file in each.glob("*.log"))
        for folders in held.values()
        for each in folders
    }
    return [max(folders, key=lambda each: size[each]) for _, folders in sorted(held.items())]
