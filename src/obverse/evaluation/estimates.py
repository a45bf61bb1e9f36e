"""Estimates: metric values with their 95 % intervals, for one class per sample and for label sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse import metrics
from obverse.metrics import FloatArray


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its 95 % interval."""

    value: float

    low: float | None
    """Lower end; None where no interval is defined."""

    high: float | None
    """Upper end; None where no interval is defined."""

    reason: str = ""
    """Why there is no interval."""


Estimates = Mapping[str, Estimate | None]


def estimates_of(answers: metrics.OneLabel | metrics.LabelSets) -> dict[str, Estimate | None]:
    """Estimates of all metrics that apply to the data: name -> estimate, in the order of the metric table."""
    return {
        metric.name: estimate(metric.value(answers), metric.interval(answers))
        for metric in metrics.TABLE
        if metric.applies_to(answers)
    }


def estimate_share(hits_N: npt.NDArray[np.bool_], units: metrics.Units) -> Estimate:
    """The share of true values, with its interval."""
    ends = metrics.share_interval(hits_N, units)
    return Estimate(float(hits_N.mean()), none_if_nan(ends.low), none_if_nan(ends.high), ends.reason)


def estimate_mean(values_N: FloatArray, units: metrics.Units, *, bounds: tuple[float, float]) -> Estimate | None:
    """The mean of one value per sample, with its interval; None without samples. All values must be within `bounds`."""
    return estimate(float(values_N.mean()), metrics.bounded_mean_interval(values_N, units, bounds=bounds))


def estimate(value: float, interval: metrics.Interval) -> Estimate | None:
    """The estimate of a value and its interval; None where the value is NaN."""
    if math.isnan(value):
        return None
    return Estimate(value, none_if_nan(interval.low), none_if_nan(interval.high), interval.reason)


def none_if_nan(value: float) -> float | None:
    """The value; None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


def in_blocks(estimates: Mapping[str, Any], table: Sequence[metrics.Metric]) -> dict[str, Any]:
    """Estimates in the nesting of metrics.json: those of a metric with a `block` under that key."""
    blocks: dict[str, Any] = {}
    for metric in table:
        place = blocks.setdefault(metric.block, {}) if metric.block else blocks
        if metric.name in estimates:
            place[metric.key or metric.name] = estimates[metric.name]
    return blocks


def out_of_blocks(values: Mapping[str, Any], table: Sequence[metrics.Metric]) -> dict[str, Estimate | None]:
    """Estimates of the metrics in metrics.json, inverse of `in_blocks`; metrics that are not there are left out."""
    estimates: dict[str, Estimate | None] = {}
    for metric in table:
        place = (values.get(metric.block) or {}) if metric.block else values
        key = metric.key or metric.name
        if key in place:
            estimates[metric.name] = None if place[key] is None else Estimate(**place[key])
    return estimates


def in_place(values: Mapping[str, Any], blocks: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with its key `estimates` replaced by the keys of `blocks`, at the same position."""
    placed: dict[str, Any] = {}
    for key, value in values.items():
        placed |= blocks if key == "estimates" else {key: value}
    return placed
