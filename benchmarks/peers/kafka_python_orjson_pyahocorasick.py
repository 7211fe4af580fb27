"""Drain with what Weir is without its fast path: stock kafka-python, orjson, pyahocorasick."""

from __future__ import annotations

import ahocorasick
import orjson
from kafka import KafkaConsumer, KafkaProducer

from benchmarks.macro.drain import Task, action

PACKAGES = ("kafka-python", "orjson", "pyahocorasick")


class Drain:
    """Poll record objects, parse, walk the automaton, send."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._consumer = KafkaConsumer(
            task.posts_topic,
            bootstrap_servers=task.servers,
            group_id=task.group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self._producer = KafkaProducer(bootstrap_servers=task.servers, linger_ms=20)
        self._automaton = ahocorasick.Automaton()
        for pattern in task.patterns:
            self._automaton.add_word(pattern, pattern)
        self._automaton.make_automaton()

    def run(self) -> None:
        """Consume to the end; then flush and commit."""
        task, iterate, send = self._task, self._automaton.iter, self._producer.send
        done = 0
        while done < task.posts:
            if not done:
                task.waiting()
            polled = self._consumer.poll(timeout_ms=100)
            for records in polled.values():
                done += len(records)
                for record in records:
                    post = orjson.loads(record.value)
                    text = post["text"].lower()
                    found: dict[str, int] = {}
                    for last, pattern in iterate(text):
                        start = last + 1 - len(pattern)
                        if pattern not in found and stands_alone(text, start, last + 1):
                            found[pattern] = start
                    if found:
                        matches = [{"pattern": p, "start": at} for p, at in found.items()]
                        account = post["account"]["id"]
                        value = action(post["id"], account, matches)
                        send(task.actions_topic, value, key=account.encode())
        self._producer.flush()
        self._consumer.commit()

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False)
        self._producer.close()


def stands_alone(text: str, start: int, end: int) -> bool:
    """Tell whether a match has word boundaries at both ends."""
    return not (start and word(text[start - 1])) and not (end < len(text) and word(text[end]))


def word(char: str) -> bool:
    """Tell whether a character is part of words."""
    return char.isalnum() or char == "_"
