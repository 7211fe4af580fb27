"""Count per account over origin time with dictionaries: the meaning of every account window.

The rules are those of docs/time-and-identity.md, rule 2. Nothing here is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastpath.spec import MAX_DISTINCT, RETIRE_MS, TICKS, WindowSpec


class Counted(NamedTuple):
    """Hand back what a record sees of its account's windows after it was counted."""

    values: tuple[int, ...]  # in the order of the specification
    late: bool
    distinct_full: bool
    table_full: bool


class AccountWindows:
    """Hold the windows of the accounts of one input partition, and its stream time."""

    def __init__(self, windows: Sequence[WindowSpec], max_keys: int) -> None:
        self.windows = tuple(windows)
        self.max_keys = max_keys
        self.stream_time: int | None = None
        self.accounts: dict[str, tuple[_Window, ...]] = {}

    def count(
        self, account: str, time: int, links: int, targets: Sequence[str], digest: bytes | None
    ) -> Counted:
        """Count one create or edit and return what it sees.

        `links` is the number of distinct canonical URLs, `targets` the ids it answers or
        reposts, `digest` that of its folded text or None where that is empty.
        """
        self.stream_time = time if self.stream_time is None else max(self.stream_time, time)
        if not self.windows:
            return Counted((), False, False, False)
        windows = self.accounts.get(account)
        if windows is None or self._retired(windows):
            if not self._has_room(account):
                return Counted((0,) * len(self.windows), False, False, True)
            windows = self.accounts[account] = tuple(_Window(spec) for spec in self.windows)
        for window in windows:
            window.retire(self.stream_time)
        late = full = False
        values = []
        for window in windows:
            value, window_late, window_full = window.count(time, links, targets, digest)
            values.append(value)
            late |= window_late
            full |= window_full
        return Counted(tuple(values), late, full, False)

    def _retired(self, windows: tuple[_Window, ...]) -> bool:
        assert self.stream_time is not None  # noqa: S101  # set by the only caller
        return all(window.is_retired(self.stream_time) for window in windows)

    def _has_room(self, account: str) -> bool:
        """Say whether a new account fits; retired ones are forgotten only when it matters."""
        self.accounts.pop(account, None)
        if len(self.accounts) >= self.max_keys:
            live = {name: held for name, held in self.accounts.items() if not self._retired(held)}
            self.accounts = live
        return len(self.accounts) < self.max_keys


class _Window:
    """Keep the newest tick of one account's window and what fell into the eight ticks up to it."""

    def __init__(self, spec: WindowSpec) -> None:
        self.count_of = spec.count
        self.tick_ms = spec.over_ms // TICKS
        self.newest: int | None = None
        self.counts: dict[int, int] = {}  # tick -> sum
        self.seen: dict[str | bytes, set[int]] = {}  # distinct value -> its ticks

    def is_retired(self, stream_time: int) -> bool:
        if self.newest is None:
            return True
        return stream_time >= (self.newest + TICKS) * self.tick_ms + RETIRE_MS

    def retire(self, stream_time: int) -> None:
        if self.newest is not None and self.is_retired(stream_time):
            self.newest = None
            self.counts = {}
            self.seen = {}

    def count(
        self, time: int, links: int, targets: Sequence[str], digest: bytes | None
    ) -> tuple[int, bool, bool]:
        tick = time // self.tick_ms
        if self.newest is not None and tick <= self.newest - TICKS:
            return 0, True, False
        self._advance(tick)
        full = False
        if self.count_of == "posts":
            self._add(tick, 1)
        elif self.count_of == "links":
            self._add(tick, links)
        elif self.count_of == "distinct_targets":
            for target in dict.fromkeys(targets):
                full |= not self._remember(target, tick)
            return sum(self._stands(value, tick) for value in self.seen), False, full
        elif digest is not None:  # repeated_texts
            self._add(tick, int(self._stands(digest, tick)))
            full = not self._remember(digest, tick)
        within = range(tick - TICKS + 1, tick + 1)
        return sum(self.counts.get(kept, 0) for kept in within), False, full

    def _advance(self, tick: int) -> None:
        if self.newest is not None and tick <= self.newest:
            return
        self.newest = tick
        oldest = tick - TICKS + 1
        self.counts = {kept: n for kept, n in self.counts.items() if kept >= oldest}
        kept_ticks = {v: {t for t in ticks if t >= oldest} for v, ticks in self.seen.items()}
        self.seen = {value: ticks for value, ticks in kept_ticks.items() if ticks}

    def _add(self, tick: int, amount: int) -> None:
        self.counts[tick] = self.counts.get(tick, 0) + amount

    def _stands(self, value: str | bytes, tick: int) -> bool:
        return any(tick - TICKS < kept <= tick for kept in self.seen.get(value, ()))

    def _remember(self, value: str | bytes, tick: int) -> bool:
        if value not in self.seen and len(self.seen) >= MAX_DISTINCT:
            return False
        self.seen.setdefault(value, set()).add(tick)
        return True
