"""Keep the numbers of one stage as plain arrays, filled by its loop and read at a scrape.

Nothing here imports a metrics client and nothing takes a lock: one thread writes, the scrape
reads. A scrape that falls between two writes sees one of them, which is what a scrape is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from worker.obs.names import (
    MAX_POLICY_LABELS,
    METRICS,
    OTHER,
    AgeName,
    CounterName,
    GaugeName,
    HistogramName,
    InfoName,
    Metric,
    MetricName,
    Stage,
)

Labels: TypeAlias = tuple[str, ...]


class HistogramCells(NamedTuple):
    """Hold one series of a histogram: n edges, n + 1 counts (the last is above all), the sum."""

    counts: array[int]
    total: array[float]  # one element


class Instruments:
    """Hold every series of one stage; implements `worker.obs.names.Meter`.

    Series that METRICS presets exist from the start at zero. A write to a metric that another
    stage fills raises KeyError: it is a programming error, not a measurement.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage: Stage = stage
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, HistogramCells]] = {}
        self._policy_labels: dict[str, set[str]] = {"rule": set(), "list": set()}
        for name, metric in METRICS.items():
            if stage not in metric.stages:
                continue
            if metric.kind == "histogram":
                self._histograms[name] = {labels: _cells(metric) for labels in metric.preset}
            elif metric.kind == "age":
                self._numbers[name] = {}
            else:
                self._numbers[name] = dict.fromkeys(metric.preset, 0.0)

    def add(self, name: CounterName, labels: Labels = (), amount: float = 1) -> None:
        """Raise a counter; `amount` is never negative."""
        series = self._numbers[name]
        before = series.get(labels)
        if before is None:
            labels = self._admit(name, labels)
            before = series.get(labels, 0.0)
        series[labels] = before + amount

    def declare(self, name: CounterName, labels: Labels) -> None:
        """Make a counter's series exist at zero (rules and lists of the bundle, topics)."""
        self.add(name, labels, 0)

    def set(self, name: GaugeName, value: float, labels: Labels = ()) -> None:
        """Set a gauge."""
        series = self._numbers[name]
        if labels not in series:
            labels = self._admit(name, labels)
        series[labels] = value

    def since(self, name: AgeName, moment: float, labels: Labels = ()) -> None:
        """Set the epoch second from which an age is counted."""
        series = self._numbers[name]
        if labels not in series:
            labels = self._admit(name, labels)
        series[labels] = moment

    def inform(self, name: InfoName, labels: Labels) -> None:
        """Replace an info metric's one series."""
        self._numbers[name] = {self._admit(name, labels): 1.0}

    def observe(
        self, name: HistogramName, value: float, labels: Labels = (), count: int = 1
    ) -> None:
        """Put `count` observations of `value` into a histogram; an edge belongs below itself."""
        series = self._histograms[name]
        cells = series.get(labels)
        if cells is None:
            cells = series[self._admit(name, labels)] = _cells(METRICS[name])
        cells.counts[bisect_left(METRICS[name].buckets, value)] += count
        cells.total[0] += value * count

    def remove(self, name: GaugeName | AgeName, labels: Labels) -> None:
        """Take a series away; one that is not there already is no error."""
        self._numbers[name].pop(labels, None)

    def value(self, name: CounterName | GaugeName | AgeName, labels: Labels = ()) -> float:
        """Return a stored number (an age's is its moment); a series not there raises KeyError."""
        return self._numbers[name][labels]

    def numbers(self) -> Iterator[tuple[MetricName, list[tuple[Labels, float]]]]:
        """Yield a copy of every metric that is not a histogram, in the order of METRICS."""
        for name in METRICS:
            series = self._numbers.get(name)
            if series is not None:
                yield name, list(series.items())

    def histograms(
        self,
    ) -> Iterator[tuple[MetricName, list[tuple[Labels, HistogramCells]]]]:
        """Yield a copy of every histogram, in the order of METRICS."""
        for name in METRICS:
            series = self._histograms.get(name)
            if series is not None:
                yield (
                    name,
                    [
                        (labels, HistogramCells(cells.counts[:], cells.total[:]))
                        for labels, cells in list(series.items())
                    ],
                )

    def _admit(self, name: MetricName, labels: Labels) -> Labels:
        """Check a new series; fold a policy's label into `other` past the bound."""
        metric = METRICS[name]
        if len(labels) != len(metric.labels):
            raise ValueError(
                f"{name} takes the labels {metric.labels!r}, not the values {labels!r}"
            )
        if not metric.bounded:
            return labels
        known = self._policy_labels[metric.bounded]
        at = metric.labels.index(metric.bounded)
        if labels[at] not in known:
            if len(known) >= MAX_POLICY_LABELS:
                return (*labels[:at], OTHER, *labels[at + 1 :])
            known.add(labels[at])
        return labels


def _cells(metric: Metric) -> HistogramCells:
    return HistogramCells(array("q", [0] * (len(metric.buckets) + 1)), array("d", [0.0]))
