"""Drain with the strongest simple Python worker: confluent-kafka, orjson, Hyperscan.

`fetch.queue.backoff.ms` is 1: the default of 1,000 idles at a quarter of the rate once the
prefetch queue was full. Words are caseless literals (Hyperscan's literal compiler) whose
boundaries are tested in the callback: with 10,000 of them that scans faster than expressions
that hold their boundaries, and compiles in seconds instead of minutes.
"""

from __future__ import annotations

from typing import Any

import hyperscan
import orjson
from confluent_kafka import Consumer, Producer

from benchmarks.macro.drain import Task, action

PACKAGES = ("confluent-kafka", "orjson", "hyperscan")
CONSUMED = 5_000
WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Drain:
    """Consume in batches, parse, scan, produce."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._consumer = Consumer(
            {
                "bootstrap.servers": task.servers,
                "group.id": task.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.queue.backoff.ms": 1,
            }
        )
        self._producer = Producer({"bootstrap.servers": task.servers, "linger.ms": 20})
        self._database = database(task.patterns)
        self._consumer.subscribe([task.posts_topic])

    def run(self) -> None:
        """Consume to the end; then flush and commit."""
        task, produce = self._task, self._producer.produce
        scan, lengths = self._database.scan, [len(pattern) for pattern in task.patterns]
        text = b""
        found: dict[int, int] = {}  # pattern to its first start

        def on_match(pattern: int, _start: int, end: int, _flags: int, _context: Any) -> None:
            start = end - lengths[pattern]
            if pattern not in found and stands_alone(text, start, end):
                found[pattern] = start

        done = 0
        while done < task.posts:
            if not done:
                task.waiting()
            messages = self._consumer.consume(CONSUMED, 0.1)
            for message in messages:
                post = orjson.loads(message.value())
                text = post["text"].encode()
                scan(text, match_event_handler=on_match)
                if found:
                    matches = [
                        {"pattern": task.patterns[pattern], "start": start}
                        for pattern, start in found.items()
                    ]
                    account = post["account"]["id"]
                    value = action(post["id"], account, matches)
                    produce(task.actions_topic, value, account)
                    found.clear()
            self._producer.poll(0)
            done += len(messages)
        self._producer.flush()
        self._consumer.commit(asynchronous=False)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def stands_alone(text: bytes, start: int, end: int) -> bool:
    """Tell whether a match has word boundaries at both ends."""
    return not (start and text[start - 1] in WORD) and not (end < len(text) and text[end] in WORD)


def database(patterns: list[str]) -> Any:
    """Compile the words."""
    made = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    made.compile(
        expressions=[pattern.encode() for pattern in patterns],
        ids=list(range(len(patterns))),
        flags=[hyperscan.HS_FLAG_CASELESS] * len(patterns),
        literal=True,
    )
    return made
