"""Multi-label predictions to numbers, each with its 95 % interval. Of one label per sample: `measure.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from obverse import metrics
from obverse.errors import DataError
from obverse.metrics.counts import FloatArray

from .measure import Estimate, estimate, estimate_mean, estimate_share
from .seen import Seen
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
    num_empty: samples without a class. num_groups, seen: as in `Metrics`.
    """

    split: str
    num_samples: int
    num_groups: int | None
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
    seen: Seen = field(default_factory=Seen)

    def as_json(self) -> dict[str, Any]:
        """Plain containers without NaN, ready for `json.dumps(..., allow_nan=False)`."""
        return {**asdict(self), "seen": self.seen.as_json()}


def measure_sets(predictions: SetPredictions) -> SetMetrics:
    """Measure one split. Intervals treat samples of one group as drawn together."""
    if not predictions.ids:
        raise DataError(f"split {predictions.split!r} has no samples to measure")
    truth_NK, answers_NK, units = predictions.label_sets_NK, predictions.answers_NK, predictions.units
    scores, wrong_NK = metrics.set_scores(truth_NK, answers_NK), truth_NK != answers_NK
    ends = metrics.set_intervals(truth_NK, answers_NK, predictions.probabilities_NK, units)
    losses_N = binary_loss(predictions.probabilities_NK, truth_NK)
    return SetMetrics(
        split=predictions.split,
        num_samples=len(predictions.ids),
        num_groups=units.num if units.are_groups else None,
        num_classes=len(predictions.classes),
        num_classes_without_samples=int((~truth_NK.any(axis=0)).sum()),
        num_empty=int((~truth_NK.any(axis=1)).sum()),
        map=estimate(metrics.mean_average_precision(truth_NK, predictions.probabilities_NK), ends["map"]),
        macro_f1=estimate(metrics.set_macro_f1(scores), ends["macro_f1"]),
        micro_f1=estimate(metrics.set_micro_f1(scores), ends["micro_f1"]),
        subset_accuracy=estimate_share(~wrong_NK.any(axis=1), units),
        hamming_loss=estimate_mean(wrong_NK.mean(axis=1), units, bounds=(0.0, 1.0)),
        loss=estimate(float(losses_N.mean()), metrics.positive_mean_interval(losses_N, units)),
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
