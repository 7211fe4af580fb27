"""Decide where each assigned partition goes on; pure, so that every case is a table in a test.

Committed beside each offset stands the note `weir1 start=N partitions=M`: where the group began
and how many partitions the topic had. State is rebuilt by reading from there again, and a key
keeps its partition only while M stays the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from worker.domain.errors import ConfigError, RetentionOvertook, StateMismatch
from worker.settings import Start
from worker.transport.protocols import Committed, Partition

_NOTE = re.compile(r"weir1 start=(\d+) partitions=(\d+)")


class Point(NamedTuple):
    """Say where a partition's state begins and where decisions begin."""

    start: int
    committed: int
    partitions: int
    write: bool  # the note must be written before the first record is processed

    @property
    def note(self) -> str:
        """Return the note kept beside the committed offset."""
        return f"weir1 start={self.start} partitions={self.partitions}"


def parse_note(partition: Partition, held: Committed) -> tuple[int, int]:
    """Read start and partition count out of a note.

    Raises:
        StateMismatch: the note is not ours: somebody set the offset by another tool.
    """
    found = _NOTE.fullmatch(held.note)
    if found is None:
        raise StateMismatch(
            f"{partition.topic}-{partition.number}: the committed offset {held.offset} has the "
            f"note {held.note!r} instead of `weir1 start=N partitions=M`, so it was not written "
            "by weir. Delete the group's offsets and begin again with --start, or restore them"
        )
    return int(found[1]), int(found[2])


def points(
    committed: Mapping[Partition, Committed | None],
    beginnings: Mapping[Partition, int],
    counts: Mapping[str, int],
    accepted_gap: int | None,
) -> tuple[dict[Partition, Point], list[Partition]]:
    """Return the points of partitions with an offset, and the partitions that never had one.

    `beginnings` are the first offsets still kept, `counts` the partitions by topic.

    Raises:
        StateMismatch: a foreign note, or a topic whose partition count changed.
        RetentionOvertook: records after a start point are gone; `accepted_gap` must be exactly
            the number in the message to go on without them.
    """
    found: dict[Partition, Point] = {}
    fresh: list[Partition] = []
    gaps: dict[Partition, int] = {}
    for partition, held in sorted(committed.items()):
        if held is None:
            fresh.append(partition)
            continue
        start, count = parse_note(partition, held)
        _check_count(partition, count, counts[partition.topic])
        first = beginnings[partition]
        if first > start:
            gaps[partition] = first - start
        offset = max(held.offset, first)
        found[partition] = Point(max(start, first), offset, count, write=first > start)
    if gaps and sum(gaps.values()) != accepted_gap:
        raise _overtook(gaps, committed, beginnings)
    return found, fresh


def _check_count(partition: Partition, then: int, now: int) -> None:
    if then != now:
        raise StateMismatch(
            f"{partition.topic} had {then} partitions when this group began and has {now} now: "
            "keys have moved away from their state. Begin again with a new topic, or delete the "
            "group's offsets and start with --start"
        )


def _overtook(
    gaps: Mapping[Partition, int],
    committed: Mapping[Partition, Committed | None],
    beginnings: Mapping[Partition, int],
) -> RetentionOvertook:
    total = sum(gaps.values())
    unread = sum(
        max(beginnings[partition] - held.offset, 0)
        for partition, held in committed.items()
        if held is not None
    )
    where = ", ".join(
        f"{partition.topic}-{partition.number} by {gap}" for partition, gap in gaps.items()
    )
    return RetentionOvertook(
        f"retention overtook the start point by {total} records ({where}); {unread} of them were "
        "never read, the others are state that cannot be rebuilt. Raise the topic's retention; to "
        f"go on without them: weir run --accept-retention-gap {total}"
    )


def first_points(
    fresh: Iterable[Partition],
    start: Start | None,
    offsets: Mapping[Partition, int],
    counts: Mapping[str, int],
) -> dict[Partition, Point]:
    """Return the points of a first start; `offsets` are where `start` says to begin.

    Raises:
        ConfigError: no start was given.
    """
    wanted = sorted(fresh)
    if wanted and start is None:
        topics = ", ".join(sorted({partition.topic for partition in wanted}))
        raise ConfigError(
            f"this group has never read {topics}: say where to begin with --start latest, "
            "--start earliest or --start TIME (2026-01-31T12:00:00Z). The earliest post may be "
            "as old as the topic's retention"
        )
    return {
        partition: Point(
            offsets[partition], offsets[partition], counts[partition.topic], write=True
        )
        for partition in wanted
    }
