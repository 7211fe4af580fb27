"""Read the expressions of dashboards and alerts, and the metrics that they name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from worker.obs.names import METRICS

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy" / "monitoring" / "dashboards" / "weir.json"
# What Grafana puts in where a person has chosen nothing.
VARIABLES = {"$stage": ".*", "$instance": ".*", "$__rate_interval": "1m"}


def dashboard_queries() -> list[str]:
    """Return every expression of the committed dashboard, variables and all."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]


def rule_expressions(path: Path) -> list[str]:
    """Return every expression of a file of rules."""
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def resolve(expression: str, **values: str) -> str:
    """Put values in the place of Grafana's variables."""
    known = VARIABLES | {f"${name}": value for name, value in values.items()}
    for name in sorted(known, key=len, reverse=True):
        expression = expression.replace(name, known[name])
    return expression


def metric_names(expression: str) -> set[str]:
    """Return the metrics that an expression reads; a histogram's parts count as the histogram.

    Raises:
        ValueError: the expression does not parse.
    """
    names = set()
    for selector in _selectors(promql_parser.parse(resolve(expression))):
        name = selector.name
        for suffix in ("_bucket", "_sum", "_count"):
            stem = name.removesuffix(suffix)
            metric = METRICS.get(stem)  # type: ignore[call-overload]
            if stem != name and metric is not None and metric.kind == "histogram":
                name = stem
        names.add(name)
    return names


def _selectors(node: Any) -> Iterator[Any]:
    match node:
        case promql_parser.VectorSelector():
            yield node
        case promql_parser.MatrixSelector():
            yield node.vector_selector
        case promql_parser.BinaryExpr():
            yield from _selectors(node.lhs)
            yield from _selectors(node.rhs)
        case promql_parser.Call():
            for argument in node.args:
                yield from _selectors(argument)
        case promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from _selectors(node.expr)
        case promql_parser.SubqueryExpr():
            yield from _selectors(node.expr)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            raise TypeError(f"unknown part of an expression: {type(node).__name__}")
