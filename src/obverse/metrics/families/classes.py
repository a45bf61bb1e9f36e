"""Metrics of the answers: how many are right, over all samples or as an average over classes."""

from __future__ import annotations

import numpy as np

from obverse.metrics.answers import LabelSets, OneLabel
from obverse.metrics.counts import (
    FloatArray,
    accuracy,
    balanced_accuracy,
    macro_f1,
    macro_precision,
    top_k_accuracy,
    top_k_hits,
)
from obverse.metrics.intervals import (
    CLASS_AVERAGES,
    Interval,
    bounded_mean_interval,
    class_average_interval,
    share_interval,
)
from obverse.metrics.label_sets import set_macro_f1, set_micro_f1
from obverse.metrics.metric import Measure, Metric, from_confusion, mean_of


def _class_average(name: str, answers: OneLabel) -> Interval:
    return class_average_interval(
        CLASS_AVERAGES[name], answers.labels_N, answers.given_N, answers.units, num_classes=answers.num_classes
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
    """Of each sample (N)."""
    wrong_N: FloatArray = (answers.truth_NK != answers.answers_NK).mean(axis=1)
    return wrong_N


def _right_sets(answers: LabelSets) -> FloatArray:
    right_N: FloatArray = (answers.truth_NK == answers.answers_NK).all(axis=1).astype(np.float64)
    return right_N


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
        label_sets=Measure(value=lambda a: set_macro_f1(a.scores), interval=lambda a: a.intervals["macro_f1"]),
        needs=frozenset({"thresholds"}),
    ),
    Metric(
        name="micro_f1",
        title="micro F1",
        unit="score",
        better="higher",
        label_sets=Measure(value=lambda a: set_micro_f1(a.scores), interval=lambda a: a.intervals["micro_f1"]),
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
