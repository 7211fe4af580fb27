"""Offer posts on a fixed schedule, whatever the system under test does.

Post `n` is due at `begin + n / rate`; it is sent then or, where the sender was late, as soon as it
can be, and its latency counts from when it was due. A closed loop, which waits for the system
before it sends on, would leave out the very posts that waited longest (coordinated omission).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

from hdrh.histogram import HdrHistogram

from benchmarks.kafka_posts import sender
from fastpath.batch_writer import partition_of

FIRST_ID = 1_438_000_000_000_000_000
ACCOUNTS = 200_000
LONGEST_US = 600_000_000
DIGITS = 3  # significant ones of every histogram here
TICK_S = 0.0002
PRIORITY = 10  # of SCHED_FIFO, where the machine grants it: a late generator voids a run


def histogram() -> HdrHistogram:
    """Make an empty histogram of microseconds."""
    return HdrHistogram(1, LONGEST_US, DIGITS)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Say which posts are due when."""

    first: int  # number of the first post
    count: int
    rate: float  # posts per second
    begin: float  # monotonic seconds; one clock for generator and reader

    def due(self, number: int) -> float:
        """Return when a post is due, monotonic seconds."""
        return self.begin + (number - self.first) / self.rate

    @property
    def end(self) -> float:
        """Return when the last post is due."""
        return self.begin + self.count / self.rate


class Offered(NamedTuple):
    """Hold what the generator says after its last post."""

    lag: HdrHistogram  # microseconds from due to handed over
    cpu_seconds: float


class Generator:
    """Own the process that sends; made once, it offers one schedule after another."""

    def __init__(
        self, servers: str, topic: str, partitions: int, linger_ms: int, bodies: Sequence[bytes]
    ) -> None:
        """Start the process.

        `bodies` are the members of the posts behind id and created_at; `linger_ms` is what its
        client waits for more of a batch, part of every latency as it is of a platform's.
        """
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve,
            args=(theirs, servers, topic, partitions, linger_ms, list(bodies)),
            daemon=True,
        )
        self._process.start()
        self._ours.recv()

    def offer(self, schedule: Schedule) -> None:
        """Begin with a schedule; returns at once."""
        self._ours.send(schedule)

    def offered(self) -> Offered:
        """Wait until every post of the schedule was acknowledged by the broker."""
        encoded, cpu = self._ours.recv()
        return Offered(HdrHistogram.decode(encoded), cpu)

    def close(self) -> None:
        """End the process."""
        self._ours.send(None)
        self._process.join()


def _serve(
    pipe: Connection,
    servers: str,
    topic: str,
    partitions: int,
    linger_ms: int,
    bodies: list[bytes],
) -> None:
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    accounts = [b"u%d" % number for number in range(ACCOUNTS)]
    places = [partition_of(account, partitions) for account in accounts]
    pipe.send("ready")
    while (schedule := pipe.recv()) is not None:
        cpu = time.process_time()
        lag = histogram()
        with sender(servers, topic, linger_ms) as send:
            since = time.time() - time.monotonic()
            for number in _due(schedule, lag):
                account = number % ACCOUNTS
                time_ms = int((schedule.due(number) + since) * 1000)
                head = b'{"id":"%d","created_at":%d,"account":{"id":"%b"},' % (
                    FIRST_ID + number,
                    time_ms,
                    accounts[account],
                )
                body = bodies[number % len(bodies)]
                send(head + body, accounts[account], places[account], time_ms)
        pipe.send((lag.encode(), time.process_time() - cpu))


def _due(schedule: Schedule, lag: HdrHistogram) -> Iterator[int]:
    """Yield each post when it is due; all of one tick count as late as the first of them."""
    at, end = schedule.first, schedule.first + schedule.count
    while at < end:
        now = time.monotonic()
        until = min(schedule.first + int((now - schedule.begin) * schedule.rate) + 1, end)
        if until <= at:
            time.sleep(TICK_S)
            continue
        lag.record_value(max(int((now - schedule.due(at)) * 1e6), 1), until - at)
        yield from range(at, until)
        at = until
