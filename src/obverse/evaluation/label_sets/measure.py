"""Measurements of multi-label predictions, with 95 % intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from obverse import metrics
from obverse.decisions import LabelSet
from obverse.errors import DataError
from obverse.evaluation.estimates import Estimate, Estimates, estimates_of, in_blocks, in_place
from obverse.evaluation.predictions import Predictions
from obverse.evaluation.seen import Seen
from obverse.metrics import FloatArray, IntArray


@dataclass(frozen=True)
class SetViewMetrics:
    """Measurements of the model given one view alone."""

    num_samples: int
    """Samples that have the view."""

    map: float | None
    """Mean average precision; None where it is not defined."""


@dataclass(frozen=True)
class SetMetrics:
    """All measurements on one split of multi-label data. Fields are those of `Metrics`, except as documented here."""

    split: str
    num_samples: int
    num_groups: int | None
    num_classes: int
    num_classes_without_samples: int

    num_empty: int
    """Samples without any class."""

    estimates: Estimates
    views: dict[str, SetViewMetrics] | None
    labels: str = "multi"
    uncalibrated: Estimates | None = None
    seen: Seen = field(default_factory=Seen)
    topics: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Estimate | None:
        return self.estimates[name]

    def as_json(self) -> dict[str, Any]:
        """Plain containers without NaN, ready for `json.dumps(..., allow_nan=False)`."""
        values = {**asdict(self), "seen": self.seen.as_json()}
        topics: dict[str, Any] = values.pop("topics")
        return in_place(values, in_blocks(values["estimates"], metrics.LABEL_SETS)) | topics


def measure(predictions: Predictions) -> SetMetrics:
    """Measurements of one split. Intervals treat samples of one group as drawn together.

    Raises DataError when the split has no samples.
    """
    if not predictions.ids:
        raise DataError(f"split {predictions.split!r} has no samples to measure")
    truth_NK, units = predictions.truth, predictions.units
    return SetMetrics(
        split=predictions.split,
        num_samples=len(predictions.ids),
        num_groups=units.num if units.are_groups else None,
        num_classes=len(predictions.classes),
        num_classes_without_samples=int((~truth_NK.any(axis=0)).sum()),
        num_empty=int((~truth_NK.any(axis=1)).sum()),
        estimates=estimates_of(predictions.outcome),
        views=_views(predictions) if predictions.view_probabilities else None,
    )


def _views(predictions: Predictions) -> dict[str, SetViewMetrics]:
    views = {}
    for view, alone_NK in predictions.view_probabilities.items():
        seen_N = ~np.isnan(alone_NK).any(axis=1)
        value = float("nan")
        if seen_N.any():
            value = metrics.mean_average_precision(predictions.truth[seen_N], alone_NK[seen_N])
        views[view] = SetViewMetrics(int(seen_N.sum()), None if np.isnan(value) else value)
    return views


def surest_mistakes(predictions: Predictions) -> IntArray:
    """Row numbers of wrong label sets, the most confident first.

    The confidence of a wrong set is the largest distance of a wrong decision's probability from its threshold.
    """
    wrong_NK = predictions.truth != predictions.answers
    margins_N = (np.abs(predictions.probabilities_NK - thresholds_of(predictions)) * wrong_NK).max(axis=1)
    wrong_M = np.flatnonzero(wrong_NK.any(axis=1))
    return wrong_M[np.argsort(-margins_N[wrong_M], kind="stable")]


def thresholds_of(predictions: Predictions) -> FloatArray:
    """The threshold of each class (K): the least probability at which the class is in the answer."""
    assert isinstance(predictions.kind, LabelSet)
    return np.array(predictions.kind.thresholds_of(len(predictions.classes)))
