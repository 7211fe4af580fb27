"""Move what a stage counts by itself into the meter, without what it counted while re-reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from worker.obs.names import CounterName, Meter


class Recorder(Protocol):
    """Take over a stage's counters; called after every step."""

    def count(self) -> None:
        """Add what the stage counted since the last call."""

    def skip(self) -> None:
        """Forget what it counted since the last call: it was re-read, not decided."""


class Target(NamedTuple):
    """Name the metric of a counter; `labels` are read from the key, `fixed` come before them."""

    metric: CounterName
    labels: int = 0
    fixed: tuple[str, ...] = ()


# A counter is its name up to the first dot, then labels by dot; the first label may hold dots
# itself (a rule is `policy/rule`). What is not here is for summaries and tests alone.
_SHARED: Mapping[str, Target] = {
    "rule_hits": Target("weir_rule_hits_total", 2),
    "rule_errors": Target("weir_rule_errors_total", 1),
    "dead_letters": Target("weir_dead_letters_total", 2),
}
_METRICS: Mapping[str, Mapping[str, Target]] = {
    "screen": {
        **_SHARED,
        "posts": Target("weir_posts_total", fixed=("post",)),
        "deletes": Target("weir_posts_total", fixed=("delete",)),
        "rejects": Target("weir_posts_total", fixed=("reject",)),
        "flagged": Target("weir_posts_flagged_total"),
        "flag": Target("weir_flags_total", 1),
        "match": Target("weir_list_hits_total", 1),
        "hit": Target("weir_list_hits_total", 1),
        "slow": Target("weir_json_slow_total", 1),
    },
    "correlate": {
        **_SHARED,
        "late": Target("weir_late_sightings_total"),
        "refused": Target("weir_refused_sightings_total"),
    },
    "enforce": {
        "dead_letters": _SHARED["dead_letters"],
        "actions": Target("weir_actions_total", 2),
        "shadow": Target("weir_shadow_actions_total", 1),
        "diverted.breaker": Target("weir_breaker_diverted_total", 1),
    },
}


class StageRecorder:
    """Compare counters with what they were; a counter without a metric is left alone."""

    def __init__(self, stage: str, counters: Callable[[], Mapping[str, int]], meter: Meter) -> None:
        self._targets = _METRICS[stage]
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
        found = self._target(key)
        if found is None:
            return
        target, rest = found
        values = tuple(rest.rsplit(".", target.labels - 1)) if target.labels else ()
        self._meter.add(target.metric, (*target.fixed, *values), amount)

    def _target(self, key: str) -> tuple[Target, str] | None:
        """Find a counter by its name, or by its name and first label."""
        name, _, rest = key.partition(".")
        if name in self._targets:
            return self._targets[name], rest
        first, _, rest = rest.partition(".")
        target = self._targets.get(f"{name}.{first}")
        return None if target is None else (target, rest)
