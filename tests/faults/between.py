"""What a person does half way through a run, while all workers are stopped."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path

from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from tests.faults.reader import Watch
from tests.support.command import Ran, weir_process
from tests.support.deployment import INPUTS, Deployment, tail, wait_for
from worker.settings import STAGE_NAMES, StageName

STOPPED = 73  # for a person
PARKED_S = 120.0  # sessions, open transactions and the commands themselves; a bound for hangs


def move_state(deployment: Deployment, watch: Watch) -> None:
    """Export the state of every stage, make the state topics anew, and import it into them."""
    config = deployment.folder / "moved.yaml"  # JSON is YAML
    config.write_text(json.dumps({**deployment.document(), "slot": "moves"}))
    paths = {stage: deployment.folder / f"{stage}.state.gz" for stage in STAGE_NAMES}
    for stage, path in paths.items():
        # Refused while the sessions, or the transactions, of those that were killed still last.
        wait_for(partial(_exported, config, path, stage), f"{stage} is exported", PARKED_S, 1.0)
    watch.part(PARKED_S)
    topics = [deployment.settings().topic(f"state.{stage}") for stage in STAGE_NAMES]
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=deployment.servers)) as admin:
        admin.delete_topics(topics)
        wait_for(lambda: not {*topics} & {*admin.list_topics()}, "the topics are gone", PARKED_S)
    deployment.create()
    for stage, path in paths.items():
        done = _state(config, "import", path, stage, "--execute")
        assert done.code == 0, f"{stage} was not imported: {done.err}{done.out}"
    watch.resume()


def _exported(config: Path, path: Path, stage: StageName) -> bool:
    return _state(config, "export", path, stage).code == 0


def _state(config: Path, command: str, path: Path, stage: str, *more: str) -> Ran:
    return weir_process("state", command, path, "--stage", stage, "--config", config, *more)


def reset_offsets(deployment: Deployment, _watch: Watch) -> None:
    """Delete a committed offset of every stage, set it back and forward: a worker must stop.

    What it holds beside that partition it may decide on: that is right, and judged like the rest.
    """
    settings = deployment.settings()
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=deployment.servers)) as admin:
        for stage in STAGE_NAMES:
            group = settings.group(stage)
            tp, right = _furthest(deployment, stage)
            for wrong in (None, right - 1, right + 1):
                _set(admin, group, tp, wrong)
                worker = deployment.start("resets", stages=(stage,), start=None)
                code = worker.process.wait(PARKED_S)
                told = f"{stage}, {tp} at {wrong} instead of {right}: ended with {code}"
                assert code == STOPPED, f"{told}: {tail(worker.log)}"
                _set(admin, group, tp, right)


def _furthest(deployment: Deployment, stage: StageName) -> tuple[TopicPartition, int]:
    """Give the partition of a stage's main input that the most was read of, and its offset."""
    topic = deployment.settings().topic(INPUTS[stage])
    tps = [TopicPartition(topic, number) for number in range(deployment.partitions)]
    consumer = KafkaConsumer(
        bootstrap_servers=deployment.servers,
        group_id=deployment.settings().group(stage),
        enable_auto_commit=False,
    )
    with contextlib.closing(consumer):
        return max(((tp, consumer.committed(tp) or 0) for tp in tps), key=lambda held: held[1])


def _set(admin: KafkaAdminClient, group: str, tp: TopicPartition, offset: int | None) -> None:
    """Do it as soon as the group has no member left; None deletes."""

    def done() -> bool:
        with contextlib.suppress(KafkaError):
            if any(admin.describe_groups([group])[group]["members"]):
                return False
            if offset is None:
                admin.delete_group_offsets(group, [tp])
            else:
                admin.alter_group_offsets(group, {tp: OffsetAndMetadata(offset, "", -1)})
            return True
        return False

    wait_for(done, f"{group} takes {offset} for {tp}", PARKED_S, 0.5)
