"""Score of how unlike the training pictures a sample is: GEN of its probabilities and its Mahalanobis distance.

GEN (Liu, Lochman & Zach, CVPR 2023) is a generalised entropy of the probabilities. The distance is that of the
normalised embedding from the nearest class mean, by one covariance for all classes (Mahalanobis++, arXiv:2505.18032).
The distance counts more, because far pictures are far by it even where the model is sure of its answer.

All is in operators of torch, so that an exported model contains the code that prediction uses: prediction in double
precision, an exported model in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from obverse.errors import DataError
from obverse.recipe import OutlierSpec

from .blocks import in_blocks

FloatArray = npt.NDArray[np.float64]
# Exponent and number of classes of GEN, as in the paper.
GAMMA, MOST_CLASSES = 0.1, 100
# Rows that are compared with all classes at once: 4,096 x 500 numbers of 8 bytes are 16 MB.
BLOCK = 4096
# Weight of GEN beside the distance.
GEN_WEIGHT = 0.5
Values = TypeVar("Values", torch.Tensor, FloatArray)
# Shortest length by which an embedding is divided.
TINY = float(np.finfo(np.float32).tiny)


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

    @cached_property
    def distance(self) -> Distance:
        """The distance in double precision."""
        return Distance(self, torch.float64)

    def squared_distances(self, embeddings_ND: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Squared Mahalanobis distance of each embedding from its nearest mean (N).

        DataError for embeddings of another size.
        """
        if embeddings_ND.shape[1] != self.means_KD.shape[1]:
            raise DataError(f"the bundle's outliers.safetensors is for embeddings of {self.means_KD.shape[1]} numbers, "
                            f"and the model's have {embeddings_ND.shape[1]}; it belongs to another model")  # fmt: skip
        nearest_N: FloatArray = np.empty(len(embeddings_ND))
        for start in range(0, len(embeddings_ND), BLOCK):
            rows = slice(start, start + BLOCK)
            nearest_N[rows] = self.distance(_exact(embeddings_ND[rows])).numpy()
        return nearest_N


class Distance(nn.Module):
    """Squared Mahalanobis distance of embeddings (N, D) from their nearest mean (N), in one floating type."""

    means_KD: torch.Tensor
    directions_DR: torch.Tensor
    missing_R: torch.Tensor
    centre_D: torch.Tensor
    towards_DK: torch.Tensor
    offsets_K: torch.Tensor

    def __init__(self, detector: OutlierDetector, dtype: torch.dtype) -> None:
        super().__init__()
        self.per_residual = 1 / detector.residual
        means_KD, directions_RD = _exact(detector.means_KD), _exact(detector.directions_RD)
        # The inverse covariance is 1 / residual everywhere, and along the directions what is missing.
        missing_R = 1 / _exact(detector.variances_R) - self.per_residual
        # Which mean is nearest to x follows from m'Qm - 2x'Qm, where the inverse covariance is Q and the origin is
        # amid the means.
        centre_D = means_KD.mean(0)
        around_KD = means_KD - centre_D
        weighted_KD = around_KD * self.per_residual + (around_KD @ directions_RD.T * missing_R) @ directions_RD
        arrays = {
            "means_KD": means_KD,
            "directions_DR": directions_RD.T,
            "missing_R": missing_R,
            "centre_D": centre_D,
            "towards_DK": 2 * weighted_KD.T,
            "offsets_K": (around_KD * weighted_KD).sum(1),
        }
        for name, array in arrays.items():
            self.register_buffer(name, array.to(dtype).contiguous(), persistent=False)

    def forward(self, embeddings_ND: torch.Tensor) -> torch.Tensor:
        points_ND = unit(embeddings_ND)
        nearest_N = (self.offsets_K - (points_ND - self.centre_D) @ self.towards_DK).argmin(1)
        # From differences, because sums of squares would cancel.
        apart_ND = points_ND - self.means_KD.index_select(0, nearest_N)
        along_NR = apart_ND @ self.directions_DR
        squares_N = (apart_ND**2).sum(1) * self.per_residual + (along_NR**2 * self.missing_R).sum(1)
        return squares_N.clamp(min=0.0)


def unit(embeddings_ND: torch.Tensor) -> torch.Tensor:
    """The embeddings, each divided by its length."""
    lengths_N1: torch.Tensor = torch.linalg.vector_norm(embeddings_ND, dim=1, keepdim=True)
    return embeddings_ND / lengths_N1.clamp(min=TINY)


def entropy(probabilities_NK: torch.Tensor) -> torch.Tensor:
    """GEN of each row (N); see `generalised_entropy`."""
    if probabilities_NK.shape[1] > MOST_CLASSES:
        probabilities_NK = probabilities_NK.topk(MOST_CLASSES, dim=1).values
    known_NK = probabilities_NK.clamp(0.0, 1.0)
    return ((known_NK * (1 - known_NK)) ** GAMMA).sum(1)


def normalised(embeddings_ND: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """The embeddings, each divided by its length."""
    unit_ND: FloatArray = unit(_exact(embeddings_ND)).numpy()
    return unit_ND


def generalised_entropy(probabilities_NK: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """GEN of each row (N), over its 100 most probable classes: large where no class stands out.

    For label sets it is the sum over classes of how uncertain the presence of each is.
    """
    of_rows = in_blocks(lambda rows: entropy(_exact(probabilities_NK[rows])), *probabilities_NK.shape)
    entropy_N: FloatArray = of_rows.numpy()
    return entropy_N


def outlier_scores(
    spec: OutlierSpec,
    detector: OutlierDetector,
    probabilities_NK: npt.NDArray[np.floating[Any]],
    embeddings_ND: npt.NDArray[np.floating[Any]],
) -> FloatArray:
    """The score of each sample (N), higher for one that is less like the training pictures."""
    return joint_score(spec, generalised_entropy(probabilities_NK), detector.squared_distances(embeddings_ND))


def joint_score(spec: OutlierSpec, entropy_N: Values, squares_N: Values) -> Values:
    """The score of each sample (N), from its GEN and its squared distance."""
    gen_N = (entropy_N - spec.gen_centre) / spec.gen_scale
    far_N = (squares_N - spec.distance_centre) / spec.distance_scale
    return GEN_WEIGHT * gen_N + far_N


def _exact(array: npt.NDArray[np.floating[Any]]) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64)
