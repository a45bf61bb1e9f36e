"""Metrics of correct answers, over all samples or averaged over classes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from obverse.metrics.answers import LabelSets, OneLabel
from obverse.metrics.counts import (
    ClassScores,
    FloatArray,
    IntArray,
    accuracy,
    balanced_accuracy,
    divide,
    macro_f1,
    macro_precision,
    top_k_accuracy,
    top_k_hits,
    total,
)
from obverse.metrics.intervals import (
    CLASS_AVERAGES,
    Interval,
    bounded_mean_interval,
    class_average_interval,
    score_interval,
    share_interval,
)
from obverse.metrics.label_sets import set_macro_f1, set_micro_f1
from obverse.metrics.metric import Measure, Metric, from_confusion, mean_of
from obverse.metrics.units import spread

FEW_RARER = 10
"""Least number of samples outside the largest class for an interval of the correlation.

With 4 such samples, the interval contained the true value in only 88 % of trials.
"""


def _class_average(name: str, answers: OneLabel) -> Interval:
    return class_average_interval(
        CLASS_AVERAGES[name], answers.labels_N, answers.given_N, answers.units, num_classes=answers.num_classes
    )


def _of_class_scores(function: Callable[[ClassScores], FloatArray], name: str) -> Measure[LabelSets]:
    return Measure(
        value=lambda answers: float(function(answers.scores)),
        interval=lambda answers: answers.intervals[name],
        of_counts=lambda counts_3K: function(ClassScores.of(*np.moveaxis(counts_3K, -2, 0))),
    )


def _top_k(k: int) -> Metric:
    return Metric(
        name=f"top_{k}_accuracy",
        title=f"top-{k} accuracy",
        unit="share",
        better="higher",
        one_label=Measure(
            value=lambda a: top_k_accuracy(a.probabilities_NK, a.labels_N, k=k),
            interval=lambda a: share_interval(top_k_hits(a.probabilities_NK, a.labels_N, k=k), a.units),
        ),
        needs=frozenset({"probabilities"}),
        more_classes_than=k,
        block="top_k",
        key=str(k),
        is_compared=False,
    )


def _wrong_share(answers: LabelSets) -> FloatArray:
    """Share of wrong decisions for each sample (N)."""
    wrong_N: FloatArray = (answers.truth_NK != answers.answers_NK).mean(axis=1)
    return wrong_N


def _right_sets(answers: LabelSets) -> FloatArray:
    right_N: FloatArray = (answers.truth_NK == answers.answers_NK).all(axis=1).astype(np.float64)
    return right_N


def _matthews(confusion_KK: IntArray) -> FloatArray:
    """Correlation of labels and answers (Matthews 1975), in the form for several classes (Gorodkin 2004).

    0 where all answers are one class, as in scikit-learn; NaN where all labels are.
    """
    num, labels_K, given_K = total(confusion_KK), confusion_KK.sum(axis=-1), confusion_KK.sum(axis=-2)
    both = np.trace(confusion_KK, axis1=-2, axis2=-1) * num - (labels_K * given_K).sum(axis=-1)
    # In floats, because the product of the two does not fit integers.
    of_labels, of_given = ((num**2 - (sums_K**2).sum(axis=-1)).astype(np.float64) for sums_K in (labels_K, given_K))
    correlation = divide(both, np.sqrt(of_labels * of_given))
    known: FloatArray = np.where(of_labels == 0, math.nan, correlation)[()]
    return known


def _matthews_interval(answers: OneLabel) -> Interval:
    """Interval of the Matthews correlation, from influences: its derivatives by the count of each cell."""
    value, confusion_KK, units = (
        float(_matthews(answers.confusion_KK)),
        answers.confusion_KK.astype(np.float64),
        answers.units,
    )
    num, labels_K, given_K = confusion_KK.sum(), confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)
    of_labels, of_given = num**2 - labels_K @ labels_K, num**2 - given_K @ given_K
    if of_labels == 0 or of_given == 0:
        return Interval(math.nan, math.nan, f"all {'answers' if of_labels else 'labels'} are one class")
    num_rarer = len(np.unique(units.of_N[answers.labels_N != labels_K.argmax()]))
    if num_rarer < FEW_RARER:
        what = "groups" if units.are_groups else "samples"
        return Interval(math.nan, math.nan, f"too few {what}: {num_rarer} outside the largest class")
    moved_KK = np.trace(confusion_KK) + num * np.eye(len(confusion_KK)) - given_K[:, None] - labels_K[None, :]
    scaled_KK = (num - labels_K)[:, None] / of_labels + (num - given_K)[None, :] / of_given
    influence_KK = moved_KK / math.sqrt(of_labels * of_given) - value * scaled_KK
    variation = spread(influence_KK[answers.labels_N, answers.given_N], units)
    of_class_K = units.per_class(answers.labels_N, answers.num_classes)
    # Where every answer is correct: the effective number of samples, which the rarest classes limit.
    information = (of_class_K > 0).sum() ** 2 / float(divide(np.ones(len(of_class_K)), of_class_K).sum())
    return score_interval(value, variation, information=information, bounds=(-1.0, 1.0))


METRICS = (
    Metric(
        name="accuracy",
        title="accuracy",
        unit="share",
        better="higher",
        one_label=from_confusion(
            accuracy, lambda a: share_interval(a.labels_N == a.given_N, a.units), is_headline=True
        ),
    ),
    _top_k(3),
    _top_k(5),
    Metric(
        name="balanced_accuracy",
        title="balanced accuracy",
        unit="share",
        better="higher",
        one_label=from_confusion(balanced_accuracy, lambda a: _class_average("balanced_accuracy", a)),
    ),
    Metric(
        name="macro_precision",
        title="macro precision",
        unit="score",
        better="higher",
        one_label=from_confusion(macro_precision, lambda a: _class_average("macro_precision", a)),
        is_compared=False,
    ),
    Metric(
        name="macro_recall",
        title="macro recall",
        unit="score",
        better="higher",
        one_label=from_confusion(balanced_accuracy, lambda a: _class_average("macro_recall", a)),
        is_compared=False,
    ),
    Metric(
        name="macro_f1",
        title="macro F1",
        unit="score",
        better="higher",
        one_label=from_confusion(macro_f1, lambda a: _class_average("macro_f1", a)),
        label_sets=_of_class_scores(set_macro_f1, "macro_f1"),
        needs=frozenset({"thresholds"}),
    ),
    Metric(
        name="matthews",
        title="Matthews correlation (MCC)",
        unit="score",
        better="higher",
        one_label=from_confusion(_matthews, _matthews_interval),
        bounds=(-1.0, 1.0),
        needs=frozenset({"two classes"}),
        also=("mcc",),
    ),
    Metric(
        name="micro_f1",
        title="micro F1",
        unit="score",
        better="higher",
        label_sets=_of_class_scores(set_micro_f1, "micro_f1"),
        needs=frozenset({"thresholds"}),
    ),
    Metric(
        name="subset_accuracy",
        title="subset accuracy",
        unit="share",
        better="higher",
        label_sets=mean_of(
            _right_sets,
            lambda a: share_interval(_right_sets(a) > 0, a.units),
            explained="whole label sets that are right",
        ),
        also=("accuracy",),
    ),
    Metric(
        name="hamming_loss",
        title="Hamming loss",
        unit="share",
        better="lower",
        label_sets=mean_of(
            _wrong_share,
            lambda a: bounded_mean_interval(_wrong_share(a), a.units),
            explained="decisions that are wrong",
        ),
    ),
)  # fmt: skip
