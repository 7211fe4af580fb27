"""Say what the compiled core makes of a bundle's keyword lists; `weir check` prints it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from fastpath.keywords import Keywords
from fastpath.lanes import Remark
from worker.policy.bundle import Bundle

_SAID: dict[Remark, str] = {
    "duplicate": "the same as an earlier one in the lane {lane}",
    "unbounded_start": "without a boundary before it, since its script or sign has none",
    "unbounded_end": "without a boundary behind it, since its script or sign has none",
    "dominated": "around a shorter entry of the list: a longer span, never another post",
    "excepted": "equal to an exception of the list: never a match",
    "idle_exception": "an exception in which no entry of the list stands",
}


@dataclass(frozen=True, slots=True)
class Noted:
    """Count the entries of one list about which the build says the same; show the first."""

    list: str
    lane: str
    remark: Remark
    entries: int
    first: str

    def __str__(self) -> str:
        said = _SAID[self.remark].format(lane=self.lane)
        more = f" and {self.entries - 1:,} more" if self.entries > 1 else ""
        return f"list {self.list}: `{self.first}`{more}: {said}"


@dataclass(frozen=True, slots=True)
class KeywordReport:
    """Report the size of a bundle's keyword table, how long it took to build, and its notes."""

    entries: int
    table_bytes: int
    build_seconds: int  # whole ones
    notes: tuple[Noted, ...]

    def __str__(self) -> str:
        seconds = f"{self.build_seconds} s" if self.build_seconds else "less than a second"
        size = f"{self.table_bytes / 1024:,.0f} KiB"
        return f"keywords: {self.entries:,} entries, {size} of tables, built in {seconds}"


def report_keywords(bundle: Bundle) -> KeywordReport:
    """Build the keyword table of a bundle and report it; blocks as long as the build takes.

    Raises:
        BuildError: The core cannot hold the lists.
    """
    built = Keywords(bundle.keyword_lists)
    noted: dict[tuple[str, str, Remark], list[str]] = defaultdict(list)
    for note in built.notes:
        noted[note.list, note.lane, note.remark].append(note.pattern)
    return KeywordReport(
        entries=sum(len(held.patterns) for held in bundle.keyword_lists),
        table_bytes=built.table_bytes,
        build_seconds=int(built.build_seconds),
        notes=tuple(Noted(*place, len(patterns), patterns[0]) for place, patterns in noted.items()),
    )
