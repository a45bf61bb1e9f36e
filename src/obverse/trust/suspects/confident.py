"""Estimated number of label errors by the confident joint (Northcutt, Jiang & Chuang 2021, arXiv:1911.00068).

A sample counts as confidently of class j where its probability of j reaches the mean probability of j among the samples
that are labelled j. The thresholds make up for a model that is surer of one class than of another.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def estimated_errors(
    probabilities_NK: npt.NDArray[np.float64], given_NK: npt.NDArray[np.bool_], *, is_set: bool
) -> float:
    """Estimated number of samples with a wrong label; for label sets, the sum over labels."""
    if not is_set:
        return _errors(confident_joint(probabilities_NK, given_NK.argmax(1)), given_NK.sum(0))
    total = 0.0
    for yes_N, given_N in zip(probabilities_NK.T, given_NK.T, strict=True):
        both_N2 = np.stack([1 - yes_N, yes_N], axis=1)
        counts_2 = np.array([(~given_N).sum(), given_N.sum()])
        total += _errors(confident_joint(both_N2, given_N.astype(np.int64)), counts_2)
    return total


def confident_joint(probabilities_NK: npt.NDArray[np.float64], given_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts (K, K) of samples by given class and by the class that they confidently are.

    Samples that are confidently of no class do not count; of several classes, the most probable counts.
    """
    num_classes = probabilities_NK.shape[1]
    thresholds_K = np.full(num_classes, np.inf)
    for k in range(num_classes):
        own = probabilities_NK[given_N == k, k]
        if len(own):
            thresholds_K[k] = own.mean()
    # Against rounding: a constant probability reaches its own mean.
    is_confident_NK = probabilities_NK >= thresholds_K - 1e-9
    best_N = np.where(is_confident_NK, probabilities_NK, -1.0).argmax(1)
    counts_KK = np.zeros((num_classes, num_classes), dtype=np.int64)
    counts = is_confident_NK.any(1)
    np.add.at(counts_KK, (given_N[counts], best_N[counts]), 1)
    return counts_KK


def _errors(joint_KK: npt.NDArray[np.int64], counts_K: npt.NDArray[np.int64]) -> float:
    """Number of errors where every class's row of the joint is scaled to its number of samples."""
    totals_K = joint_KK.sum(1)
    wrong_K = totals_K - joint_KK.diagonal()
    return float((counts_K * wrong_K / np.maximum(totals_K, 1)).sum())
