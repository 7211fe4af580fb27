"""Read the bundle anew when asked, and hand it to the engines while they go on."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from worker.domain.errors import ConfigError
from worker.runtime.engines import StageRun, build_successor, message_of
from worker.runtime.stages import read_bundle
from worker.settings import Settings


class Reloader:
    """Own the thread on which bundles are read and stages built; it ends with the process.

    A bundle that fails to load, or that one stage cannot be built from, changes nothing.
    """

    def __init__(self, settings: Settings, runs: Sequence[StageRun]) -> None:
        self._settings = settings
        self._runs = runs
        self._digest = ""  # of the bundle that decides, or was offered last
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weir-reload", daemon=True)

    def start(self, digest: str) -> None:
        """Answer from here on; `digest` is of the bundle that the stages begin with."""
        self._digest = digest
        self._thread.start()

    def ask(self) -> None:
        """Have the bundle read anew; safe from a signal handler, never blocks."""
        self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            try:
                self._reload()
            except Exception as error:  # noqa: BLE001  # whatever it is, the old bundle goes on
                for run in self._runs:
                    run.instruments.add("weir_policy_reloads_total", ("refused",))
                self._runs[0].log.error("policy_refused", message=message_of(error))

    def _reload(self) -> None:
        engines = [(run, run.engine) for run in self._runs if run.engine is not None]
        if len(engines) < len(self._runs):
            raise ConfigError("the stages are still starting; ask again")
        bundle = read_bundle(self._settings)
        if bundle.digest == self._digest:
            for run in self._runs:
                run.instruments.add("weir_policy_reloads_total", ("unchanged",))
            self._runs[0].log.info("policy_unchanged", digest=bundle.digest)
            return
        built = [(engine, build_successor(self._settings, bundle, run)) for run, engine in engines]
        for engine, successor in built:
            engine.offer(successor)
        self._digest = bundle.digest
