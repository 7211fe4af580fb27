"""What a person does half way through a run, while all workers are stopped."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path

from kafka import KafkaAdminClient

from tests.faults.reader import Watch
from tests.support.command import Ran, weir_process
from tests.support.deployment import Deployment, wait_for
from worker.settings import STAGE_NAMES

PARKED_S = 120.0  # sessions, open transactions and the commands themselves; a bound for hangs


def move_state(deployment: Deployment, watch: Watch) -> None:
    """Export the state of every stage, make the state topics anew, and import it into them."""
    config = deployment.folder / "moved.yaml"  # JSON is YAML
    config.write_text(json.dumps({**deployment.document(), "slot": "moves"}))
    paths = {stage: deployment.folder / f"{stage}.state.gz" for stage in STAGE_NAMES}
    for stage, path in paths.items():
        # Refused while the sessions, or the transactions, of those that were killed still last.
        exported = partial(_state, config, "export", path, stage)
        wait_for(lambda ran=exported: ran().code == 0, f"{stage} is exported", PARKED_S, 1.0)  # type: ignore[misc]
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


def _state(config: Path, command: str, path: Path, stage: str, *more: str) -> Ran:
    return weir_process("state", command, path, "--stage", stage, "--config", config, *more)
