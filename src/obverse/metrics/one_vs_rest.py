"""AUROC and average precision of each class against the rest, with the influence of each sample.

Classes are computed one at a time, to need memory for one column of probabilities only. A pair of equal probabilities
counts one half in the AUROC; samples of equal probability are one step of the precision-recall curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .counts import FloatArray, IntArray
from .label_sets import BoolArray, Probabilities, mean_of_known


class ClassRanking(NamedTuple):
    """Ranking scores of one class among N samples."""

    auroc: float
    """Area under the ROC curve; NaN where every sample has the class."""

    average_precision: float

    average_precision_bias: float
    """Expected excess of average precision because of few samples."""

    auroc_influence_N: FloatArray
    """Influence of each sample on the AUROC (see `influence.py`)."""

    average_precision_influence_N: FloatArray
    """Influence of each sample on average precision."""


class OneVsRest:
    """Ranking scores of all classes (K), NaN where not defined, and influences (N) on their means over classes.

    A score is not defined for a class that no sample has; AUROC neither for a class that all samples have.
    is_unbiased: scale influences so that their variance is unbiased: a mean over n samples of a class has n - 1 degrees
    of freedom.
    """

    def __init__(
        self, is_of_class: Callable[[int], BoolArray], probabilities_NK: Probabilities, *, is_unbiased: bool = False
    ) -> None:
        num_samples, num_classes = probabilities_NK.shape
        self.auroc_K = np.full(num_classes, np.nan)
        self.average_precision_K = np.full(num_classes, np.nan)
        self.average_precision_bias_K = np.full(num_classes, np.nan)
        self.auroc_influence_N, self.average_precision_influence_N = np.zeros(num_samples), np.zeros(num_samples)
        for k in range(num_classes):
            positive_N = is_of_class(k)
            if positive_N.any():
                ranked = rank_class(positive_N, probabilities_NK[:, k])
                self.auroc_K[k], self.average_precision_K[k] = ranked.auroc, ranked.average_precision
                self.average_precision_bias_K[k] = ranked.average_precision_bias
                scale = _unbiased_scale(int(positive_N.sum())) if is_unbiased else 1.0
                self.auroc_influence_N += scale * ranked.auroc_influence_N
                self.average_precision_influence_N += scale * ranked.average_precision_influence_N
        self.auroc_influence_N /= max(1, int((~np.isnan(self.auroc_K)).sum()))
        self.average_precision_influence_N /= max(1, int((~np.isnan(self.average_precision_K)).sum()))

    @property
    def auroc(self) -> float:
        """The mean over classes."""
        return mean_of_known(self.auroc_K)

    @property
    def average_precision(self) -> float:
        """The mean over classes."""
        return mean_of_known(self.average_precision_K)


def _unbiased_scale(num: int) -> float:
    # A single sample does not show any variance: half a degree of freedom is a guess.
    return math.sqrt(num / max(num - 1, 0.5))


def rank_class(positive_N: BoolArray, scores_N: Probabilities) -> ClassRanking:
    """Ranking scores of one class, which at least one sample must have."""
    order_N = np.argsort(np.ascontiguousarray(scores_N))  # equal scores may be in any order
    positive_N, scores_N = positive_N[order_N], scores_N[order_N]
    starts_N, ends_N = _runs(scores_N)
    num, num_positive = len(scores_N), int(positive_N.sum())
    # Numbers of positives with a lower score than sample n, and with a score up to its own.
    positives_N1 = np.concatenate([[0], positive_N.cumsum()])
    below_N, up_to_N = positives_N1[starts_N], positives_N1[ends_N]
    back_N = np.empty_like(order_N)
    back_N[order_N] = np.arange(num)
    area, area_N = _area(positive_N, (starts_N, ends_N), (below_N, up_to_N))
    precision_N, not_below_N = (num_positive - below_N) / (num - starts_N), num - starts_N
    average = float(precision_N[positive_N].mean())

    def of_weaker(values_N: FloatArray) -> FloatArray:
        """Sums over the positive samples with the same score or a lower one."""
        return np.concatenate([[0.0], (positive_N * values_N).cumsum()])[ends_N]

    # A positive adds its own precision and raises that of positives below it; every sample lowers theirs by its rank.
    moved_N = positive_N * (precision_N - average + of_weaker(1 / not_below_N)) - of_weaker(precision_N / not_below_N)
    # The precision at a positive's rank counts the positive itself, which is an upward bias with few samples.
    bias = (1 - average) * float((1 / not_below_N)[positive_N].mean())
    return ClassRanking(area, average, bias, area_N[back_N], (moved_N / num_positive)[back_N])


def _area(
    positive_N: BoolArray, runs: tuple[IntArray, IntArray], positives: tuple[IntArray, IntArray]
) -> tuple[float, FloatArray]:
    """Area under the ROC curve, and influences (N); NaN and zeros where every sample is of the class.

    Influences after DeLong, DeLong & Clarke-Pearson (1988): from the share of the other side that a sample is ranked
    correctly against.
    """
    (starts_N, ends_N), (below_N, up_to_N) = runs, positives
    num_positive = int(positive_N.sum())
    num_negative = len(positive_N) - num_positive
    if not num_negative:
        return float("nan"), np.zeros(len(positive_N))
    negatives_before_N = ((starts_N - below_N) + (ends_N - up_to_N)) / 2
    positives_behind_N = num_positive - (below_N + up_to_N) / 2
    area = float(negatives_before_N[positive_N].mean() / num_negative)
    influence_N: FloatArray = np.where(
        positive_N,
        (negatives_before_N / num_negative - area) / num_positive,
        (positives_behind_N / num_positive - area) / num_negative,
    )
    return area, influence_N


def _runs(sorted_N: Probabilities) -> tuple[IntArray, IntArray]:
    """Start and end (exclusive) of each sample's run of equal values (N)."""
    is_start_N = np.concatenate([[True], sorted_N[1:] != sorted_N[:-1]])
    starts_R = np.flatnonzero(is_start_N)
    run_N = is_start_N.cumsum() - 1
    ends_R = np.append(starts_R[1:], len(sorted_N))
    return starts_R[run_N].astype(np.int64), ends_R[run_N].astype(np.int64)
