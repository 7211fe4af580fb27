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


# How a counter becomes a metric: its name up to the first dot, then the labels by dot from the
# right, since a rule (`policy/rule`) may hold dots. A fixed label comes last.
_METRICS: Mapping[str, tuple[CounterName, int]] = {
    "rule_hits": ("weir_rule_hits_total", 2),
    "rule_errors": ("weir_rule_errors_total", 1),
    "dead_letters": ("weir_dead_letters_total", 2),
    "late": ("weir_late_sightings_total", 0),
    "flagged": ("weir_posts_flagged_total", 0),
    "flag": ("weir_flags_total", 1),
    "match": ("weir_list_hits_total", 1),
    "hit": ("weir_list_hits_total", 1),
    "diverted.breaker": ("weir_breaker_diverted_total", 1),
}
# Counters whose name alone says the labels.
_EXACT: Mapping[str, tuple[CounterName, tuple[str, ...]]] = {
    "posts": ("weir_posts_total", ("post",)),
    "deletes": ("weir_posts_total", ("delete",)),
    "rejects": ("weir_posts_total", ("reject",)),
    "slow_posts": ("weir_json_slow_total", ("field_map",)),
    "flag.matches_truncated": ("weir_matches_dropped_total", ()),
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
        if key in _EXACT:
            metric, values = _EXACT[key]
            self._meter.add(metric, values, amount)
        name, _, rest = key.partition(".")
        if key.startswith("diverted.breaker."):
            name, rest = "diverted.breaker", key.removeprefix("diverted.breaker.")
        if name == "actions":
            # Whether a person had decided is in the record; reviews are rare beside rules.
            self._meter.add("weir_actions_total", (rest, "yes"), amount)
        elif name in _METRICS:
            metric, labels = _METRICS[name]
            values = tuple(rest.rsplit(".", labels - 1)) if labels else ()
            self._meter.add(metric, values, amount)
