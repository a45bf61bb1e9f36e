"""Scores of classes: the lower, the sooner a class belongs to the prediction set.

The answer of one class per sample has the score 0, so that no set is empty. Scores of ordered classes never fall with
the distance from the answer, so that every set is a contiguous range around the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.recipe import SetsSpec

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def class_scores(
    probabilities_NK: npt.NDArray[np.floating[Any]], answers_N: npt.NDArray[Any], rule: SetsSpec
) -> FloatArray:
    """The score of every class (N, K). answers_N: the answers; label sets (N, K) are not looked at."""
    exact_NK: FloatArray = probabilities_NK.astype(np.float64)
    if rule.kind == "labels":
        return 1 - exact_NK
    if rule.kind == "range":
        return 1 - _falling_outwards(exact_NK, answers_N)
    if rule.kind == "rps":
        return _rising_outwards(ranked_probability_scores(exact_NK), answers_N)
    scores_NK = 1 - exact_NK if rule.kind == "lac" else _raps(exact_NK, rule.penalty, rule.rank)
    scores_NK[np.arange(len(scores_NK)), answers_N] = 0.0
    return scores_NK


def ranked_probability_scores(probabilities_NK: FloatArray) -> FloatArray:
    """Ranked probability score (N, K) for each class taken as the truth (Epstein 1969).

    It is the sum of squared differences between the cumulative distributions, and is least at the median.
    """
    up_to_NK = probabilities_NK.cumsum(1)
    below_NK = np.zeros_like(up_to_NK)
    below_NK[:, 1:] = (up_to_NK[:, :-1] ** 2).cumsum(1)
    above_NK: FloatArray = ((1 - up_to_NK) ** 2)[:, ::-1].cumsum(1)[:, ::-1]
    return below_NK + above_NK


def _raps(probabilities_NK: FloatArray, penalty: float, rank: int) -> FloatArray:
    """Probability of the class and all likelier ones, and a penalty per place after `rank` (Angelopoulos et al. 2021).

    Without the random number of the paper, so that one picture always has one set; coverage stays exact.
    """
    order_NK = np.argsort(-probabilities_NK, axis=1, kind="stable")
    places_K = np.arange(1, probabilities_NK.shape[1] + 1)
    sorted_NK = np.take_along_axis(probabilities_NK, order_NK, 1).cumsum(1) + penalty * np.maximum(0, places_K - rank)
    scores_NK: FloatArray = np.empty_like(sorted_NK)
    np.put_along_axis(scores_NK, order_NK, sorted_NK, 1)
    return scores_NK


def _rising_outwards(scores_NK: FloatArray, answers_N: IntArray) -> FloatArray:
    """The scores of the smallest ranges that hold the answer and a class: a running minimum from the outside."""
    places_K, answers_N1 = np.arange(scores_NK.shape[1]), answers_N[:, None]
    from_left_NK = np.minimum.accumulate(scores_NK, axis=1)
    from_right_NK = np.minimum.accumulate(scores_NK[:, ::-1], axis=1)[:, ::-1]
    rising_NK = np.where(places_K < answers_N1, from_left_NK, from_right_NK)
    return np.where(places_K == answers_N1, 0.0, rising_NK)


def _falling_outwards(probabilities_NK: FloatArray, answers_N: IntArray) -> FloatArray:
    """Probabilities (N, K) made to fall on both sides of the answer, whose own becomes 1.

    Each side becomes its isotonic regression. The classes above a limit are then the contiguous range around the answer
    with the most probability for its length, and ranges of a lower limit contain those of a higher one.
    """
    num_classes = probabilities_NK.shape[1]
    right_NK = _falling_from(probabilities_NK, answers_N)
    left_NK = _falling_from(probabilities_NK[:, ::-1], num_classes - 1 - answers_N)[:, ::-1]
    places_K, answers_N1 = np.arange(num_classes), answers_N[:, None]
    return np.where(places_K == answers_N1, 1.0, np.where(places_K > answers_N1, right_NK, left_NK))


def _falling_from(probabilities_NK: FloatArray, answers_N: IntArray) -> FloatArray:
    """The probabilities with those after the answer replaced by their non-increasing isotonic regression."""
    places_K = np.arange(probabilities_NK.shape[1])
    # What comes before cannot pool with what comes after: it is larger than any probability.
    fitted_NK = non_increasing(np.where(places_K <= answers_N[:, None], 2.0, probabilities_NK))
    return np.where(places_K > answers_N[:, None], fitted_NK, probabilities_NK)


def non_increasing(values_NK: FloatArray) -> FloatArray:
    """Least-squares fit of each row by a non-increasing one: adjacent violators are pooled, all rows at once."""
    num_rows, num_places = values_NK.shape
    mean_NB, size_NB = np.zeros_like(values_NK), np.zeros(values_NK.shape, np.int64)
    last_N = np.full(num_rows, -1)  # the last block of each row
    for place in range(num_places):
        last_N += 1
        rows_N = np.arange(num_rows)
        mean_NB[rows_N, last_N], size_NB[rows_N, last_N] = values_NK[:, place], 1
        while True:
            rows_N = rows_N[last_N[rows_N] > 0]
            here_N = last_N[rows_N]
            rows_N = rows_N[mean_NB[rows_N, here_N] > mean_NB[rows_N, here_N - 1]]
            if not rows_N.size:
                break
            here_N = last_N[rows_N]
            sizes_N, before_N = size_NB[rows_N, here_N], size_NB[rows_N, here_N - 1]
            total_N = mean_NB[rows_N, here_N] * sizes_N + mean_NB[rows_N, here_N - 1] * before_N
            mean_NB[rows_N, here_N - 1], size_NB[rows_N, here_N - 1] = (
                total_N / (sizes_N + before_N),
                sizes_N + before_N,
            )
            size_NB[rows_N, here_N] = 0
            last_N[rows_N] -= 1
    return np.repeat(mean_NB.ravel(), size_NB.ravel()).reshape(values_NK.shape)
