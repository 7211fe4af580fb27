"""Write docs/metrics.md from the registry: python -m worker.obs.document > docs/metrics.md."""

from __future__ import annotations

import sys

from worker.obs.names import METRICS, STAGES

_HEAD = """\
# Metrics

Every series carries the label `stage`. `/metrics` of each worker serves them, beside `/livez`,
`/readyz` and `/startupz`. No account, text or URL stands in a label; `rule` and `list` are bounded
at 2,000 values, the rest count as `other`. This page is written from `worker/obs/names.py`.

| metric | kind, labels | stages | meaning |
| --- | --- | --- | --- |
"""
_KINDS = {"age": "gauge"}


def page() -> str:
    """Return the page's text."""
    lines = []
    for name, metric in METRICS.items():
        kind = _KINDS.get(metric.kind, metric.kind)
        labels = f" {{{', '.join(metric.labels)}}}" if metric.labels else ""
        stages = "all" if metric.stages == STAGES else ", ".join(metric.stages)
        lines.append(f"| `{name}` | {kind}{labels} | {stages} | {metric.help} |\n")
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
