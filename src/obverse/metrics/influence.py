"""Influence of one sample on a score of the confusion matrix (Hampel 1974), and the bias of averages over classes.

An influence is a derivative: the growth of the score per additional sample in a cell (true class, predicted class). The
influences of all samples sum to 0, because a score does not change when every sample is counted twice.
"""

from __future__ import annotations

import numpy as np

from .counts import FloatArray, IntArray, class_scores, divide, total
from .ordinal import mean_absolute_error, step_counts


def balanced_accuracy_influence(confusion_KK: IntArray) -> FloatArray:
    """Influence on `counts.balanced_accuracy` of a sample in each cell (K, K)."""
    scores, occurring_K = class_scores(confusion_KK), confusion_KK.sum(axis=1) > 0
    each_K = divide(np.ones(len(confusion_KK)), scores.support_K) / occurring_K.sum()
    return _cells(rows_K=-scores.recall_K * each_K, hits_K=each_K)


def macro_precision_influence(confusion_KK: IntArray) -> FloatArray:
    """Influence on `counts.macro_precision` of a sample in each cell (K, K), scaled so that its variance is unbiased.

    The scale corrects for the n - 1 degrees of freedom of a precision over n predictions.
    """
    scores, occurring_K = class_scores(confusion_KK), confusion_KK.sum(axis=1) > 0
    predicted_K = scores.predicted_K.astype(np.float64)
    unbiased_K = np.sqrt(divide(predicted_K, np.maximum(predicted_K - 1, 0.5)))
    each_K = occurring_K * unbiased_K * divide(np.ones(len(confusion_KK)), predicted_K) / occurring_K.sum()
    return _cells(columns_K=-scores.precision_K * each_K, hits_K=each_K)


def macro_f1_influence(confusion_KK: IntArray) -> FloatArray:
    """Influence on `counts.macro_f1` of a sample in each cell (K, K)."""
    scores, occurring_K = class_scores(confusion_KK), confusion_KK.sum(axis=1) > 0
    each_K = occurring_K * divide(np.ones(len(confusion_KK)), scores.support_K + scores.predicted_K) / occurring_K.sum()
    return _cells(rows_K=-scores.f1_K * each_K, columns_K=-scores.f1_K * each_K, hits_K=2 * each_K)


def mean_absolute_error_influence(confusion_KK: IntArray) -> FloatArray:
    """Influence on `ordinal.mean_absolute_error` of a sample in each cell (K, K)."""
    influence_KK: FloatArray = (step_counts(len(confusion_KK)) - mean_absolute_error(confusion_KK)) / total(
        confusion_KK
    )
    return influence_KK


def quadratic_kappa_influence(confusion_KK: IntArray) -> FloatArray:
    """Influence on `ordinal.quadratic_kappa` of a sample in each cell (K, K). At least two classes must occur."""
    weights_KK = step_counts(len(confusion_KK)).astype(np.float64) ** 2
    num, labels_K, predicted_K = total(confusion_KK), confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)
    observed = float((weights_KK * confusion_KK).sum())
    expected = float(labels_K @ weights_KK @ predicted_K) / num
    moved_KK = ((weights_KK @ predicted_K)[:, None] + (labels_K @ weights_KK)[None, :] - expected) / num
    influence_KK: FloatArray = (observed / expected * moved_KK - weights_KK) / expected
    return influence_KK


def equal_prior(influence_KK: FloatArray, value: float) -> FloatArray:
    """Variance of one sample's influence in each class (K) if the share `value` of every class were correct."""
    hits_K, num_classes = np.diagonal(influence_KK), len(influence_KK)
    misses_K = (influence_KK.sum(axis=1) - hits_K) / max(1, num_classes - 1)
    prior_K: FloatArray = (hits_K - misses_K) ** 2 * value * (1 - value)
    return prior_K


def macro_f1_bias(confusion_KK: IntArray) -> float:
    """Bias of macro F1: its expected excess over the value on many samples with the same class shares.

    Second-order delta method in the counts of each class: F1 is not linear in them, so its mean is not the F1 of the
    means. Labels are fixed; hits and false alarms are random.
    """
    hits_K, false_K, hits_variance_K, false_variance_K = _moments(confusion_KK)
    labels_K = confusion_KK.sum(axis=1)
    all_K = np.maximum(labels_K + hits_K + false_K, 1).astype(np.float64)
    bias_K = 2 * (hits_K * false_variance_K - (labels_K + false_K) * hits_variance_K) / all_K**3
    return float(bias_K[labels_K > 0].mean())


def macro_precision_bias(confusion_KK: IntArray) -> float:
    """Bias of macro precision, by the method of `macro_f1_bias`."""
    hits_K, false_K, hits_variance_K, false_variance_K = _moments(confusion_KK)
    occurring_K = confusion_KK.sum(axis=1) > 0
    predicted_K = np.maximum(hits_K + false_K, 1).astype(np.float64)
    bias_K = (hits_K * false_variance_K - false_K * hits_variance_K) / predicted_K**3
    return float(bias_K[occurring_K].mean())


def _cells(*, hits_K: FloatArray, rows_K: FloatArray | float = 0.0, columns_K: FloatArray | float = 0.0) -> FloatArray:
    """Influence matrix (K, K): the sum of terms for the true class, for the predicted class, and for a hit."""
    num_classes = len(hits_K)
    cells_KK: FloatArray = np.zeros((num_classes, num_classes))
    cells_KK += np.broadcast_to(columns_K, num_classes)
    cells_KK += np.broadcast_to(rows_K, num_classes)[:, None]
    cells_KK[np.diag_indices(num_classes)] += hits_K
    return cells_KK


def _moments(confusion_KK: IntArray) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Hits and false alarms of each class, then the variances of both, with samples drawn within each true class."""
    labels_K1 = confusion_KK.sum(axis=1, keepdims=True)
    variance_KK = confusion_KK * (labels_K1 - confusion_KK) / np.maximum(labels_K1 - 1, 1)
    hits_K, hits_variance_K = np.diagonal(confusion_KK), np.diagonal(variance_KK)
    return hits_K, confusion_KK.sum(axis=0) - hits_K, hits_variance_K, variance_KK.sum(axis=0) - hits_variance_K
