"""Compose what fills, makes and checks the topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from fastpath.records import BatchView
from worker.settings import Settings
from worker.transport.files import PostFile
from worker.transport.kafka.loader import Loaded, Loader
from worker.transport.kafka.topics import Finding, Topics

LOAD_RECORDS = 10_000  # posts between two reports of progress


def load_posts(
    settings: Settings, posts: str, progress: Callable[[int, int], None] | None = None
) -> Loaded:
    """Put a file of posts into the input topic; `progress` hears bytes on disk and records.

    Raises:
        UserError: the file or a setting cannot be used.
        BrokerUnavailable: no broker answered in time.
        Fatal: a record was not acknowledged.
    """
    source = PostFile(posts)
    try:
        loader = Loader(settings)
        try:
            report = None if progress is None else partial(_tell_position, source, progress)
            return loader.load(_views(source), report)
        finally:
            loader.close()
    finally:
        source.close()


def _views(source: PostFile) -> Iterator[BatchView]:
    while not source.at_end:
        for item in source.poll(0, LOAD_RECORDS).items:
            if isinstance(item, BatchView):
                yield item


def _tell_position(source: PostFile, progress: Callable[[int, int], None], records: int) -> None:
    progress(source.position, records)


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; return their names."""
    with Topics(settings) as topics:
        return topics.create()


def check_topics(settings: Settings) -> list[Finding]:
    """Compare every topic and the brokers with what the stages rely on."""
    with Topics(settings) as topics:
        return topics.check()
