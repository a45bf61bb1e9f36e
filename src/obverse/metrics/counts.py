"""Accuracy, precision, recall and F1 from a confusion matrix whose rows are the true classes.

Conventions, both stated because libraries differ: a score whose denominator is zero is 0 (scikit-learn's
`zero_division=0`), and a macro average runs over the classes that occur among the labels. A class without a labelled
sample has nothing to be measured on; samples wrongly given to it still lower the recall of the class they came from.

A score of one confusion matrix (K, K) is a number; of the matrices of many resamples (..., K, K) it is an array (...).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Precision, recall and F1 of every class, 0 to 1, in label order: (K), of many resamples (..., K)."""

    precision_K: FloatArray
    recall_K: FloatArray
    f1_K: FloatArray

    support_K: IntArray
    """Samples labelled with each class."""

    predicted_K: IntArray
    """Samples predicted to have each class."""

    @classmethod
    def of(cls, hits_K: IntArray, support_K: IntArray, predicted_K: IntArray) -> ClassScores:
        """Scores from counts. F1 = 2 TP / (support + predicted)."""
        return cls(
            precision_K=divide(hits_K, predicted_K),
            recall_K=divide(hits_K, support_K),
            f1_K=divide(2 * hits_K, support_K + predicted_K),
            support_K=support_K,
            predicted_K=predicted_K,
        )


def confusion_matrix(labels_N: IntArray, predictions_N: IntArray, *, num_classes: int) -> IntArray:
    """Confusion matrix (K, K): counts, rows true, columns predicted; zeros without samples, so batches can be added.

    Raises DataError for arrays of different length, or classes outside 0 to K - 1.
    """
    if labels_N.ndim != 1 or labels_N.shape != predictions_N.shape:
        raise DataError(f"labels and predictions must be rows of one length, not {_shapes(labels_N, predictions_N)}")
    for word, values in (("labels", labels_N), ("predictions", predictions_N)):
        if values.size and not (values.min() >= 0 and values.max() < num_classes):
            raise DataError(f"{word} must lie in 0 to {num_classes - 1}, found {values.min()} to {values.max()}")
    cells_N = labels_N.astype(np.int64) * num_classes + predictions_N.astype(np.int64)
    counts = np.bincount(cells_N, minlength=num_classes * num_classes)
    return counts.astype(np.int64).reshape(num_classes, num_classes)


def accuracy(confusion_KK: IntArray) -> FloatArray:
    """Share of samples on the diagonal."""
    share: FloatArray = np.trace(confusion_KK, axis1=-2, axis2=-1) / total(confusion_KK)
    return share


def class_scores(confusion_KK: IntArray) -> ClassScores:
    """Precision, recall and F1 per class."""
    total(confusion_KK)
    hits_K = np.diagonal(confusion_KK, axis1=-2, axis2=-1)
    return ClassScores.of(hits_K, confusion_KK.sum(axis=-1), confusion_KK.sum(axis=-2))


def balanced_accuracy(confusion_KK: IntArray) -> FloatArray:
    """Mean recall over the classes that occur, which is macro recall under another name."""
    scores = class_scores(confusion_KK)
    return mean_occurring(scores.recall_K, scores.support_K)


def macro_precision(confusion_KK: IntArray) -> FloatArray:
    """Mean precision over the classes that occur."""
    scores = class_scores(confusion_KK)
    return mean_occurring(scores.precision_K, scores.support_K)


def macro_f1(confusion_KK: IntArray) -> FloatArray:
    """Mean of the classes' F1 over the classes that occur (not the F1 of mean precision and mean recall)."""
    scores = class_scores(confusion_KK)
    return mean_occurring(scores.f1_K, scores.support_K)


def mean_occurring(values_K: FloatArray, support_K: IntArray) -> FloatArray:
    """The mean over the classes that occur; NaN when none does."""
    occurs_K = support_K > 0
    num = occurs_K.sum(axis=-1)
    sums = (values_K * occurs_K).sum(axis=-1)
    mean: FloatArray = np.divide(sums, num, out=np.full(num.shape, np.nan), where=num > 0)[()]
    return mean


def top_k_accuracy(probabilities_NK: Probabilities, labels_N: IntArray, *, k: int) -> float:
    """Share of samples whose label is among the `min(k, K)` likeliest classes."""
    if not len(labels_N):
        raise DataError("there are no samples to measure")
    return float(top_k_hits(probabilities_NK, labels_N, k=k).mean())


def top_k_hits(probabilities_NK: Probabilities, labels_N: IntArray, *, k: int) -> npt.NDArray[np.bool_]:
    """Per sample, whether the label is among the likeliest `min(k, K)`.

    Of equal probabilities the lower class comes first, as in `argmax`: k = 1 is exactly accuracy, on any machine.
    """
    if k < 1 or probabilities_NK.ndim != 2 or labels_N.shape != probabilities_NK.shape[:1]:
        raise DataError(f"top-k needs k >= 1 and one label per row, not k = {k}, {_shapes(probabilities_NK, labels_N)}")
    of_label_N1 = np.take_along_axis(probabilities_NK, labels_N[:, None], axis=1)
    earlier_NK = np.arange(probabilities_NK.shape[1]) < labels_N[:, None]
    ahead_NK = (probabilities_NK > of_label_N1) | (earlier_NK & (probabilities_NK == of_label_N1))
    hits_N: npt.NDArray[np.bool_] = ahead_NK.sum(axis=1) < k
    return hits_N


def total(confusion_KK: IntArray) -> IntArray:
    """Number of samples in a confusion matrix. Raises DataError for 0, because no score is defined then."""
    num_samples: IntArray = confusion_KK.sum(axis=(-2, -1))
    if not np.all(num_samples):
        raise DataError("there are no samples to measure")
    return num_samples


def divide(numerators: npt.NDArray[Any], denominators: npt.NDArray[Any]) -> FloatArray:
    """Elementwise quotient; 0 where the denominator is 0."""
    result: FloatArray = np.divide(numerators, denominators, out=np.zeros(numerators.shape), where=denominators > 0)
    return result


def _shapes(*arrays: npt.NDArray[Any]) -> str:
    return " and ".join(str(array.shape) for array in arrays)
