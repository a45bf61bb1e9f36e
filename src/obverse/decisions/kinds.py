"""The kinds of answer: one class of each sample, or a set of classes. What differs between the two begins here.

A kind turns class logits into probabilities and probabilities into answers, in torch, so that an exported model can
hold both steps. It also says what the truth of a split looks like and what metrics are computed from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import logsigmoid

from obverse.metrics import LabelSets, OneLabel, Units
from obverse.recipe import Decode, OutputSpec

Truth = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OneClass:
    """One class per sample. Truth and answers are class indices (N); an index of -1 is an unknown label."""

    decode: Decode = "mode"
    """Which class of the distribution is the answer."""

    ordered: bool = False
    """Whether the classes stand in grade order."""

    is_set: ClassVar[bool] = False
    truth_dtype: ClassVar[type] = np.int64

    def probabilities(self, class_logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (.., K) that sum to 1 over the classes."""
        return class_logits.softmax(-1)

    def mean_logits(self, members: Sequence[torch.Tensor]) -> torch.Tensor:
        """Class logits (.., K) whose probabilities are the mean of those of several models."""
        logs = torch.stack([class_logits.log_softmax(-1) for class_logits in members])
        return torch.logsumexp(logs, dim=0) - math.log(len(members))

    def decide(self, probabilities_NK: torch.Tensor) -> torch.Tensor:
        """The class of each row (N): the mode (of equals the lowest), or of ordered classes the median or the rounded
        mean.

        The median is the answer with the least expected absolute error, the mode the one that is most often right. A
        row of NaN gives -1.
        """
        known_NK = probabilities_NK.nan_to_num(0.0)
        total_N1 = known_NK.sum(1, keepdim=True)
        if self.decode == "mode":
            chosen_N = known_NK.argmax(1)
        elif self.decode == "median":
            # Half of the row's own sum, which is not exactly 1.
            chosen_N = (known_NK.cumsum(1) < total_N1 / 2).sum(1)
        else:
            places_K = torch.arange(known_NK.shape[1], device=known_NK.device, dtype=known_NK.dtype)
            chosen_N = ((known_NK / total_N1) @ places_K + 0.5).nan_to_num(0.0).floor().long()
        return torch.where(probabilities_NK[:, 0].isnan(), -1, chosen_N)

    def leading_class(self, class_logits_NK: torch.Tensor) -> torch.Tensor:
        """The one class of each row (N) that stands for the answer: the answer itself."""
        return self.decide(self.probabilities(class_logits_NK))

    def is_right(self, answers_N: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
        """Which answers (N) are the likeliest class of the target."""
        return answers_N == targets_NK.argmax(1)

    def known(self, truth_N: Truth) -> BoolArray:
        """Which samples (N) have a label."""
        known_N: BoolArray = truth_N >= 0
        return known_N

    def truth_shape(self, num_samples: int, num_classes: int) -> tuple[int, ...]:
        """Shape of the truth of so many samples."""
        return (num_samples,)

    def outcome(self, truth_N: Truth, answers_N: Truth, probabilities_NK: Float32Array, units: Units) -> OneLabel:
        """What metrics are computed from; every sample must have a label."""
        return OneLabel(truth_N, answers_N, probabilities_NK, units, self.ordered)


@dataclass(frozen=True)
class LabelSet:
    """Any number of classes per sample, or none. Truth and answers are yes or no for each class (N, K)."""

    thresholds: tuple[float, ...] | None = None
    """The probability from which each class belongs to the answer, in class order; None is 1/2 for all."""

    is_set: ClassVar[bool] = True
    truth_dtype: ClassVar[type] = np.bool_
    ordered: ClassVar[bool] = False

    def probabilities(self, class_logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (.., K), each class by itself."""
        return class_logits.sigmoid()

    def mean_logits(self, members: Sequence[torch.Tensor]) -> torch.Tensor:
        """Class logits (.., K) whose probabilities are the mean of those of several models.

        log p - log(1 - p), each from its own logarithms, so that it is exact for p near 0 and near 1.
        """
        class_logits = torch.stack(list(members))
        return logsigmoid(class_logits).logsumexp(0) - logsigmoid(-class_logits).logsumexp(0)

    def decide(self, probabilities_NK: torch.Tensor) -> torch.Tensor:
        """The label set of each row (N, K), true where a class reaches its threshold; a row of NaN has none."""
        if self.thresholds is None:
            return probabilities_NK >= 0.5
        # In double precision: a threshold lies between two probabilities that may be neighbours in single precision.
        thresholds_K = torch.tensor(self.thresholds, dtype=torch.float64, device=probabilities_NK.device)
        return probabilities_NK.double() >= thresholds_K

    def leading_class(self, class_logits_NK: torch.Tensor) -> torch.Tensor:
        """The one class of each row (N) that stands for the answer: the likeliest."""
        return class_logits_NK.argmax(1)

    def is_right(self, answers_NK: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
        """Which label sets (N) agree with the target in every class."""
        return (answers_NK == (targets_NK >= 0.5)).all(1)

    def known(self, truth_NK: Truth) -> BoolArray:
        """Which samples (N) have a label set: all, because an empty set is one."""
        return np.ones(len(truth_NK), np.bool_)

    def truth_shape(self, num_samples: int, num_classes: int) -> tuple[int, ...]:
        """Shape of the truth of so many samples."""
        return (num_samples, num_classes)

    def thresholds_of(self, num_classes: int) -> tuple[float, ...]:
        """The thresholds, in class order."""
        return (0.5,) * num_classes if self.thresholds is None else self.thresholds

    def outcome(self, truth_NK: Truth, answers_NK: Truth, probabilities_NK: Float32Array, units: Units) -> LabelSets:
        """What metrics are computed from."""
        return LabelSets(truth_NK, answers_NK, probabilities_NK, units)


Kind = OneClass | LabelSet
"""Either kind. Both have the same methods, so that most callers need not ask which it is."""


PLAIN = OneClass()
"""One class per sample, the likeliest, without an order."""


def kind_of(output: OutputSpec, *, ordered: bool = False) -> Kind:
    """The kind of answer that an output gives. ordered: whether the classes stand in grade order."""
    return LabelSet(output.thresholds) if output.kind == "binary" else OneClass(output.decode, ordered)
