"""What every metric is computed from: labels, answers and probabilities of one split, of one of the two kinds of data.

Values that several metrics need are computed once and kept. Every sample has a label here; whoever makes these leaves
out those without one.
"""

from __future__ import annotations

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
    """One class per sample. ordered: the classes stand in grade order."""

    labels_N: IntArray
    given_N: IntArray
    probabilities_NK: Probabilities
    units: Units
    ordered: bool = False

    @property
    def num_classes(self) -> int:
        """All that the model knows, whether they occur or not."""
        return int(self.probabilities_NK.shape[1])

    @cached_property
    def confusion_KK(self) -> IntArray:
        """Counts; rows true, columns predicted."""
        return confusion_matrix(self.labels_N, self.given_N, num_classes=self.num_classes)

    def counted(self, weights_N: IntArray) -> IntArray:
        """The confusion matrix (K, K) in which each sample counts as often as its weight says."""
        num = self.num_classes
        # Weighted counts come as floats, exact below 2**53.
        counts = np.bincount(self.labels_N * num + self.given_N, weights=weights_N, minlength=num * num)
        return counts.astype(np.int64).reshape(num, num)

    @cached_property
    def losses_N(self) -> FloatArray:
        """The negative log of the probability of each true class, in nats."""
        of_label_N = self.probabilities_NK[np.arange(len(self.labels_N)), self.labels_N].astype(np.float64)
        losses_N: FloatArray = -np.log(np.clip(of_label_N, SMALLEST_PROBABILITY, 1.0))
        return losses_N

    @cached_property
    def one_vs_rest(self) -> OneVsRest:
        """Each class's ranking of the samples."""
        return OneVsRest(lambda k: self.labels_N == k, self.probabilities_NK)


@dataclass(frozen=True, eq=False)
class LabelSets:
    """Any number of classes per sample. answers_NK: the classes that are said."""

    truth_NK: BoolArray
    answers_NK: BoolArray
    probabilities_NK: Probabilities
    units: Units

    @property
    def num_classes(self) -> int:
        """All that the model knows, whether they occur or not."""
        return int(self.truth_NK.shape[1])

    @cached_property
    def scores(self) -> ClassScores:
        """Precision, recall and F1 of each class."""
        return set_scores(self.truth_NK, self.answers_NK)

    def counted(self, weights_N: IntArray) -> IntArray:
        """Hits, labels and answers of each class (3, K); each sample counts as often as its weight says."""
        counts = weights_N.astype(np.float32) @ self._decisions_N3K
        return counts.astype(np.int64).reshape(3, self.num_classes)

    @cached_property
    def _decisions_N3K(self) -> npt.NDArray[np.float32]:
        # As floats, because integer matrices are not multiplied by BLAS; sums are exact below 2**24 samples.
        parts = (self.truth_NK & self.answers_NK, self.truth_NK, self.answers_NK)
        return np.concatenate(parts, axis=1, dtype=np.float32)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Of mean average precision, macro F1 and micro F1."""
        return set_intervals(self.truth_NK, self.answers_NK, self.probabilities_NK, self.units)

    @cached_property
    def losses_N(self) -> FloatArray:
        """Binary cross entropy in nats of each sample, the mean over classes."""
        right_NK = np.where(self.truth_NK, self.probabilities_NK, 1 - self.probabilities_NK).astype(np.float64)
        losses_N: FloatArray = -np.log(np.maximum(right_NK, SMALLEST_PROBABILITY)).mean(axis=1)
        return losses_N

    @cached_property
    def one_vs_rest(self) -> OneVsRest:
        """Each class's ranking of the samples."""
        return OneVsRest(lambda k: self.truth_NK[:, k], self.probabilities_NK)

    @cached_property
    def paired_one_vs_rest(self) -> OneVsRest:
        """The same with influences whose variance is unbiased, for paired tests."""
        return OneVsRest(lambda k: self.truth_NK[:, k], self.probabilities_NK, is_unbiased=True)
