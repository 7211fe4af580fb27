"""Put posts from NDJSON into the input topic, as ingest would: key, partition, time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from fastpath.field_maps import load_field_map
from fastpath.records import BatchView
from fastpath.slow_path import Canonical, canonicalize
from worker.settings import KIB, Settings
from worker.transport.kafka.producer import KafkaSink
from worker.transport.kafka.topics import POSTS_MESSAGE_BYTES

# Below max.message.bytes of the input (256 KiB), which the broker applies to a whole batch.
BATCH_BYTES = 128 * KIB
# Headers of a batch and of a record around key and value; what is larger no broker takes.
OVERHEAD_BYTES = KIB
FLUSH_RECORDS = 20_000  # bounds what is in flight, and how late a failure is seen
MAX_NAMED = 20  # lines that the report names


@dataclass(slots=True)
class Loaded:
    """Say what was loaded."""

    posts: int = 0  # records written, unreadable ones included
    unreadable: int = 0  # written without a key to partition 0; screen dead-letters them
    too_large: int = 0  # not written: above the topic's max.message.bytes
    too_large_lines: list[int] = field(default_factory=list)  # the first MAX_NAMED


class Loader:
    """Write posts with their account as key and `created_at` as time; one thread, blocks.

    Where the topic sets LogAppendTime the broker replaces the time by its own. A line that is
    no post travels as it is, without key, to partition 0, at the time of the line before.
    """

    def __init__(self, settings: Settings) -> None:
        """Connect; raises as `KafkaSink`, and BuildError for a field map that makes no sense."""
        self._topic = settings.topic("posts")
        self._field_map = load_field_map(settings.input.preset, settings.input.field_map)
        self._sink = KafkaSink(settings, "load", batch_size=BATCH_BYTES)
        self._timeout_s = settings.shutdown.flush_ms / 1000
        self._time = 0

    def load(
        self, views: Iterable[BatchView], progress: Callable[[int], None] | None = None
    ) -> Loaded:
        """Write every record of the views; return when all are acknowledged.

        Raises:
            Fatal: a record was not acknowledged; what came before may have been written.
        """
        report = Loaded()
        pending = 0
        for view in views:
            for index in range(len(view)):
                self._send(view.value(index) or b"", view.offset(index), report)
                pending += 1
                if pending >= FLUSH_RECORDS:
                    self._sink.flush(self._timeout_s)
                    pending = 0
            if progress is not None:
                progress(report.posts)
        self._sink.flush(self._timeout_s)
        return report

    def close(self) -> None:
        """Let go of the client."""
        self._sink.close(self._timeout_s)

    def _send(self, line: bytes, number: int, report: Loaded) -> None:
        key: bytes | None = None
        read = canonicalize(line, self._field_map)
        time = None
        if isinstance(read, Canonical):
            post: dict[str, Any] = read.post
            time = cast("int | None", post.get("created_at"))
        if isinstance(read, Canonical) and time is not None:
            key = str(post["account"]["id"]).encode()
            self._time = time
        if len(line) + len(key or b"") + OVERHEAD_BYTES > POSTS_MESSAGE_BYTES:
            report.too_large += 1
            if len(report.too_large_lines) < MAX_NAMED:
                report.too_large_lines.append(number)
            return
        report.posts += 1
        report.unreadable += key is None
        self._sink.send(self._topic, key, line, time_ms=max(self._time, 0))
