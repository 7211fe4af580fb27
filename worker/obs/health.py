"""Answer probes and scrapes: a probe means progress, not an open port.

The loop reports to `Health` (no lock, no I/O); a small HTTP server on its own port reads it.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from worker.domain.errors import ConfigError
from worker.obs.collector import Exposition
from worker.obs.instruments import Instruments

# Longer than any one step of the loop (a restore slice is at most 1 s), shorter than the 45 s
# after which the watchdog dumps every stack and ends the process.
LIVE_WITHIN_S = 30.0
# A worker behind its input that commits nothing for this long does not do its work. Above the
# longest quiet time a rebalance makes: max.poll.interval.ms is 60,000.
COMMIT_WITHIN_S = 60.0
# A client that opens a connection and says nothing is dropped; kubelet and Prometheus take ms.
REQUEST_TIMEOUT_S = 5.0
_REFUSED = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})


class Answer(NamedTuple):
    """Say yes or no to a probe, and why, in one line for a person."""

    ok: bool
    text: str


OK = Answer(True, "ok")


class Health:
    """Hold how one stage fares; implements `worker.obs.names.Vitals`.

    Written by the loop, read by the HTTP thread: single attributes, replaced whole.
    """

    def __init__(
        self, instruments: Instruments, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._instruments = instruments
        self._clock = clock
        self._turned = self._progress = clock()
        self._behind = False
        self._joined = False
        self._restoring = 0
        self._stop: tuple[int, str] | None = None

    def turned(self, lag: int) -> None:
        """Note one turn of the loop; one that is behind nothing counts as progress."""
        self._turned = self._clock()
        self._behind = lag > 0
        if not self._behind:
            self._progress = self._turned
        self._instruments.since("weir_loop_turn_age_seconds", time.time())

    def joined(self) -> None:
        """Note the first assignment, an empty one included."""
        self._joined = True

    def restoring(self, partitions: int) -> None:
        """Note how many assigned partitions are not rebuilt yet."""
        self._restoring = partitions
        self._progress = self._clock()
        self._instruments.set("weir_partitions_restoring", partitions)

    def committed(self) -> None:
        """Note an offset commit that the brokers took."""
        self._progress = self._clock()

    def stopped(self, code: int, message: str) -> None:
        """Note a stop for a person; it lasts until the process is restarted."""
        self._stop = (code, message)
        self._instruments.set("weir_stopped_code", code)

    def live(self) -> Answer:
        """Tell whether the loop turns, or has stopped on purpose and waits for a person."""
        if self._stop is not None:
            return Answer(True, f"stopped for a person (exit code {self._stop[0]}): see /readyz")
        age = self._clock() - self._turned
        if age > LIVE_WITHIN_S:
            return Answer(False, f"the loop last turned {age:.0f} s ago, limit {LIVE_WITHIN_S:.0f}")
        return OK

    def ready(self) -> Answer:
        """Tell whether every assigned partition is decided on, and offsets move."""
        if self._stop is not None:
            code, message = self._stop
            return Answer(False, f"stopped for a person (exit code {code}): {message}")
        if not self._joined:
            return Answer(False, "has not joined its consumer group yet")
        if not (live := self.live()).ok:
            return live
        if self._restoring:
            return Answer(False, f"rebuilding the state of {self._restoring} partitions")
        idle = self._clock() - self._progress
        if self._behind and idle > COMMIT_WITHIN_S:
            return Answer(
                False,
                f"behind its input and without a commit for {idle:.0f} s, "
                f"limit {COMMIT_WITHIN_S:.0f}",
            )
        return OK

    def started(self) -> Answer:
        """Tell whether start-up is over; a stop for a person ends it too, or it would loop."""
        if self._joined or self._stop is not None:
            return OK
        return Answer(False, "has not joined its consumer group yet")


class HealthServer:
    """Serve /metrics, /livez, /readyz and /startupz, nothing else, from a daemon thread."""

    def __init__(
        self, host: str, port: int, stages: Sequence[Health], exposition: Exposition
    ) -> None:
        """Listen on the port: a worker that nobody can probe must not start.

        Raises:
            ConfigError: the port is taken or forbidden, or the host is none of this machine.
        """
        handler = _handler(tuple(stages), exposition)
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            raise ConfigError(
                f"health.port {port} of {host}: {error.strerror}; set another port or host"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="weir-health", daemon=True
        )

    @property
    def port(self) -> int:
        """Return the port in use (a free one was taken where 0 was asked for)."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer; does not block."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port; blocks until the thread has ended."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Closing must not wait for a scraper that reads slowly.
    block_on_close = False


def _handler(stages: tuple[Health, ...], exposition: Exposition) -> type[BaseHTTPRequestHandler]:
    probes: dict[str, Callable[[Health], Answer]] = {
        "/livez": Health.live,
        "/readyz": Health.ready,
        "/startupz": Health.started,
    }

    class Handler(BaseHTTPRequestHandler):
        """Answer GET and HEAD on the four paths."""

        timeout = REQUEST_TIMEOUT_S
        server_version = "weir"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer with a body."""
            self._answer()

        def do_HEAD(self) -> None:
            """Answer with headers alone."""
            self._answer()

        def log_message(self, *_args: object) -> None:
            """Say nothing: probes every few seconds would drown the log."""

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                body, content_type = exposition.render(self.headers.get("Accept", ""))
                self._write(200, body, content_type)
            elif path in probes:
                answers = [probes[path](stage) for stage in stages]
                body = "".join(f"{answer.text}\n" for answer in answers).encode()
                code = 200 if all(answer.ok for answer in answers) else 503
                self._write(code, body, "text/plain; charset=utf-8")
            else:
                self._write(404, b"no such page\n", "text/plain; charset=utf-8")

        def _write(self, code: int, body: bytes, content_type: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler
