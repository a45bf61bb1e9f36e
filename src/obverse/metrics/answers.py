"""Input of every metric: labels, answers and probabilities of one split, for one class per sample or for label sets.

Values that several metrics need are computed once and cached. Every sample must have a label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .counts import ClassScores, FloatArray, IntArray, confusion_matrix
from .intervals import Interval, set_intervals
from .label_sets import BoolArray, set_scores
from .one_vs_rest import OneVsRest
from .units import Units

Probabilities = npt.NDArray[np.floating[Any]]

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Floor of a probability in the loss: one underflow to 0 costs 87, not infinity."""


@dataclass(frozen=True, eq=False)
class OneLabel:
    """Labels and answers of one class per sample."""

    labels_N: IntArray
    """Class index of each sample's label."""

    given_N: IntArray
    """Class index of each sample's answer."""

    probabilities_NK: Probabilities

    units: Units
    """Which samples were drawn together."""

    ordered: bool = False
    """Whether the classes are in grade order."""

    @property
    def num_classes(self) -> int:
        """Number of classes that the model knows, with samples or without."""
        return int(self.probabilities_NK.shape[1])

    @cached_property
    def confusion_KK(self) -> IntArray:
        """Confusion matrix (K, K): counts, rows true, columns predicted."""
        return confusion_matrix(self.labels_N, self.given_N, num_classes=self.num_classes)

    def counted(self, weights_RN: IntArray) -> IntArray:
        """The confusion matrices (R, K, K) of resamples. weights_RN: how often each sample counts."""
        shape = (len(weights_RN), self.num_classes, self.num_classes)
        cells_RN = np.arange(shape[0])[:, None] * shape[1] ** 2 + self.labels_N * shape[1] + self.given_N
        # Weighted counts come as floats, exact below 2**53.
        counts = np.bincount(cells_RN.ravel(), weights=weights_RN.ravel(), minlength=math.prod(shape))
        return counts.astype(np.int64).reshape(shape)

    @cached_property
    def losses_N(self) -> FloatArray:
        """The negative log of the probability of each true class, in nats."""
        of_label_N = self.probabilities_NK[np.arange(len(self.labels_N)), self.labels_N].astype(np.float64)
        losses_N: FloatArray = -np.log(np.clip(of_label_N, SMALLEST_PROBABILITY, 1.0))
        return losses_N

    @property
    def confidence_NX(self) -> Probabilities:
        """The probability of each sample's answer."""
        return self.probabilities_NK[np.arange(len(self.given_N)), self.given_N][:, None]

    @property
    def is_right_NX(self) -> BoolArray:
        """Whether each answer is right."""
        is_right_NX: BoolArray = (self.given_N == self.labels_N)[:, None]
        return is_right_NX

    @cached_property
    def one_vs_rest(self) -> OneVsRest:
        """Each class's ranking of the samples."""
        return OneVsRest(lambda k: self.labels_N == k, self.probabilities_NK)


@dataclass(frozen=True, eq=False)
class LabelSets:
    """Label sets and answers of multi-label data."""

    truth_NK: BoolArray
    """Whether each sample has each class."""

    answers_NK: BoolArray
    """Whether each class is in the answer to each sample."""

    probabilities_NK: Probabilities

    units: Units
    """Which samples were drawn together."""

    @property
    def num_classes(self) -> int:
        """Number of classes that the model knows, with samples or without."""
        return int(self.truth_NK.shape[1])

    @cached_property
    def scores(self) -> ClassScores:
        """Precision, recall and F1 of each class."""
        return set_scores(self.truth_NK, self.answers_NK)

    def counted(self, weights_RN: IntArray) -> IntArray:
        """Hits, labels and answers of each class (R, 3, K) in resamples. weights_RN: how often each sample counts."""
        counts = weights_RN.astype(np.float32) @ self._decisions_N3K
        return counts.astype(np.int64).reshape(len(weights_RN), 3, self.num_classes)

    @cached_property
    def _decisions_N3K(self) -> npt.NDArray[np.float32]:
        # As floats, because integer matrices are not multiplied by BLAS; sums are exact below 2**24 samples.
        parts = (self.truth_NK & self.answers_NK, self.truth_NK, self.answers_NK)
        return np.concatenate(parts, axis=1, dtype=np.float32)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Intervals of mean average precision, macro F1 and micro F1, by name."""
        return set_intervals(self.truth_NK, self.answers_NK, self.probabilities_NK, self.units)

    @cached_property
    def losses_N(self) -> FloatArray:
        """Binary cross entropy in nats of each sample, the mean over classes."""
        right_NK = np.where(self.truth_NK, self.probabilities_NK, 1 - self.probabilities_NK).astype(np.float64)
        losses_N: FloatArray = -np.log(np.maximum(right_NK, SMALLEST_PROBABILITY)).mean(axis=1)
        return losses_N

    @property
    def confidence_NX(self) -> Probabilities:
        """The probability of every class of each sample."""
        return self.probabilities_NK

    @property
    def is_right_NX(self) -> BoolArray:
        """Whether each sample has each class."""
        return self.truth_NK

    @cached_property
    def one_vs_rest(self) -> OneVsRest:
        """Each class's ranking of the samples."""
        return OneVsRest(lambda k: self.truth_NK[:, k], self.probabilities_NK)

    @cached_property
    def paired_one_vs_rest(self) -> OneVsRest:
        """Each class's ranking of the samples, with influences whose variance is unbiased, for paired tests."""
        return OneVsRest(lambda k: self.truth_NK[:, k], self.probabilities_NK, is_unbiased=True)
