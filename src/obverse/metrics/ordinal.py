"""Scores for classes in grade order, from the distance between label and answer.

The distance is in steps between neighbouring classes of the data, not on the grading scale: MS60 to MS65 is one step
when no class lies between them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .counts import IntArray, total


def mean_absolute_error(confusion_KK: IntArray) -> float:
    """Mean distance between label and prediction, in steps."""
    return float((confusion_KK * step_counts(len(confusion_KK))).sum() / total(confusion_KK))


def within_one(confusion_KK: IntArray) -> float:
    """Share of samples that are right or one step off."""
    return float(confusion_KK[step_counts(len(confusion_KK)) <= 1].sum() / total(confusion_KK))


def quadratic_kappa(confusion_KK: IntArray) -> float:
    """Agreement beyond chance, errors weighted by squared steps (Cohen 1968); 1 is perfect, 0 is chance.

    NaN where labels and predictions are all one class: chance then agrees fully and kappa is 0 / 0.
    """
    weights_KK = step_counts(len(confusion_KK)) ** 2
    by_chance_KK = np.outer(confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)) / total(confusion_KK)
    expected = float((weights_KK * by_chance_KK).sum())
    return 1.0 - float((weights_KK * confusion_KK).sum()) / expected if expected > 0 else float("nan")


@lru_cache(maxsize=4)
def step_counts(num_classes: int) -> IntArray:
    """Steps between every two classes (K, K); cached, because several scores need it. Read-only."""
    positions_K = np.arange(num_classes, dtype=np.int64)
    steps_KK: IntArray = np.abs(positions_K[:, None] - positions_K[None, :])
    steps_KK.setflags(write=False)
    return steps_KK
