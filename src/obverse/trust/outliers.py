"""Fit of the score of samples that are unlike the training pictures: Gaussians on train, scale and limit on val.

No foreign pictures are needed: a sample is rejected when its score is above that of 99 % of val.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.decisions import OutlierDetector, generalised_entropy, normalised, outlier_scores
from obverse.metrics import FloatArray
from obverse.recipe import OutlierSpec

# Share of val samples that a limit may leave above it.
FALSE_ALARMS = 0.01
# Directions with a variance of their own; the array stays below 1 MB for embeddings of 2,048 numbers.
MOST_DIRECTIONS = 128
# Fewer samples of val say nothing about a limit, fewer of train nothing about a covariance.
LEAST_VAL, LEAST_TRAIN = 10, 10
LEAST_SCALE = 1e-6
LEAST_VARIANCE = 1e-9

Embeddings = npt.NDArray[np.floating[Any]]


def fit_detector(embeddings_ND: Embeddings, truth: npt.NDArray[Any]) -> OutlierDetector | None:
    """Gaussians of training embeddings; None for too few samples or embeddings that are not numbers.

    truth: class indices (N), -1 where unknown; or label sets (N, K), for which one Gaussian holds all samples, because
    a sample has no single class whose mean it would be near.
    """
    if truth.ndim == 1:
        embeddings_ND, truth = embeddings_ND[truth >= 0], truth[truth >= 0]
    if len(embeddings_ND) < LEAST_TRAIN or not np.isfinite(embeddings_ND).all():
        return None
    points_ND = normalised(embeddings_ND)
    classes_N = truth if truth.ndim == 1 else np.zeros(len(points_ND), np.int64)
    _, classes_N = np.unique(classes_N, return_inverse=True)
    counts_K = np.bincount(classes_N)
    means_KD = np.zeros((len(counts_K), points_ND.shape[1]))
    np.add.at(means_KD, classes_N, points_ND)
    means_KD /= counts_K[:, None]
    directions_RD, variances_R, residual = _covariance(
        points_ND - means_KD[classes_N], max(1, len(points_ND) - len(counts_K))
    )
    return OutlierDetector(
        means_KD.astype(np.float16), directions_RD.astype(np.float16), variances_R.astype(np.float32), residual
    )


def scaled_on_val(
    detector: OutlierDetector, probabilities_NK: npt.NDArray[np.floating[Any]], embeddings_ND: Embeddings
) -> OutlierSpec | None:
    """Scales of both parts of the score, and the limit, on val samples; None where they are too few."""
    num = len(embeddings_ND)
    if num < LEAST_VAL or not np.isfinite(embeddings_ND).all():
        return None
    parts = generalised_entropy(probabilities_NK), detector.squared_distances(embeddings_ND)
    centres = [float(np.median(part_N)) for part_N in parts]
    scales = [max(LEAST_SCALE, float(part_N.std())) for part_N in parts]
    spec = OutlierSpec(
        gen_centre=centres[0],
        gen_scale=scales[0],
        distance_centre=centres[1],
        distance_scale=scales[1],
        reject_above=0.0,
        share_below=1.0,
        num_samples=num,
    )
    scores_N = np.sort(outlier_scores(spec, detector, probabilities_NK, embeddings_ND))
    # The rank of conformal prediction: so that of new samples at most 1 % are above; with few samples the highest.
    rank = min(num, math.ceil((num + 1) * (1 - FALSE_ALARMS)))
    limit = float(np.nextafter(scores_N[rank - 1], np.inf))
    return spec.changed({"reject_above": limit, "share_below": float((scores_N <= limit).mean())})


def _covariance(centred_ND: FloatArray, degrees: int) -> tuple[FloatArray, FloatArray, float]:
    """Directions (R, D), their variances (R) and the residual variance of centred points.

    The covariance is shrunk towards equal variances by the oracle approximating estimate (Chen et al. 2010), because
    there may be fewer samples than dimensions.
    """
    from scipy.linalg import eigh

    num, size = centred_ND.shape
    is_wide = size > num
    small = (centred_ND @ centred_ND.T if is_wide else centred_ND.T @ centred_ND) / degrees
    trace, squares = float(np.trace(small)), float((small**2).sum())
    mean = max(trace / size, LEAST_VARIANCE)
    keep = min(MOST_DIRECTIONS, len(small) - 1, degrees)
    values_R, vectors = eigh(small, subset_by_index=[len(small) - keep, len(small) - 1]) if keep else (np.empty(0), [])
    directions_RD = np.zeros((0, size)) if not keep else (vectors.T @ centred_ND if is_wide else vectors.T)
    lengths_R = np.linalg.norm(directions_RD, axis=1)
    is_real_R = (values_R > LEAST_VARIANCE) & (lengths_R > 0)
    values_R, directions_RD = values_R[is_real_R], directions_RD[is_real_R] / lengths_R[is_real_R, None]
    shrink = _shrinkage(trace, squares, size, degrees)
    rest = max(0.0, trace - float(values_R.sum())) / max(1, size - len(values_R))
    return directions_RD, (1 - shrink) * values_R + shrink * mean, (1 - shrink) * rest + shrink * mean


def _shrinkage(trace: float, squares: float, size: int, degrees: int) -> float:
    """Weight of equal variances, 0 to 1."""
    excess = (degrees + 1 - 2 / size) * (squares - trace**2 / size)
    return 1.0 if excess <= 0 else min(1.0, ((1 - 2 / size) * squares + trace**2) / excess)
