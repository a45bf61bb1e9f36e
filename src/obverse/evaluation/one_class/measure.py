"""Predictions to numbers, each with its 95 % interval.

Not a judgement and no text: `sections.py` words it. Samples without a label are left out and counted.
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
    """Everything measured on one split. estimates: of each metric of the table that applies to the data, by name; None
    where it is not defined.

    num_groups: independent groups of samples, where some samples belong together. seen: what the model knows of the
    samples already.
    """

    split: str
    num_samples: int
    num_groups: int | None
    num_unlabelled: int
    num_classes: int
    num_classes_without_samples: int
    estimates: Estimates
    prediction_cv: float
    label_cv: float
    cv_ratio: float | None
    views: ViewsMetrics | None
    seen: Seen = field(default_factory=Seen)

    def __getitem__(self, name: str) -> Estimate | None:
        return self.estimates[name]

    @property
    def accuracy(self) -> Estimate:
        """The headline; it is always defined."""
        estimate = self.estimates["accuracy"]
        assert estimate is not None
        return estimate

    def as_json(self) -> dict[str, Any]:
        """Plain containers without NaN, ready for `json.dumps(..., allow_nan=False)`."""
        values = {**asdict(self), "seen": self.seen.as_json()}
        blocks = in_blocks(values["estimates"], metrics.ONE_LABEL)
        ordinal = blocks.pop("ordinal") or None
        ends = {"ordinal": ordinal, "views": values.pop("views"), "seen": values.pop("seen")}
        return in_place(values, blocks) | ends


def measure(predictions: Predictions) -> Metrics:
    """Measure one split. Intervals treat samples of one group as drawn together."""
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
    )


def measure_views(predictions: Predictions) -> ViewsMetrics:
    """Each view alone; agreement needs no labels, so it counts every sample that has all the views."""
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
    """Counts (K, K); rows true, columns predicted."""
    return metrics.confusion_matrix(labelled.truth, labelled.answers, num_classes=len(labelled.classes))


def surest_mistakes(predictions: Predictions) -> IntArray:
    """Rows with a wrong answer, those of the highest probability first."""
    answers_N = predictions.answers
    wrong_M = np.flatnonzero(predictions.known_N & (predictions.truth != answers_N))
    sureness_M = predictions.probabilities_NK[wrong_M, answers_N[wrong_M]]
    return wrong_M[np.argsort(-sureness_M, kind="stable")]


def own_grades_of(predictions: Predictions) -> IntArray:
    """The class by `own_grades` for every view (V, N); -1 for a sample without that view."""
    return np.stack([to_answers(rows_NK, predictions.kind) for rows_NK in predictions.own_grades.values()])


def steps_apart(predictions: Predictions) -> IntArray:
    """Between the lowest and the highest class that a view gives for itself (N); 0 where a view is missing.

    Above 0 the views disagree; how far only means something where classes are ordered.
    """
    own_VN = own_grades_of(predictions)
    steps_N: IntArray = np.where((own_VN >= 0).all(axis=0), own_VN.max(axis=0) - own_VN.min(axis=0), 0)
    return steps_N


def find_disagreements(predictions: Predictions) -> npt.NDArray[np.bool_]:
    """Samples that have all the views and whose views, each for itself, do not give one and the same class."""
    result_N: npt.NDArray[np.bool_] = steps_apart(predictions) > 0
    return result_N


def _measure_view(labels_N: IntArray, given_N: IntArray, units: metrics.Units) -> ViewMetrics:
    seen_N = (labels_N >= 0) & (given_N >= 0)
    hits = (labels_N == given_N)[seen_N]
    accuracy = estimate_share(hits, units.take(seen_N)) if hits.size else None
    return ViewMetrics(num_samples=int(seen_N.sum()), accuracy=accuracy)
