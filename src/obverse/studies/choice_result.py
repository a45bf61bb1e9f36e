"""Decision among ways of training, from their predictions on the same samples.

The best way by the selection metric is chosen, unless one that comes before it is within a standard error of it (the
rule of Breiman et al. 1984, with the standard error of the paired difference, which is smaller than that of either).

Where the metric is a mean over samples, such as accuracy or mean absolute error, that is the plain standard error of
the mean difference per sample, with groups as clusters. Other metrics have it from their 95 % interval, a bootstrap's,
which on few samples is too narrow: it never draws a difference that no sample has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from obverse.evaluation import (
    Difference,
    Predictions,
    differences,
    gain_in,
    gain_in_accuracy,
    is_better,
    joint_units,
    require_same_samples,
)
from obverse.metrics import FloatArray, Metric, metric_of, spread
from obverse.recipe import Settings

# Two-sided level at which a way is left out after its first fold: many pairs are tested, and on a part of the samples.
CLEARLY = 0.01
# Part by which rounding may make a difference of exactly one standard error larger than it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Gap:
    """The difference best - way of the selection metric."""

    difference: Difference
    error: float
    """Its standard error."""

    @property
    def is_close(self) -> bool:
        """Whether the way is within a standard error of the best one."""
        return abs(self.difference.value) <= self.error * (1 + ROUNDING)


@dataclass(frozen=True)
class Trained:
    """A way of training after its folds."""

    name: str
    settings: Settings

    pooled: Predictions | None
    """The out-of-fold predictions; None for a way that was left out."""

    seconds: float
    """Training time of all its folds."""

    num_folds: int
    """Number of folds that were trained to their end."""

    left_out: str = ""
    """Why it was left out."""


def choice_values(trained: Sequence[Trained], select: str, folds: int) -> dict[str, Any]:
    """The content of choice.json. trained: the ways, the preferred ones first."""
    pooled = {way.name: way.pooled for way in trained if way.pooled is not None}
    first = next(iter(pooled.values()))
    metric = metric_for(select, first)
    best = best_of(pooled, select)
    behind = {name: gap(pooled[name], pooled[best], select) for name in pooled if name != best}
    chosen = next(name for name in pooled if name == best or ((it := behind[name]) and it.is_close))
    return {
        "chosen": chosen,
        "best": best,
        "why": _why(chosen, best, metric, behind, num_samples=len(first.ids), folds=folds),
        "folds": folds,
        "select": metric.name,
        "title": metric.title,
        "unit": metric.unit,
        "ways": [_way_values(way, metric, behind.get(way.name)) for way in trained],
    }


def _why(
    chosen: str, best: str, metric: Metric, behind: Mapping[str, Gap | None], *, num_samples: int, folds: int
) -> str:
    """The choice in a sentence."""
    where = f"by {metric.title} over {folds} folds of {num_samples} samples"
    if chosen == best:
        return f"way of training: {chosen}, the best {where}"
    it = behind[chosen]
    assert it is not None
    return (
        f"way of training: {chosen}, preferred unless another is better by more than a standard error; the best, "
        f"{best}, is not, {where} (difference {abs(it.difference.value):.3g}, standard error {it.error:.3g})"
    )


def _way_values(way: Trained, metric: Metric, behind: Gap | None) -> dict[str, Any]:
    """One way in choice.json."""
    values: dict[str, Any] = {"name": way.name, "settings": way.settings, "value": None, "low": None, "high": None}
    if way.pooled is not None:
        outcome = way.pooled.labelled().outcome
        interval = metric.interval(outcome)
        numbers = {"value": metric.value(outcome), "low": interval.low, "high": interval.high}
        values |= {name: number if math.isfinite(number) else None for name, number in numbers.items()}
    it = behind and behind.difference
    difference = it and {"value": it.value, "low": it.low, "high": it.high}
    return {
        **values,
        "best_minus_it": difference,
        "seconds": way.seconds,
        "folds": way.num_folds,
        "left_out": way.left_out,
    }


def metric_for(select: str, predictions: Predictions) -> Metric:
    """The selection metric for this kind of data."""
    return metric_of(select, label_sets=predictions.kind.is_set)


def best_of(ways: Mapping[str, Predictions], select: str) -> str:
    """The way with the best value; of equal ones the first."""
    best, best_value = "", None
    for name, predictions in ways.items():
        value = value_of(predictions, select)
        if not best or (math.isfinite(value) and is_better(select, value, best_value)):
            best, best_value = name, value if math.isfinite(value) else None
    return best


def clearly_worse(ways: Mapping[str, Predictions], select: str) -> dict[str, float]:
    """Way -> p-value, of the ways that are worse than the best one at the level CLEARLY."""
    best = best_of(ways, select)
    behind = {name: gap(ways[name], ways[best], select) for name in ways if name != best}
    gaps = {name: it.difference for name, it in behind.items() if it}
    return {name: it.p_value for name, it in gaps.items() if it.favours_other and it.p_value < CLEARLY}


def value_of(predictions: Predictions, select: str) -> float:
    """The value of the selection metric; NaN where it is not defined."""
    return metric_for(select, predictions).value(predictions.labelled().outcome)


def gap(way: Predictions, best: Predictions, select: str) -> Gap | None:
    """The difference of two ways; None where there are too few samples for an interval."""
    aligned = require_same_samples(way, best, ("one way", "another"))
    metric = metric_for(select, way)
    difference = differences([way], [aligned]).get(metric.name)
    if difference is None:
        return None
    gain_N = _gain(metric, way.labelled(), aligned.labelled())
    if gain_N is None:
        return Gap(difference, (difference.high - difference.low) / (2 * NormalDist().inv_cdf(0.975)))
    units = joint_units([way.labelled(), aligned.labelled()])
    return Gap(difference, math.sqrt(spread((gain_N - gain_N.mean()) / len(gain_N), units).variance))


def _gain(metric: Metric, way: Predictions, best: Predictions) -> FloatArray | None:
    """Gain of each sample (N), whose mean is the difference of the metric; None where it is no mean over samples."""
    if metric.measure_for(way.outcome).of_samples:
        return gain_in(metric, way, best)
    if metric.name == "accuracy":
        return gain_in_accuracy(way, best).astype(np.float64)
    if metric.name == "mean_absolute_error":
        steps_N, best_N = (np.abs(run.answers - run.truth) for run in (way, best))
        gain_N: FloatArray = (best_N - steps_N).astype(np.float64)
        return gain_N
    return None
