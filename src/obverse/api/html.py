"""HTML of a result as a notebook shows it: plain tables, which take the notebook's own style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from obverse import metrics


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every cell is escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def estimates_of(measured: Mapping[str, Any]) -> list[tuple[metrics.Metric, Mapping[str, Any]]]:
    """The metrics in a `metrics.json` that have a value, in the order of the table of metrics."""
    rows = metrics.LABEL_SETS if measured.get("labels") == "multi" else metrics.ONE_LABEL
    pairs = []
    for metric in rows:
        block = measured.get(metric.block) if metric.block else measured
        estimate = (block or {}).get(metric.key or metric.name)
        if isinstance(estimate, Mapping) and estimate.get("value") is not None:
            pairs.append((metric, estimate))
    return pairs


def estimate_cells(metric: metrics.Metric, estimate: Mapping[str, Any]) -> tuple[str, str, str]:
    """Title, value and 95 % interval."""
    style = ".1%" if metric.unit == "share" else ".4f"
    low, high = estimate.get("low"), estimate.get("high")
    interval = "" if low is None or high is None else f"{low:{style}} to {high:{style}}"
    return metric.title, f"{estimate['value']:{style}}", interval
