"""Measurements of predictions with one class per sample, with 95 % intervals.

Samples without a label are counted and left out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse import metrics
from obverse.decisions import to_answers
from obverse.errors import DataError
from obverse.evaluation.estimates import (
    Estimate,
    Estimates,
    estimate_mean,
    estimate_share,
    estimates_of,
    in_blocks,
    in_place,
    none_if_nan,
)
from obverse.evaluation.predictions import Predictions
from obverse.evaluation.seen import Seen
from obverse.metrics import IntArray

from .decoding import Decoding, measure_decoding


@dataclass(frozen=True)
class ViewMetrics:
    """Measurements from one view alone."""

    num_samples: int
    """Labelled samples that have the view."""

    accuracy: Estimate | None
    """Accuracy on these samples; None without samples."""


@dataclass(frozen=True)
class ViewsMetrics:
    """Measurements from each view alone, and the disagreement between views."""

    alone: dict[str, ViewMetrics]
    """View -> measurements of the whole model given that view alone."""

    graded: dict[str, ViewMetrics]
    """View -> measurements of the view's own head; empty where views have no heads."""

    num_complete: int
    """Samples that have all views, labelled or not."""

    disagreement: Estimate | None
    """Share of complete samples for which the views (by their own heads, if any) predict different classes."""

    steps_apart: Estimate | None
    """Mean distance between the views' predictions, in steps; None unless classes are ordered."""


@dataclass(frozen=True)
class Metrics:
    """All measurements on one split."""

    split: str

    num_samples: int
    """Labelled samples."""

    num_groups: int | None
    """Independent groups of samples; None where every sample is independent."""

    num_unlabelled: int
    num_classes: int
    num_classes_without_samples: int

    estimates: Estimates
    """Metric that applies to the data -> its estimate, None where it is not defined."""

    prediction_cv: float
    """Coefficient of variation of the predicted class counts."""

    label_cv: float
    """Coefficient of variation of the label counts."""

    cv_ratio: float | None
    """Prediction CV over label CV; None for balanced labels."""

    views: ViewsMetrics | None
    """Measurements from single views; None with one view."""

    decoding: Decoding | None = None
    """Scores of the same probabilities by every decision rule; None unless classes are ordered."""

    uncalibrated: Estimates | None = None
    """Scores of the probabilities before calibration; None where the model has none."""

    seen: Seen = field(default_factory=Seen)
    """How the samples were used before."""

    topics: dict[str, Any] = field(default_factory=dict)
    """Key of metrics.json -> plain values, of what rooms above this one measured."""

    def __getitem__(self, name: str) -> Estimate | None:
        return self.estimates[name]

    @property
    def accuracy(self) -> Estimate:
        """The headline metric, which is always defined."""
        estimate = self.estimates["accuracy"]
        assert estimate is not None
        return estimate

    def as_json(self) -> dict[str, Any]:
        """Plain containers without NaN, ready for `json.dumps(..., allow_nan=False)`."""
        values = {**asdict(self), "seen": self.seen.as_json()}
        topics: dict[str, Any] = values.pop("topics")
        blocks = in_blocks(values["estimates"], metrics.ONE_LABEL)
        ordinal = blocks.pop("ordinal") or None
        ends = {"ordinal": ordinal, **{key: values.pop(key) for key in ("decoding", "views", "uncalibrated", "seen")}}
        return in_place(values, blocks) | ends | topics


def measure(predictions: Predictions) -> Metrics:
    """Measurements of one split. Intervals treat samples of one group as drawn together.

    Raises DataError when no sample has a label.
    """
    labelled = predictions.labelled()
    if not labelled.ids:
        raise DataError(f"split {predictions.split!r} has no labelled samples to measure")
    answers = labelled.outcome
    assert isinstance(answers, metrics.OneLabel)
    return Metrics(
        split=predictions.split,
        num_samples=len(labelled.ids),
        num_groups=labelled.units.num if labelled.units.are_groups else None,
        num_unlabelled=len(predictions.ids) - len(labelled.ids),
        num_classes=answers.num_classes,
        num_classes_without_samples=int((answers.confusion_KK.sum(axis=1) == 0).sum()),
        estimates=estimates_of(answers),
        prediction_cv=metrics.prediction_cv(answers.confusion_KK),
        label_cv=metrics.label_cv(answers.confusion_KK),
        cv_ratio=none_if_nan(metrics.cv_ratio(answers.confusion_KK)),
        views=measure_views(predictions) if predictions.view_probabilities else None,
        decoding=measure_decoding(labelled) if answers.ordered else None,
    )


