"""How well each class's probabilities rank the samples of the class before all others, and the samples' influences.

One class at a time, so that the memory is that of one column of probabilities. Samples of equal probability are half a
pair for the area under the ROC curve, and one step of the curve of precision over recall.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .counts import FloatArray, IntArray
from .label_sets import BoolArray, Probabilities, mean_of_known


class ClassRanking(NamedTuple):
    """One class among N samples. The influences (N) are by how much the score grows with one more of each sample."""

    auroc: float
    average_precision: float
    average_precision_bias: float
    auroc_influence_N: FloatArray
    average_precision_influence_N: FloatArray


class OneVsRest:
    """Scores of all classes; NaN for a class that no sample has, or of which the area has no other sample to compare.

    The influences are those on the mean over the classes whose score is defined. is_unbiased: as large as makes their
    variance unbiased, because the mean over n samples of a class has n - 1 degrees of freedom.
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
    # A single sample says nothing of the variance; half a degree of freedom is a guess.
    return math.sqrt(num / max(num - 1, 0.5))


def rank_class(positive_N: BoolArray, scores_N: Probabilities) -> ClassRanking:
    """Of one class, of which some sample is."""
    order_N = np.argsort(np.ascontiguousarray(scores_N))  # equals may stand in any order
    positive_N, scores_N = positive_N[order_N], scores_N[order_N]
    starts_N, ends_N = _runs(scores_N)
    num, num_positive = len(scores_N), int(positive_N.sum())
    # Before sample n in rising order, and up to it: how many are positive.
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

    # A positive brings its own precision and lifts that of weaker ones; every sample lowers it by being before them.
    moved_N = positive_N * (precision_N - average + of_weaker(1 / not_below_N)) - of_weaker(precision_N / not_below_N)
    # A positive counts among those before itself: with few samples that lifts the precision at its place.
    bias = (1 - average) * float((1 / not_below_N)[positive_N].mean())
    return ClassRanking(area, average, bias, area_N[back_N], (moved_N / num_positive)[back_N])


def _area(
    positive_N: BoolArray, runs: tuple[IntArray, IntArray], positives: tuple[IntArray, IntArray]
) -> tuple[float, FloatArray]:
    """Area under the ROC curve, and influences; NaN and zeros where every sample is of the class.

    Influences as by DeLong, DeLong & Clarke-Pearson (1988): the share of the other side that a sample stands right to.
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
    """Where the run of equal values of each sample starts and ends (N)."""
    is_start_N = np.concatenate([[True], sorted_N[1:] != sorted_N[:-1]])
    starts_R = np.flatnonzero(is_start_N)
    run_N = is_start_N.cumsum() - 1
    ends_R = np.append(starts_R[1:], len(sorted_N))
    return starts_R[run_N].astype(np.int64), ends_R[run_N].astype(np.int64)
