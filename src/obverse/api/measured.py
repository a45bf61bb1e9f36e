"""Measurements in a `metrics.json` as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from obverse import metrics

if TYPE_CHECKING:
    from obverse.report import Row

HEADER: Row = ("metric", "value", "95 % interval")


def measured_rows(measured: Mapping[str, Any]) -> list[Row]:
    """Title, value and interval of every metric that has a value, in the order of the table of metrics."""
    table = metrics.LABEL_SETS if measured.get("labels") == "multi" else metrics.ONE_LABEL
    estimates = ((metric, _estimate(measured, metric)) for metric in table)
    return [_row(metric, estimate) for metric, estimate in estimates if estimate is not None]


def headline(measured: Mapping[str, Any]) -> str:
    """The first metric that has a value, with its interval."""
    rows = measured_rows(measured)
    if not rows:
        return "nothing measured"
    title, value, interval = rows[0]
    return f"{title} {value}" + (f", 95 % interval {interval}" if interval else "")


def _estimate(measured: Mapping[str, Any], metric: metrics.Metric) -> Mapping[str, Any] | None:
    block = measured.get(metric.block) if metric.block else measured
    estimate = (block or {}).get(metric.key or metric.name)
    return estimate if isinstance(estimate, Mapping) and estimate.get("value") is not None else None


def _row(metric: metrics.Metric, estimate: Mapping[str, Any]) -> Row:
    style = ".1%" if metric.unit == "share" else ".4f"
    low, high = estimate.get("low"), estimate.get("high")
    interval = "" if low is None or high is None else f"{low:{style}} to {high:{style}}"
    return metric.title, f"{estimate['value']:{style}}", interval
