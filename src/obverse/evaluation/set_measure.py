"""Multi-label predictions to numbers, each with its 95 % interval. Of one label per sample: `measure.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from obverse import metrics
from obverse.errors import DataError
from obverse.metrics import ClassScores
from obverse.metrics.counts import FloatArray, IntArray

from .measure import Estimate, estimate, estimate_mean, estimate_share
from .selection import binary_loss
from .set_predictions import SetPredictions


@dataclass(frozen=True)
class SetViewMetrics:
    """One view alone, over the `num_samples` samples that have it."""

    num_samples: int
    map: float | None


@dataclass(frozen=True)
class SetMetrics:
    """Everything measured on one split. Shares are 0 to 1; `loss` in nats, the mean over samples and classes.

    map: mean average precision, which needs no thresholds. The macro averages run over the classes that occur; micro F1
    is over all decisions. subset_accuracy: whole label sets that are right. hamming_loss: decisions that are wrong.
    num_empty: samples without a class.
    """

    split: str
    num_samples: int
    num_classes: int
    num_classes_without_samples: int
    num_empty: int
    map: Estimate | None
    macro_f1: Estimate | None
    micro_f1: Estimate | None
    subset_accuracy: Estimate
    hamming_loss: Estimate | None
    loss: Estimate | None
    views: dict[str, SetViewMetrics] | None
    labels: str = "multi"

    def as_json(self) -> dict[str, Any]:
        """Plain containers without NaN, ready for `json.dumps(..., allow_nan=False)`."""
        return asdict(self)


def measure_sets(predictions: SetPredictions, *, num_resamples: int = 1000, seed: int = 0) -> SetMetrics:
    """Measure one split; `num_resamples` and `seed` belong to the bootstrap of F1 and mAP."""
    if not predictions.ids:
        raise DataError(f"split {predictions.split!r} has no samples to measure")
    truth_NK, answers_NK = predictions.label_sets_NK, predictions.answers_NK
    ranking = metrics.Ranking(truth_NK, predictions.probabilities_NK)

    def scores(weights_N: IntArray) -> ClassScores:
        return metrics.set_scores(truth_NK, answers_NK, weights_N)

    statistics: dict[str, Callable[[IntArray], float]] = {
        "map": lambda weights_N: metrics.mean_of_known(ranking.average_precision(weights_N)),
        "macro_f1": lambda weights_N: metrics.set_macro_f1(scores(weights_N)),
        "micro_f1": lambda weights_N: metrics.set_micro_f1(scores(weights_N)),
    }
    intervals = metrics.bootstrap_sets(statistics, len(truth_NK), num_resamples=num_resamples, seed=seed)
    once_N = np.ones(len(truth_NK), np.int64)
    measured = {name: estimate(statistic(once_N), intervals[name]) for name, statistic in statistics.items()}
    wrong_NK = truth_NK != answers_NK
    return SetMetrics(
        split=predictions.split,
        num_samples=len(predictions.ids),
        num_classes=len(predictions.classes),
        num_classes_without_samples=int((~truth_NK.any(axis=0)).sum()),
        num_empty=int((~truth_NK.any(axis=1)).sum()),
        map=measured["map"],
        macro_f1=measured["macro_f1"],
        micro_f1=measured["micro_f1"],
        subset_accuracy=estimate_share(~wrong_NK.any(axis=1)),
        hamming_loss=estimate_mean(wrong_NK.mean(axis=1)),
        loss=estimate_mean(binary_loss(predictions.probabilities_NK, truth_NK)),
        views=_views(predictions) if predictions.view_probabilities else None,
    )


def average_precisions(predictions: SetPredictions) -> FloatArray:
    """Of each class; NaN for one that no sample has."""
    return metrics.Ranking(predictions.label_sets_NK, predictions.probabilities_NK).average_precision()


def _views(predictions: SetPredictions) -> dict[str, SetViewMetrics]:
    found = {}
    for view, alone_NK in predictions.view_probabilities.items():
        seen_N = ~np.isnan(alone_NK).any(axis=1)
        value = float("nan")
        if seen_N.any():
            value = metrics.mean_average_precision(predictions.label_sets_NK[seen_N], alone_NK[seen_N])
        found[view] = SetViewMetrics(int(seen_N.sum()), None if np.isnan(value) else value)
    return found
