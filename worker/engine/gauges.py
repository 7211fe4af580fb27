"""Keep the numbers that operators watch: lag by partition, time from post to decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import orjson

from worker.engine.owned import Owned
from worker.obs.names import Hop, Meter
from worker.stages.protocols import Output, Stage
from worker.transport.protocols import Partition

ENTRIES_EVERY_S = 1.0


class Gauges:
    """Write lag and latency into the meter; once per turn, never per record."""

    def __init__(self, meter: Meter, wall: Callable[[], float]) -> None:
        self._meter = meter
        self._wall = wall  # epoch seconds
        self._counted = 0.0

    def lag(self, owned: Iterable[Owned], lags: Mapping[Partition, int]) -> int:
        """Set the lag of each partition and return their sum."""
        behind = 0
        for held in owned:
            lag = lags.get(held.partition)
            if lag is None:
                continue
            behind += lag
            labels = (held.partition.topic, str(held.partition.number))
            self._meter.set("weir_consumer_lag_messages", lag, labels)
            if lag and held.time:
                # The oldest record not processed is at least as new as the last that was.
                self._meter.since("weir_consumer_lag_seconds", held.time / 1000, labels)
            else:
                self._meter.remove("weir_consumer_lag_seconds", labels)
        return behind

    def entries(self, stage: Stage, owned: Iterable[Owned]) -> None:
        """Set how many keys the tables hold; at most once a second, a table may have to count."""
        now = self._wall()
        if now - self._counted < ENTRIES_EVERY_S:
            return
        self._counted = now
        totals: Counter[str] = Counter()
        for held in owned:
            if held.table is not None:
                totals.update(stage.entries(held.table))
        for kind, total in totals.items():
            self._meter.set("weir_state_entries", total, (kind,))

    def forget(self, partition: Partition) -> None:
        """Take the series of a partition away: it may go elsewhere."""
        labels = (partition.topic, str(partition.number))
        self._meter.remove("weir_consumer_lag_messages", labels)
        self._meter.remove("weir_consumer_lag_seconds", labels)

    def latency(self, outputs: list[tuple[Output, Partition]]) -> None:
        """Observe the way of the newest decision of a turn, for all decisions of the turn."""
        hops: dict[Hop, tuple[Output, int]] = {}
        for output, _ in outputs:
            hop: Hop | None = None
            if output.topic == "signals":
                hop = "post_to_signal"
            elif output.topic.startswith("actions."):
                hop = "post_to_action"
            if hop is not None:
                hops[hop] = (output, hops[hop][1] + 1 if hop in hops else 1)
        for hop, (newest, count) in hops.items():
            record = orjson.loads(newest.value or b"{}")
            origin = record.get("origin") or {}
            if isinstance(origin.get("time"), int):
                seconds = max(self._wall() - origin["time"] / 1000, 0.0)
                self._meter.observe("weir_end_to_end_seconds", seconds, (hop,), count)
