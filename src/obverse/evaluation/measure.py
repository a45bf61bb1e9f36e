"""Predictions to numbers, each with its 95 % interval.

Not a judgement and no text: `obverse.evaluation.sections` words it. Samples without a label are left out and counted.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse import metrics
from obverse.errors import DataError
from obverse.evaluation.predictions import Predictions
from obverse.metrics.counts import FloatArray, IntArray

TOP_K = (3, 5)
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Floor of a probability in the loss: one underflow to 0 costs 87, not infinity."""

_STATISTICS = {
    "balanced_accuracy": metrics.balanced_accuracy,
    "macro_precision": metrics.macro_precision,
    "macro_recall": metrics.balanced_accuracy,
    "macro_f1": metrics.macro_f1,
}
_ORDINAL_STATISTICS = {
    "mean_absolute_error": metrics.mean_absolute_error,
    "within_one": metrics.within_one,
    "quadratic_kappa": metrics.quadratic_kappa,
}


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; no ends where the interval is not defined."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class OrdinalMetrics:
    """Distance in steps between neighbouring classes; kappa is None where only one class occurs."""

    mean_absolute_error: Estimate | None
    within_one: Estimate | None
    quadratic_kappa: Estimate | None


@dataclass(frozen=True)
class ViewMetrics:
    """One view alone, over the `num_samples` labelled samples that have it."""

    num_samples: int
    accuracy: Estimate | None


@dataclass(frozen=True)
class ViewsMetrics:
    """Each view alone, and how often the views contradict each other among the samples that have all of them.

    graded: each view by its own head, where views have one; then it is these that disagree. steps_apart: of ordered
    classes, how far the views' grades lie apart on average, in steps.
    """

    alone: dict[str, ViewMetrics]
    graded: dict[str, ViewMetrics]
    num_complete: int
    disagreement: Estimate | None
    steps_apart: Estimate | None


@dataclass(frozen=True)
class Metrics:
    """Everything measured on one split. Shares are 0 to 1; `loss` in nats; `top_k` by k, only where K > k."""

    split: str
    num_samples: int
    num_unlabelled: int
    num_classes: int
    num_classes_without_samples: int
    accuracy: Estimate
    top_k: dict[str, Estimate]
    balanced_accuracy: Estimate | None
    macro_precision: Estimate | None
    macro_recall: Estimate | None
    macro_f1: Estimate | None
    loss: Estimate | None
    prediction_cv: float
    label_cv: float
    cv_ratio: float | None
    ordinal: OrdinalMetrics | None
    views: ViewsMetrics | None

    def as_json(self) -> dict[str, Any]:
        """Plain containers without NaN, ready for `json.dumps(..., allow_nan=False)`."""
        return asdict(self)


def measure(predictions: Predictions, *, num_resamples: int = 1000, seed: int = 0) -> Metrics:
    """Measure one split; `num_resamples` and `seed` belong to the bootstrap of everything that is not a plain share."""
    labelled = predictions.take(predictions.labels_N >= 0)
    if not labelled.ids:
        raise DataError(f"split {predictions.split!r} has no labelled samples to measure")
    num_classes = len(labelled.classes)
    labels_N, probabilities_NK = labelled.labels_N, labelled.probabilities_NK
    confusion_KK = metrics.confusion_matrix(labels_N, labelled.predictions_N, num_classes=num_classes)
    statistics = _STATISTICS | (_ORDINAL_STATISTICS if labelled.ordered else {})
    intervals = metrics.bootstrap_intervals(statistics, confusion_KK, num_resamples=num_resamples, seed=seed)
    scores = {name: estimate(statistic(confusion_KK), intervals[name]) for name, statistic in statistics.items()}
    return Metrics(
        split=predictions.split,
        num_samples=len(labelled.ids),
        num_unlabelled=len(predictions.ids) - len(labelled.ids),
        num_classes=num_classes,
        num_classes_without_samples=int((confusion_KK.sum(axis=1) == 0).sum()),
        accuracy=estimate_share(labels_N == labelled.predictions_N),
        top_k={
            str(k): estimate_share(metrics.top_k_hits(probabilities_NK, labels_N, k=k))
            for k in TOP_K
            if num_classes > k
        },
        **{name: scores[name] for name in _STATISTICS},
        loss=estimate_mean(sample_losses(labelled)),
        prediction_cv=metrics.prediction_cv(confusion_KK),
        label_cv=metrics.label_cv(confusion_KK),
        cv_ratio=_none_if_nan(metrics.cv_ratio(confusion_KK)),
        ordinal=OrdinalMetrics(**{name: scores[name] for name in _ORDINAL_STATISTICS}) if labelled.ordered else None,
        views=measure_views(predictions) if predictions.view_probabilities else None,
    )


