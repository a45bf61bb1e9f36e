"""Cross-validated linear probe: ridge regression on a few features per sample, in closed form.

It tests whether the features contain information about the class. All classes have equal weight whatever their size,
so chance is 1 / number of classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .facts import Array

NUM_FOLDS = 5
# Number of quantile bins of one value.
NUM_BINS = 12
# Two-sided 99.9 %, because many probes are run on one set.
Z = 3.29


@dataclass(frozen=True)
class Skill:
    """Balanced accuracy of a probe, with a confidence interval."""

    accuracy: float

    low: float
    """Lower end of the interval of Z standard errors."""

    high: float
    """Upper end of that interval."""

    chance: float
    """Accuracy of guessing: 1 / number of classes."""


def out_of_fold(
    features_ND: Array, labels_N: Array, num_classes: int, *, ridge: float = 0.1, scored_ND: Array | None = None
) -> Array:
    """Scores (N, K) of each sample by a probe that is trained without the sample's fold.

    features_ND: features to train on. labels_N: integer classes, each below `num_classes`.
    ridge: total penalty, divided over all features.
    scored_ND: other features of the same samples, to be scored instead of `features_ND`.
    """
    mean_D, spread_D = features_ND.mean(axis=0), features_ND.std(axis=0)

    def standard(values_ND: Array) -> Array:
        scaled_ND = (values_ND - mean_D) / np.where(spread_D > 0, spread_D, 1)
        return np.concatenate([scaled_ND, np.ones((len(scaled_ND), 1))], axis=1)

    x_ND = standard(features_ND)
    asked_ND = x_ND if scored_ND is None else standard(scored_ND)
    weights_N = (1 / np.bincount(labels_N, minlength=num_classes).clip(1))[labels_N] / num_classes
    targets_NK = np.eye(num_classes)[labels_N]
    folds_N = _folds(labels_N)
    scores_NK = np.zeros((len(x_ND), num_classes))
    penalty_DD = ridge * np.eye(x_ND.shape[1]) / x_ND.shape[1]
    for fold in range(NUM_FOLDS):
        seen = folds_N != fold
        weighted_DN = (x_ND[seen] * weights_N[seen, None]).T
        solution_DK = np.linalg.solve(weighted_DN @ x_ND[seen] + penalty_DD, weighted_DN @ targets_NK[seen])
        scores_NK[~seen] = asked_ND[~seen] @ solution_DK
    return scores_NK


def skill(features_ND: Array, labels_N: Array, num_classes: int, *, ridge: float = 0.1) -> Skill:
    """Skill of a probe that predicts `labels_N` from `features_ND`. ridge: see `out_of_fold`."""
    right_N = out_of_fold(features_ND, labels_N, num_classes, ridge=ridge).argmax(axis=1) == labels_N
    counts_K = np.bincount(labels_N, minlength=num_classes).clip(1)
    recall_K = np.bincount(labels_N, weights=right_N, minlength=num_classes) / counts_K
    # Laplace's rule keeps the variance of a class of few samples above zero.
    smoothed_K = (recall_K * counts_K + 1) / (counts_K + 2)
    error = float(np.sqrt((smoothed_K * (1 - smoothed_K) / counts_K).sum()) / num_classes)
    accuracy = float(recall_K.mean())
    return Skill(accuracy, max(0.0, accuracy - Z * error), min(1.0, accuracy + Z * error), 1 / num_classes)


def in_bins(values_N: Array) -> Array:
    """One-hot quantile bins (N, bins), which let a linear probe fit a nonlinear function; equal values share a bin."""
    edges = np.unique(np.quantile(values_N, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    places_N = np.searchsorted(edges, values_N, side="left")
    exact_N = np.searchsorted(edges, values_N, side="right")
    return np.asarray(np.eye(2 * len(edges) + 1)[places_N + exact_N])


def _folds(labels_N: Array) -> Array:
    """The fold of each sample, with every class spread over all folds in the order of the samples."""
    folds_N = np.empty(len(labels_N), np.int64)
    order = np.argsort(labels_N, kind="stable")
    starts = np.searchsorted(labels_N[order], labels_N[order], side="left")
    folds_N[order] = (np.arange(len(order)) - starts) % NUM_FOLDS
    return folds_N
