"""Score of how unlike the training pictures a sample is: GEN of its probabilities and its Mahalanobis distance.

GEN (Liu, Lochman & Zach, CVPR 2023) is a generalised entropy of the probabilities. The distance is that of the
normalised embedding from the nearest class mean, by one covariance for all classes (Mahalanobis++, arXiv:2505.18032).
The distance counts more, because far pictures are far by it even where the model is sure of its answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError
from obverse.recipe import OutlierSpec

FloatArray = npt.NDArray[np.float64]
# Exponent and number of classes of GEN, as in the paper.
GAMMA, MOST_CLASSES = 0.1, 100
# Rows that are compared with all classes at once: 4,096 x 500 numbers of 8 bytes are 16 MB.
BLOCK = 4096
# Weight of GEN beside the distance.
GEN_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class OutlierDetector:
    """Gaussians of the normalised training embeddings: a mean for every class, and one covariance.

    The covariance has a variance along each of some directions, and one for the rest of the space.
    """

    means_KD: npt.NDArray[np.float16]
    """Mean of each class that has training samples; one mean of all samples for label sets."""

    directions_RD: npt.NDArray[np.float16]
    """Orthogonal directions of the greatest variance."""

    variances_R: npt.NDArray[np.float32]
    """Variance along each direction."""

    residual: float
    """Variance along every other direction."""

    def squared_distances(self, embeddings_ND: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Squared Mahalanobis distance of each embedding from its nearest mean (N).

        DataError for embeddings of another size.
        """
        if embeddings_ND.shape[1] != self.means_KD.shape[1]:
            raise DataError(f"the bundle's outliers.safetensors is for embeddings of {self.means_KD.shape[1]} numbers, "
                            f"and the model's have {embeddings_ND.shape[1]}; it belongs to another model")  # fmt: skip
        blocks = range(0, len(embeddings_ND), BLOCK)
        squares = [self._squares(normalised(embeddings_ND[start : start + BLOCK])).min(axis=1) for start in blocks]
        nearest_N: FloatArray = np.concatenate([*squares, np.empty(0)])
        return nearest_N

    def _squares(self, points_ND: FloatArray) -> FloatArray:
        """Squared distance of each point from each mean (N, K)."""
        means_KD, directions_DR = self.means_KD.astype(np.float64), self.directions_RD.T.astype(np.float64)
        # The inverse covariance is 1 / residual everywhere, and along the directions what is missing.
        missing_R = 1 / self.variances_R.astype(np.float64) - 1 / self.residual
        along_NR, of_means_KR = points_ND @ directions_DR, means_KD @ directions_DR
        plain_NK = _apart(points_ND, means_KD) / self.residual
        roots_R, signs_R = np.sqrt(np.abs(missing_R)), np.sign(missing_R)
        for sign in (-1.0, 1.0):
            at_R = signs_R == sign
            plain_NK += sign * _apart(along_NR[:, at_R] * roots_R[at_R], of_means_KR[:, at_R] * roots_R[at_R])
        return plain_NK.clip(0.0)


def normalised(embeddings_ND: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """The embeddings, each divided by its length."""
    exact_ND = embeddings_ND.astype(np.float64)
    unit_ND: FloatArray = exact_ND / np.linalg.norm(exact_ND, axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    return unit_ND


def generalised_entropy(probabilities_NK: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """GEN of each row (N), over its 100 most probable classes: large where no class stands out.

    For label sets it is the sum over classes of how uncertain the presence of each is.
    """
    exact_NK = np.sort(probabilities_NK.astype(np.float64), axis=1)[:, -MOST_CLASSES:].clip(0.0, 1.0)
    entropy_N: FloatArray = ((exact_NK * (1 - exact_NK)) ** GAMMA).sum(axis=1)
    return entropy_N


def outlier_scores(
    spec: OutlierSpec,
    detector: OutlierDetector,
    probabilities_NK: npt.NDArray[np.floating[Any]],
    embeddings_ND: npt.NDArray[np.floating[Any]],
) -> FloatArray:
    """The score of each sample (N), higher for one that is less like the training pictures."""
    gen_N = (generalised_entropy(probabilities_NK) - spec.gen_centre) / spec.gen_scale
    far_N = (detector.squared_distances(embeddings_ND) - spec.distance_centre) / spec.distance_scale
    scores_N: FloatArray = GEN_WEIGHT * gen_N + far_N
    return scores_N


def _apart(points_NX: FloatArray, others_KX: FloatArray) -> FloatArray:
    """Squared Euclidean distance of each point from each other one (N, K)."""
    squares_N1, squares_K = (points_NX**2).sum(1, keepdims=True), (others_KX**2).sum(1)
    apart_NK: FloatArray = squares_N1 + squares_K - 2 * points_NX @ others_KX.T
    return apart_NK.clip(0.0)