def measure_views(predictions: Predictions) -> ViewsMetrics:
    """Measurements from each view alone. Disagreement needs no labels, so it is over all samples with all views."""
    own_VN, labels_N, units = own_grades_of(predictions), predictions.truth, predictions.units
    complete_N: npt.NDArray[np.bool_] = np.all(own_VN >= 0, axis=0)
    steps_M, units_M = steps_apart(predictions)[complete_N], units.take(complete_N)
    is_asked = len(own_VN) > 1 and steps_M.size > 0
    alone = {view: predictions.view_answers(view) for view in predictions.view_probabilities}
    graded = dict(zip(predictions.view_grades, own_VN, strict=False))
    most = (0.0, float(max(1, len(predictions.classes) - 1)))
    return ViewsMetrics(
        alone={view: _measure_view(labels_N, given_N, units) for view, given_N in alone.items()},
        graded={view: _measure_view(labels_N, given_N, units) for view, given_N in graded.items()},
        num_complete=steps_M.size,
        disagreement=estimate_share(steps_M > 0, units_M) if is_asked else None,
        steps_apart=estimate_mean(steps_M.astype(np.float64), units_M, bounds=most)
        if is_asked and predictions.kind.ordered
        else None,
    )


def class_scores_of(labelled: Predictions) -> metrics.ClassScores:
    """Precision, recall and F1 of each class; every sample must have a label."""
    return metrics.class_scores(confusion_of(labelled))


def confusion_of(labelled: Predictions) -> IntArray:
    """Confusion matrix (K, K): counts, rows true, columns predicted."""
    return metrics.confusion_matrix(labelled.truth, labelled.answers, num_classes=len(labelled.classes))


def surest_mistakes(predictions: Predictions) -> IntArray:
    """Row numbers of wrong answers, the highest probability first."""
    answers_N = predictions.answers
    wrong_M = np.flatnonzero(predictions.known_N & (predictions.truth != answers_N))
    sureness_M = predictions.probabilities_NK[wrong_M, answers_N[wrong_M]]
    return wrong_M[np.argsort(-sureness_M, kind="stable")]


def own_grades_of(predictions: Predictions) -> IntArray:
    """Predicted class from each view's `own_grades` (V, N); -1 for a sample without that view."""
    return np.stack([to_answers(rows_NK, predictions.kind) for rows_NK in predictions.own_grades.values()])


def steps_apart(predictions: Predictions) -> IntArray:
    """Steps between the lowest and the highest class that a view predicts (N); 0 where a view is missing.

    The views disagree where it is above 0. Its size has a meaning only for ordered classes.
    """
    own_VN = own_grades_of(predictions)
    steps_N: IntArray = np.where((own_VN >= 0).all(axis=0), own_VN.max(axis=0) - own_VN.min(axis=0), 0)
    return steps_N


def find_disagreements(predictions: Predictions) -> npt.NDArray[np.bool_]:
    """Whether a sample has all views and they predict different classes (N)."""
    result_N: npt.NDArray[np.bool_] = steps_apart(predictions) > 0
    return result_N


def _measure_view(labels_N: IntArray, given_N: IntArray, units: metrics.Units) -> ViewMetrics:
    seen_N = (labels_N >= 0) & (given_N >= 0)
    hits = (labels_N == given_N)[seen_N]
    accuracy = estimate_share(hits, units.take(seen_N)) if hits.size else None
    return ViewMetrics(num_samples=int(seen_N.sum()), accuracy=accuracy)
