"""Turn instruments into Prometheus families at a scrape; the only user of prometheus_client.

Nothing is observed through the client library while the worker runs: one `Histogram.observe`
there costs more than a post does in the hot path.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from worker.obs.instruments import HistogramCells, Instruments, Labels
from worker.obs.names import METRICS, MetricName

# Brings the instruments up to date before a scrape, from counters kept elsewhere (C arrays).
Refresh: TypeAlias = Callable[[], None]
WHOLE_PROCESS = "all"


class WorkerCollector(Collector):
    """Export the instruments of every stage in this process; each series carries `stage`.

    Called by the HTTP thread. A refresh may block for microseconds, never on I/O. One process
    has one collector, and one pod one process: multiprocess mode forbids custom collectors.
    """

    def __init__(
        self,
        stages: Sequence[Instruments],
        refresh: Sequence[Refresh] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not stages:
            raise ValueError("a collector needs the instruments of at least one stage")
        self._stages = tuple(stages)
        self._refresh = tuple(refresh)
        self._clock = clock
        self._started = clock()

    def collect(self) -> Iterator[Family]:
        """Yield one family per metric, in the order of METRICS."""
        for refresh in self._refresh:
            refresh()
        families: dict[MetricName, Family] = {}
        for instruments in self._stages:
            self._numbers(instruments, families)
            self._histograms(instruments, families)
        self._process(families)
        yield from (families[name] for name in METRICS if families.get(name))

    def describe(self) -> Iterator[Family]:
        """Yield nothing: registering must not run a refresh."""
        return iter(())

    def _numbers(self, instruments: Instruments, families: dict[MetricName, Family]) -> None:
        now = self._clock()
        for name, series in instruments.numbers():
            if name.startswith("weir_process_"):
                continue
            family = families.setdefault(name, _family(name))
            age = METRICS[name].kind == "age"
            for labels, value in series:
                shown = max(0.0, now - value) if age else value
                _put(family, name, instruments.stage, labels, shown)

    def _histograms(self, instruments: Instruments, families: dict[MetricName, Family]) -> None:
        for name, series in instruments.histograms():
            family = families.setdefault(name, _family(name))
            assert isinstance(family, HistogramMetricFamily)  # noqa: S101
            edges = [*(str(edge) for edge in METRICS[name].buckets), "+Inf"]
            for labels, cells in series:
                family.add_metric(
                    [instruments.stage, *labels],
                    list(zip(edges, _cumulative(cells), strict=True)),
                    cells.total[0],
                )

    def _process(self, families: dict[MetricName, Family]) -> None:
        """Measure the process itself; with several stages in it, no stage can claim it."""
        stage = self._stages[0].stage if len(self._stages) == 1 else WHOLE_PROCESS
        measured: dict[MetricName, float] = {
            "weir_process_cpu_seconds_total": time.process_time(),
            "weir_process_resident_memory_bytes": _resident_bytes(),
            "weir_process_start_time_seconds": self._started,
        }
        for name, value in measured.items():
            family = families[name] = _family(name)
            _put(family, name, stage, (), value)


class Exposition:
    """Render a collector in the format a scraper asks for."""

    def __init__(self, collector: WorkerCollector) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return body and content type for an Accept header; may take milliseconds."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type


def _family(name: MetricName) -> Family:
    metric = METRICS[name]
    labels = ["stage", *metric.labels]
    match metric.kind:
        case "counter":
            return CounterMetricFamily(name.removesuffix("_total"), metric.help, labels=labels)
        case "histogram":
            return HistogramMetricFamily(name, metric.help, labels=labels)
        case "info":
            return InfoMetricFamily(name.removesuffix("_info"), metric.help, labels=["stage"])
        case "gauge" | "age":
            return GaugeMetricFamily(name, metric.help, labels=labels)


def _put(family: Family, name: MetricName, stage: str, labels: Labels, value: float) -> None:
    if isinstance(family, InfoMetricFamily):
        family.add_metric([stage], dict(zip(METRICS[name].labels, labels, strict=True)))
    elif isinstance(family, CounterMetricFamily | GaugeMetricFamily):
        family.add_metric([stage, *labels], value)


def _cumulative(cells: HistogramCells) -> Iterator[float]:
    return (float(count) for count in accumulate(cells.counts))


def _resident_bytes() -> float:
    """Read resident memory from Linux; elsewhere the peak that getrusage knows, in KiB."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
            return int(statm.read().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
