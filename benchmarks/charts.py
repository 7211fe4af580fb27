"""Draw records as SVG: per benchmark one group of bars, one bar per engine, ranges as lines."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "record" / "charts"
INSTALL = "pip install --group bench"
# What a chart of a family shows, the first that its records have.
SHOWN = (("recall", "share found"), ("posts_per_s", "{unit}s per second"))
_COLOURS = ("#1b6ca8", "#e08e45", "#7a9e7e", "#a23b72", "#8d99ae", "#c9ada7", "#5c677d")
# Equal records give equal files: no date, and ids that do not depend on chance.
_STYLE = {"svg.hashsalt": "weir", "font.size": 9, "axes.spines.top": False,
          "axes.spines.right": False}  # fmt: skip


def draw(records: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Draw one chart per machine and family into `folder`; return the files written."""
    families: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for each in records:
        families[each["machine"]["slug"], each["name"].partition("/")[0]].append(each)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _chart(family, members, folder / f"{machine}-{family}.svg")
        for (machine, family), members in sorted(families.items())
    ]


def _chart(family: str, records: Sequence[Mapping[str, Any]], path: Path) -> Path:
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise SystemExit(f"charts need matplotlib: {INSTALL}") from None
    figure_name, label = next(
        (name, text) for name, text in SHOWN
        if any(figures.get(name) for each in records for figures in each["engines"].values())
    )  # fmt: skip
    engines = list(dict.fromkeys(engine for each in records for engine in each["engines"]))
    with rc_context(_STYLE):
        height = 0.9 + 0.24 * sum(len(each["engines"]) + 1 for each in records)
        figure = Figure(figsize=(7.2, height), layout="constrained")
        axes = figure.add_subplot()
        place, ticks = 0, []
        for each in records:
            shown = {name: own[figure_name] for name, own in each["engines"].items()
                     if own.get(figure_name)}  # fmt: skip
            for row, (engine, values) in enumerate(shown.items(), place):
                _bar(axes, row, engine, values, _COLOURS[engines.index(engine) % len(_COLOURS)])
            ticks.append((place + (len(shown) - 1) / 2, each["name"]))
            place += len(shown) + 1
        axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
        axes.invert_yaxis()
        axes.margins(x=0.25)
        axes.set_xlabel(label.format(unit=records[0]["unit"]) + ", median and range")
        axes.set_title(f"{family} ({records[0]['machine']['model']})", loc="left", fontsize=9)
        FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None})
    return path


def _bar(axes: Any, row: int, engine: str, values: Sequence[float], colour: str) -> None:
    middle, low, high = statistics.median(values), min(values), max(values)
    axes.barh(row, middle, color=colour, height=0.8)
    axes.errorbar(middle, row, xerr=[[middle - low], [high - middle]], color="black", lw=0.8)
    axes.annotate(f" {engine}: {middle:,.4g}", (high, row), va="center", fontsize=7)
