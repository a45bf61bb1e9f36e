"""Calibration error: the distance between the probability of answers and how often they are right.

Answers are put into bins of equal size by their probability. By chance alone a bin's share of right answers differs
from its mean probability, so that the plain error of few samples is too large. What chance adds is estimated and
subtracted (debiased: Kumar, Liang & Ma 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .counts import FloatArray, IntArray

NUM_BINS = 15
# Fewer samples in a bin say nothing about its share.
LEAST_IN_BIN = 4


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of probabilities of equal size, lowest first."""

    confidence_B: FloatArray
    """Mean probability in each bin."""

    right_B: FloatArray
    """Share of right answers in each bin."""

    count_B: IntArray
    """Samples in each bin."""

    noise_B: FloatArray
    """Standard deviation of the share by chance, if the probabilities are true."""

    bin_M: IntArray
    """Bin of each probability."""

    @property
    def mean_confidence(self) -> float:
        """Mean probability of all answers."""
        return float((self.confidence_B * self.count_B).sum() / self.count_B.sum())

    @property
    def share_right(self) -> float:
        """Share of right answers."""
        return float((self.right_B * self.count_B).sum() / self.count_B.sum())

    @property
    def error(self) -> float:
        """The debiased expected calibration error: 0 to 1."""
        gap_B = np.abs(self.right_B - self.confidence_B)
        # The gap that is there without chance, whose variance adds to its square.
        true_B = np.sqrt(np.maximum(gap_B**2 - self.noise_B**2, 0.0))
        added_B = _mean_distance(true_B, self.noise_B) - true_B
        return max(0.0, float(((gap_B - added_B) * self.count_B).sum() / self.count_B.sum()))

    def influence(self, confidence_M: FloatArray, is_right_M: npt.NDArray[np.bool_]) -> FloatArray:
        """How far each answer pulls the error up (M): its surprise, with the sign of its bin."""
        sign_B = np.sign(self.right_B - self.confidence_B)
        surprise_M: FloatArray = (is_right_M - confidence_M) - (self.right_B - self.confidence_B)[self.bin_M]
        return sign_B[self.bin_M] * surprise_M


def reliability(confidence_M: npt.NDArray[np.floating[Any]], is_right_M: npt.NDArray[np.bool_]) -> Reliability:
    """Bins of the probabilities of answers. Equal probabilities may lie in two bins."""
    confident_M = confidence_M.astype(np.float64)
    num = len(confident_M)
    num_bins = max(1, min(NUM_BINS, num // LEAST_IN_BIN))
    bin_M = np.empty(num, np.int64)
    bin_M[np.argsort(confident_M, kind="stable")] = np.arange(num) * num_bins // num
    count_B = np.bincount(bin_M, minlength=num_bins).astype(np.int64)

    def mean(values_M: FloatArray) -> FloatArray:
        return np.bincount(bin_M, values_M, minlength=num_bins) / count_B

    noise_B = np.sqrt(mean(confident_M * (1 - confident_M)) / count_B)
    return Reliability(mean(confident_M), mean(is_right_M.astype(np.float64)), count_B, noise_B, bin_M)


def _mean_distance(gap_B: FloatArray, noise_B: FloatArray) -> FloatArray:
    """Mean of |gap + noise| for normal noise (folded normal distribution)."""
    safe_B = np.maximum(noise_B, 1e-12)
    ratio_B = gap_B / safe_B
    tail_B = np.array([math.erf(value / math.sqrt(2)) for value in ratio_B.tolist()])
    distance_B: FloatArray = safe_B * math.sqrt(2 / math.pi) * np.exp(-(ratio_B**2) / 2) + gap_B * tail_B
    return distance_B
