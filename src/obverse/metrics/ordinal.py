"""Scores for classes in grade order, from the distance between label and answer.

The distance is in steps between neighbouring classes of the data, not on the grading scale: MS60 to MS65 is one step
when no class lies between them. Scores of many confusion matrices (..., K, K) are arrays (...).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .counts import FloatArray, IntArray, total


def mean_absolute_error(confusion_KK: IntArray) -> FloatArray:
    """Mean distance between label and prediction, in steps."""
    return _weighted(confusion_KK, step_counts(confusion_KK.shape[-1])) / total(confusion_KK)


def within_one(confusion_KK: IntArray) -> FloatArray:
    """Share of samples that are right or one step off."""
    near_KK = (step_counts(confusion_KK.shape[-1]) <= 1).astype(np.int64)
    return _weighted(confusion_KK, near_KK) / total(confusion_KK)


def quadratic_kappa(confusion_KK: IntArray) -> FloatArray:
    """Agreement beyond chance, errors weighted by squared steps (Cohen 1968); 1 is perfect, 0 is chance.

    NaN where labels and predictions are all one class: chance then agrees fully and kappa is 0 / 0.
    """
    weights_KK = step_counts(confusion_KK.shape[-1]) ** 2
    labels_K, given_K = confusion_KK.sum(axis=-1), confusion_KK.sum(axis=-2)
    expected = ((labels_K @ weights_KK) * given_K).sum(axis=-1) / total(confusion_KK)
    observed = _weighted(confusion_KK, weights_KK)
    kappa: FloatArray = 1.0 - np.divide(observed, expected, out=np.full(expected.shape, np.nan), where=expected > 0)[()]
    return kappa


def _weighted(confusion_KK: IntArray, weights_KK: IntArray) -> IntArray:
    sums: IntArray = np.einsum("...ij,ij->...", confusion_KK, weights_KK)
    return sums


@lru_cache(maxsize=4)
def step_counts(num_classes: int) -> IntArray:
    """Steps between every two classes (K, K); cached, because several scores need it. Read-only."""
    positions_K = np.arange(num_classes, dtype=np.int64)
    steps_KK: IntArray = np.abs(positions_K[:, None] - positions_K[None, :])
    steps_KK.setflags(write=False)
    return steps_KK
