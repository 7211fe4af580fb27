"""Move what a stage counts by itself into the meter, without what it counted while re-reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from worker.obs.names import CounterName, Meter


class Recorder(Protocol):
    """Take over a stage's counters; called after every step."""

    def count(self) -> None:
        """Add what the stage counted since the last call."""

    def skip(self) -> None:
        """Forget what it counted since the last call: it was re-read, not decided."""


# How a stage's counter becomes a metric: its name up to the first dot, then labels by dot. The
# last label of a `rule_hits` entry is the mode; a rule is `policy/rule` and may hold dots.
_METRICS: Mapping[str, tuple[CounterName, int]] = {
    "rule_hits": ("weir_rule_hits_total", 2),
    "rule_errors": ("weir_rule_errors_total", 1),
    "dead_letters": ("weir_dead_letters_total", 2),
    "actions": ("weir_actions_total", 2),
    "breaker_diverted": ("weir_breaker_diverted_total", 1),
    "late": ("weir_late_sightings_total", 0),
    "posts": ("weir_posts_total", 1),
    "flagged": ("weir_posts_flagged_total", 0),
    "flag": ("weir_flags_total", 1),
    "hit": ("weir_list_hits_total", 1),
    "slow": ("weir_json_slow_total", 1),
    "truncated": ("weir_matches_dropped_total", 0),
}


class StageRecorder:
    """Compare counters with what they were; a counter without a metric is left alone."""

    def __init__(self, counters: Callable[[], Mapping[str, int]], meter: Meter) -> None:
        self._counters = counters
        self._meter = meter
        self._seen: dict[str, int] = dict(counters())

    def count(self) -> None:
        """Add what the stage counted since the last call."""
        now = dict(self._counters())
        for key, total in now.items():
            amount = total - self._seen.get(key, 0)
            if amount > 0:
                self._add(key, amount)
        self._seen = now

    def skip(self) -> None:
        """Forget what it counted since the last call."""
        self._seen = dict(self._counters())

    def _add(self, key: str, amount: int) -> None:
        name, _, rest = key.partition(".")
        found = _METRICS.get(name)
        if found is None:
            return
        metric, labels = found
        values = tuple(rest.rsplit(".", labels - 1)) if labels else ()
        if len(values) == labels and all(values):
            self._meter.add(metric, values, amount)
