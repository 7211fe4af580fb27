"""Run a real Prometheus on loopback for a test, and ask it."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.deployment import wait_for
from tests.support.requirements import require


@dataclass
class Prometheus:
    """Hold a running server."""

    url: str
    began: float

    def api(self, path: str, **parameters: object) -> Any:
        query = urllib.parse.urlencode(parameters)
        return json.loads(fetch(f"{self.url}/api/v1/{path}?{query}"))["data"]

    def ask(self, expression: str) -> list[Any]:
        """Return the series of an instant query, now."""
        result: list[Any] = self.api("query", query=expression)["result"]
        return result

    def values(self, expression: str, step_s: float) -> list[float]:
        """Return every value of a range query since the start that is a number."""
        data = self.api(
            "query_range", query=expression, start=self.began, end=time.time(), step=step_s
        )
        numbers = (float(value) for series in data["result"] for _, value in series["values"])
        return [number for number in numbers if not math.isnan(number)]

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            fetch(f"{self.url}/-/ready")
            return True
        return False


def fetch(url: str) -> bytes:
    """Get a page of this machine; raises OSError (HTTPError included) where there is none."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        body: bytes = answer.read()
        return body


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, config: Path) -> Iterator[Prometheus]:
    """Start Prometheus with a configuration, data in `folder`; stop it at the end."""
    url = f"127.0.0.1:{free_port()}"
    command = [require("prometheus"), f"--config.file={config}", f"--web.listen-address={url}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", "--log.level=warn"]
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        server = Prometheus(f"http://{url}", time.time())

        def up() -> bool:
            assert process.poll() is None, log.read_text()
            return server.ready()

        wait_for(up, "Prometheus serves", 30)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
