"""Scores of label sets: F1, average precision and thresholds.

Conventions, because libraries differ: a score whose denominator is zero is 0, and macro averages run over the classes
that some sample has. Average precision is the area under the steps of precision over recall (scikit-learn's
`average_precision_score`; samples of equal probability are one step). Weights (N): how often each sample counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError

from .counts import ClassScores, FloatArray, IntArray, divide, mean_occurring

BoolArray = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.floating[Any]]


def set_scores(truth_NK: BoolArray, answers_NK: BoolArray, weights_N: IntArray | None = None) -> ClassScores:
    """Precision, recall and F1 of each class."""
    weights_N = _weights(truth_NK, weights_N)
    return ClassScores.of(weights_N @ (truth_NK & answers_NK), weights_N @ truth_NK, weights_N @ answers_NK)


def set_macro_f1(scores: ClassScores) -> FloatArray:
    """Mean F1 over the classes that occur; NaN when none does."""
    return mean_occurring(scores.f1_K, scores.support_K)


def set_micro_f1(scores: ClassScores) -> FloatArray:
    """F1 over the decisions of all classes together."""
    hits = (scores.recall_K * scores.support_K).sum(axis=-1)
    return divide(2 * hits, (scores.support_K + scores.predicted_K).sum(axis=-1))[()]


class Ranking:
    """Average precision of each class, with the sorting done once for any number of resamples."""

    def __init__(self, truth_NK: BoolArray, probabilities_NK: Probabilities) -> None:
        self.order_NK = np.argsort(-probabilities_NK, axis=0, kind="stable")
        self.truth_NK = np.take_along_axis(truth_NK, self.order_NK, 0)
        sorted_NK = np.take_along_axis(probabilities_NK, self.order_NK, 0)
        is_end_NK = np.ones_like(truth_NK)
        is_end_NK[:-1] = sorted_NK[1:] != sorted_NK[:-1]
        rows_N1 = np.arange(len(truth_NK))[:, None]
        # The last row of each run of equal probabilities: all samples of a run are found at the same threshold.
        ends_NK = np.where(is_end_NK, rows_N1, len(truth_NK))
        self.end_NK = np.minimum.accumulate(ends_NK[::-1], axis=0)[::-1]

    def influence(self) -> FloatArray:
        """Influence of each sample on mean average precision (N).

        A positive adds the precision at its own rank. Every sample changes the precision of the positives ranked below.
        """
        truth_NK = self.truth_NK.astype(np.float64)
        positives_NK, support_K = truth_NK.cumsum(0), truth_NK.sum(0)
        at_end_NK = np.take_along_axis(positives_NK, self.end_NK, 0) / (self.end_NK + 1)
        # First row of each sample's run of equal probabilities, from which the sums of `behind` begin.
        rows_N1 = np.arange(len(truth_NK))[:, None]
        is_start_NK = np.vstack([np.ones((1, truth_NK.shape[1]), bool), self.end_NK[1:] != self.end_NK[:-1]])
        start_NK = np.maximum.accumulate(np.where(is_start_NK, rows_N1, 0), axis=0)

        def behind(values_NK: FloatArray) -> FloatArray:
            return np.take_along_axis(values_NK[::-1].cumsum(0)[::-1], start_NK, 0)

        lifted_NK = truth_NK * behind(truth_NK / (self.end_NK + 1))
        lowered_NK = behind(truth_NK * at_end_NK / (self.end_NK + 1))
        mean_K = divide((truth_NK * at_end_NK).sum(0), support_K)
        moved_NK = divide(
            truth_NK * (at_end_NK - mean_K) + lifted_NK - lowered_NK, np.broadcast_to(support_K, truth_NK.shape)
        )
        in_order_NK = np.empty_like(moved_NK)
        np.put_along_axis(in_order_NK, self.order_NK, moved_NK, 0)
        whole_N: FloatArray = in_order_NK.sum(axis=1) / max(1, int((support_K > 0).sum()))
        return whole_N

    def average_precision(self, weights_N: IntArray | None = None) -> FloatArray:
        """Average precision of each class (K); NaN for a class that no sample has."""
        weights_NK = _weights(self.truth_NK, weights_N)[self.order_NK]
        positives_NK = weights_NK * self.truth_NK
        precision_NK = divide(positives_NK.cumsum(0), weights_NK.cumsum(0))
        at_end_NK = np.take_along_axis(precision_NK, self.end_NK, 0)
        support_K = positives_NK.sum(0)
        sums_K = (positives_NK * at_end_NK).sum(0)
        result_K: FloatArray = np.divide(sums_K, support_K, out=np.full(len(sums_K), np.nan), where=support_K > 0)
        return result_K


def mean_average_precision(truth_NK: BoolArray, probabilities_NK: Probabilities) -> float:
    """mAP: the mean over the classes that some sample has; NaN when none does."""
    return mean_of_known(Ranking(truth_NK, probabilities_NK).average_precision())


def mean_of_known(values_K: FloatArray) -> float:
    """The mean of the values that are not NaN; NaN when all are."""
    known_M = values_K[~np.isnan(values_K)]
    return float(known_M.mean()) if known_M.size else float("nan")


def best_thresholds(truth_NK: BoolArray, probabilities_NK: Probabilities) -> tuple[float, ...]:
    """Threshold of each class with the highest F1 on these samples.

    A threshold is half-way between the probabilities of two samples. Ties go to the one nearest 1/2. A class that no
    sample has, or all have, gets 1/2.
    """
    columns = zip(truth_NK.T, probabilities_NK.T.astype(np.float64), strict=True)
    return tuple(_best_threshold(truth_N, p_N) for truth_N, p_N in columns)


def set_macro_f1_influence(truth_NK: BoolArray, answers_NK: BoolArray) -> FloatArray:
    """Influence of each sample on macro F1 (N); see `influence.py`."""
    scores = set_scores(truth_NK, answers_NK)
    occurring_K = scores.support_K > 0
    each_K = occurring_K * divide(np.ones(len(occurring_K)), scores.support_K + scores.predicted_K)
    counts_NK = truth_NK.astype(np.float64) + answers_NK
    moved_N: FloatArray = (2.0 * (truth_NK & answers_NK) - scores.f1_K * counts_NK) @ each_K / max(1, occurring_K.sum())
    return moved_N


def set_micro_f1_influence(truth_NK: BoolArray, answers_NK: BoolArray) -> FloatArray:
    """Influence of each sample on micro F1 (N)."""
    counts_N = (truth_NK.astype(np.int64) + answers_NK).sum(axis=1)
    hits_N = (truth_NK & answers_NK).sum(axis=1)
    moved_N: FloatArray = 2 * (hits_N - counts_N * hits_N.sum() / max(1, counts_N.sum())) / max(1, counts_N.sum())
    return moved_N


def _best_threshold(truth_N: BoolArray, probabilities_N: FloatArray) -> float:
    if truth_N.all() or not truth_N.any():
        return 0.5
    order_N = np.argsort(-probabilities_N, kind="stable")
    sorted_N = probabilities_N[order_N]
    hits_N = truth_N[order_N].cumsum()
    f1_N = 2 * hits_N / (np.arange(1, len(hits_N) + 1) + hits_N[-1])
    cuts_N = (sorted_N + np.append(sorted_N[1:], 0.0)) / 2
    # No threshold can separate samples of equal probability.
    f1_N[:-1][sorted_N[1:] == sorted_N[:-1]] = -1.0
    best_M = np.flatnonzero(f1_N == f1_N.max())
    return float(cuts_N[best_M[np.argmin(np.abs(cuts_N[best_M] - 0.5))]])


def _weights(truth_NK: BoolArray, weights_N: IntArray | None) -> IntArray:
    if not len(truth_NK):
        raise DataError("there are no samples to measure")
    return np.ones(len(truth_NK), np.int64) if weights_N is None else weights_N
