"""Describe panels as data and lay them out on Grafana's grid of 24 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
HEIGHT = 8


@dataclass(frozen=True)
class Query:
    """Ask Prometheus; `legend` names a series by its labels."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """Show queries over time, or (kind stat) their last values; `span` is in columns."""

    title: str
    description: str
    unit: str  # of Grafana: s, reqps, percentunit, short, ...
    queries: tuple[Query, ...]
    span: int = 8
    kind: str = "timeseries"


@dataclass(frozen=True)
class Row:
    """Group panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


def add(board: dashboard.Dashboard, rows: Sequence[Row]) -> None:
    """Place rows from the top, panels from the left; ids count up from 1."""
    number = y = 0
    for row in rows:
        number += 1
        board.with_row(
            dashboard.Row(row.title).id(number).grid_pos(GridPos(h=1, w=WIDTH, x=0, y=y))
        )
        y += 1
        x = 0
        for panel in row.panels:
            if x + panel.span > WIDTH:
                x, y = 0, y + HEIGHT
            number += 1
            board.with_panel(_build(panel, number, GridPos(h=HEIGHT, w=panel.span, x=x, y=y)))
            x += panel.span
        y += HEIGHT


def _build(panel: Panel, number: int, place: GridPos) -> stat.Panel | timeseries.Panel:
    builder: stat.Panel | timeseries.Panel
    if panel.kind == "stat":
        builder = stat.Panel()
    else:
        builder = (
            timeseries.Panel()
            .fill_opacity(10)
            .legend(
                common.VizLegendOptions()
                .show_legend(True)
                .display_mode(LegendDisplayMode.LIST)
                .placement(LegendPlacement.BOTTOM)
            )
        )
    builder = (
        builder.id(number)
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(DATASOURCE)
        .grid_pos(place)
    )
    for index, query in enumerate(panel.queries):
        builder = builder.with_target(
            prometheus.Dataquery()
            .ref_id(chr(ord("A") + index))
            .expr(query.expr)
            .legend_format(query.legend)
            .datasource(DATASOURCE)
        )
    return builder
