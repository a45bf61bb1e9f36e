"""The table of all metrics.

Evaluation, `training.select`, compare, sweeps, criteria and reports read it and have no lists of their own. To add a
metric, add it to a file in `families/`.
"""

from __future__ import annotations

from .answers import LabelSets, OneLabel
from .counts import FloatArray
from .families import classes, order, probabilities, ranking
from .metric import Metric

TABLE: tuple[Metric, ...] = (*classes.METRICS, *probabilities.METRICS, *ranking.METRICS, *order.METRICS)
"""All metrics, in the order of reports and tables."""

ONE_LABEL = tuple(
    sorted((m for m in TABLE if m.one_label), key=lambda m: not (m.one_label and m.one_label.is_headline))
)
"""Metrics for one class per sample, ordered or not; the headline first."""

LABEL_SETS = tuple(
    sorted((m for m in TABLE if m.label_sets), key=lambda m: not (m.label_sets and m.label_sets.is_headline))
)
"""Metrics for multi-label data; the headline first."""

PROBABILITIES: tuple[Metric, ...] = probabilities.METRICS
"""Metrics of the probabilities themselves, which calibration improves; the proper scores first."""

NAMES = tuple(dict.fromkeys(name for metric in TABLE if metric.is_compared for name in metric.names))
"""Valid values of `training.select` and of a criterion's `metric`."""

LOWER_IS_BETTER = frozenset(name for metric in TABLE if metric.better == "lower" for name in metric.names)


def compared(*, label_sets: bool = False) -> tuple[Metric, ...]:
    """Metrics by which epochs and runs on this kind of data are compared; the headline first."""
    return tuple(metric for metric in (LABEL_SETS if label_sets else ONE_LABEL) if metric.is_compared)


def too_few(answers: OneLabel | LabelSets) -> dict[str, str]:
    """Metrics by which runs on these samples cannot be compared because there are too few samples: name -> reason."""
    asked = ((metric.name, metric.measure_for(answers).too_few) for metric in TABLE if metric.applies_to(answers))
    return {name: why for name, find in asked if find and (why := find(answers))}


def class_scores_of(answers: OneLabel | LabelSets) -> dict[str, FloatArray]:
    """Scores of each class (K) by the column of results.csv; NaN where one is not defined."""
    columns = ((metric.class_key, metric.per_class(answers)) for metric in TABLE if metric.applies_to(answers))
    return {key: scores_K for key, scores_K in columns if scores_K is not None}


def metric_of(name: str, *, label_sets: bool = False) -> Metric:
    """The metric of that name for this kind of data, which must exist."""
    metric = metric_named(name, label_sets=label_sets)
    assert metric is not None, name
    return metric


def metric_named(name: str, *, label_sets: bool = False) -> Metric | None:
    """The metric of that name for this kind of data; None where that kind has none."""
    return next((metric for metric in (LABEL_SETS if label_sets else ONE_LABEL) if name in metric.names), None)
