"""Multi-label predictions to numbers, each with its 95 % interval. Of one label per sample: `measure.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from obverse import metrics
from obverse.errors import DataError
from obverse.evaluation.one_class.measure import Estimate, Estimates, estimates_of, in_blocks, in_place
from obverse.evaluation.seen import Seen
from obverse.evaluation.set_predictions import SetPredictions


@dataclass(frozen=True)
class SetViewMetrics:
    """One view alone, over the `num_samples` samples that have it."""

    num_samples: int
    map: float | None


@dataclass(frozen=True)
class SetMetrics:
    """Everything measured on one split. num_empty: samples without a class. Else as in `Metrics`."""

    split: str
    num_samples: int
    num_groups: int | None
    num_classes: int
    num_classes_without_samples: int
    num_empty: int
    estimates: Estimates
    views: dict[str, SetViewMetrics] | None
    labels: str = "multi"
    seen: Seen = field(default_factory=Seen)

    def __getitem__(self, name: str) -> Estimate | None:
        return self.estimates[name]

    def as_json(self) -> dict[str, Any]:
        """Plain containers without NaN, ready for `json.dumps(..., allow_nan=False)`."""
        values = {**asdict(self), "seen": self.seen.as_json()}
        return in_place(values, in_blocks(values["estimates"], metrics.LABEL_SETS))


def measure_sets(predictions: SetPredictions) -> SetMetrics:
    """Measure one split. Intervals treat samples of one group as drawn together."""
    if not predictions.ids:
        raise DataError(f"split {predictions.split!r} has no samples to measure")
    truth_NK, units = predictions.label_sets_NK, predictions.units
    return SetMetrics(
        split=predictions.split,
        num_samples=len(predictions.ids),
        num_groups=units.num if units.are_groups else None,
        num_classes=len(predictions.classes),
        num_classes_without_samples=int((~truth_NK.any(axis=0)).sum()),
        num_empty=int((~truth_NK.any(axis=1)).sum()),
        estimates=estimates_of(answers_of_sets(predictions)),
        views=_views(predictions) if predictions.view_probabilities else None,
    )


def answers_of_sets(predictions: SetPredictions) -> metrics.LabelSets:
    """What metrics are computed from."""
    return metrics.LabelSets(
        predictions.label_sets_NK, predictions.answers_NK, predictions.probabilities_NK, predictions.units
    )


def _views(predictions: SetPredictions) -> dict[str, SetViewMetrics]:
    found = {}
    for view, alone_NK in predictions.view_probabilities.items():
        seen_N = ~np.isnan(alone_NK).any(axis=1)
        value = float("nan")
        if seen_N.any():
            value = metrics.mean_average_precision(predictions.label_sets_NK[seen_N], alone_NK[seen_N])
        found[view] = SetViewMetrics(int(seen_N.sum()), None if np.isnan(value) else value)
    return found