def measure_views(predictions: Predictions) -> ViewsMetrics:
    """Each view alone; agreement needs no labels, so it counts every sample that has all the views."""
    own_VN, labels_N = predictions.own_grades_VN, predictions.labels_N
    steps_M = steps_apart(predictions)[(own_VN >= 0).all(axis=0)]
    is_asked = len(own_VN) > 1 and steps_M.size > 0
    alone = {view: predictions.view_predictions(view) for view in predictions.view_probabilities}
    graded = dict(zip(predictions.view_grades, own_VN, strict=False))
    return ViewsMetrics(
        alone={view: _measure_view(labels_N, given_N) for view, given_N in alone.items()},
        graded={view: _measure_view(labels_N, given_N) for view, given_N in graded.items()},
        num_complete=steps_M.size,
        disagreement=estimate_share(steps_M > 0) if is_asked else None,
        steps_apart=estimate_mean(steps_M.astype(np.float64)) if is_asked and predictions.ordered else None,
    )


def steps_apart(predictions: Predictions) -> IntArray:
    """Between the lowest and the highest class that a view gives for itself (N); 0 where a view is missing.

    Above 0 the views disagree; how far only means something where classes are ordered.
    """
    own_VN = predictions.own_grades_VN
    steps_N: IntArray = np.where((own_VN >= 0).all(axis=0), own_VN.max(axis=0) - own_VN.min(axis=0), 0)
    return steps_N


def find_disagreements(predictions: Predictions) -> npt.NDArray[np.bool_]:
    """Samples that have all the views and whose views, each for itself, do not give one and the same class."""
    result_N: npt.NDArray[np.bool_] = steps_apart(predictions) > 0
    return result_N


def _measure_view(labels_N: IntArray, given_N: IntArray) -> ViewMetrics:
    seen_N = (labels_N >= 0) & (given_N >= 0)
    hits = (labels_N == given_N)[seen_N]
    return ViewMetrics(num_samples=int(seen_N.sum()), accuracy=estimate_share(hits) if hits.size else None)


def sample_losses(labelled: Predictions) -> FloatArray:
    """The negative log of the probability of each true class (N), in nats; every sample must have a label."""
    of_label_N = labelled.probabilities_NK[np.arange(len(labelled.ids)), labelled.labels_N].astype(np.float64)
    losses_N: FloatArray = -np.log(np.clip(of_label_N, SMALLEST_PROBABILITY, 1.0))
    return losses_N


def estimate_share(hits_N: npt.NDArray[np.bool_]) -> Estimate:
    """The share of true ones."""
    low, high = metrics.wilson_interval(int(hits_N.sum()), hits_N.size)
    return Estimate(float(hits_N.mean()), low, high)


def estimate_mean(values_N: FloatArray) -> Estimate | None:
    """The mean of one value per sample."""
    return estimate(float(values_N.mean()), metrics.mean_interval(values_N))


def estimate(value: float, interval: metrics.Interval) -> Estimate | None:
    """A number with its interval; None where it is not defined."""
    if math.isnan(value):
        return None
    return Estimate(value, _none_if_nan(interval.low), _none_if_nan(interval.high))


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
