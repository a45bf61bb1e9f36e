"""Kinds of prediction: one class per sample, or a set of classes.

A kind converts class logits to probabilities, and probabilities to decisions ("answers"). Both steps are in torch, so
that an exported model can contain them. A kind also defines the array of true labels of a split ("truth"), and the
input of metrics.
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
from obverse.recipe import OutputSpec
from obverse.registry import Decode

Truth = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OneClass:
    """One class per sample. Truth and answers are class indices (N); -1 is an unknown label."""

    decode: Decode = "mode"
    """Decision rule: mode, median or mean of the distribution over classes."""

    ordered: bool = False
    """Whether the classes have an order, such as grades."""

    is_set: ClassVar[bool] = False
    truth_dtype: ClassVar[type] = np.int64

    def probabilities(self, class_logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (.., K) that sum to 1 over the classes."""
        return class_logits.softmax(-1)

    def mean_logits(self, members: Sequence[torch.Tensor]) -> torch.Tensor:
        """Class logits (.., K) whose probabilities are the mean of those of several models."""
        logs = torch.stack([class_logits.log_softmax(-1) for class_logits in members])
        return torch.logsumexp(logs, dim=0) - math.log(len(members))

    def mean_of_present(self, class_logits_BVK: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """Class logits (B, K) whose probabilities are the mean of those of the present views."""
        log_sum_BK = _masked(class_logits_BVK.log_softmax(-1), present_BV).logsumexp(-2)
        return log_sum_BK - present_BV.sum(-1, keepdim=True).clamp(min=1).log()

    def decide(self, probabilities_NK: torch.Tensor) -> torch.Tensor:
        """The decided class of each row (N): by `decode` the mode, or for ordered classes the median or rounded mean.

        Ties of the mode give the lowest index. The mode maximises the expected accuracy, and the median minimises the
        expected absolute error. A row of NaN gives -1.
        """
        known_NK = probabilities_NK.nan_to_num(0.0)
        total_N1 = known_NK.sum(1, keepdim=True)
        if self.decode == "mode":
            chosen_N = known_NK.argmax(1)
        elif self.decode == "median":
            # Compared with half of the row's sum, because rounding makes the sum differ from 1.
            chosen_N = (known_NK.cumsum(1) < total_N1 / 2).sum(1)
        else:
            places_K = torch.arange(known_NK.shape[1], device=known_NK.device, dtype=known_NK.dtype)
            chosen_N = ((known_NK / total_N1) @ places_K + 0.5).nan_to_num(0.0).floor().long()
        return torch.where(probabilities_NK[:, 0].isnan(), -1, chosen_N)

    def confidence(self, probabilities_NK: torch.Tensor, answers_N: torch.Tensor) -> torch.Tensor:
        """The probability that each answer is right (N): that of the answered class."""
        return probabilities_NK.gather(1, answers_N.clamp(min=0)[:, None])[:, 0].clamp(0.0, 1.0)

    def leading_class(self, class_logits_NK: torch.Tensor) -> torch.Tensor:
        """The class of each row (N) that represents its answer: the answer itself."""
        return self.decide(self.probabilities(class_logits_NK))

    def is_right(self, answers_N: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
        """Whether each answer (N) is the most probable class of its target (N, K)."""
        return answers_N == targets_NK.argmax(1)

    def known(self, truth_N: Truth) -> BoolArray:
        """Whether each sample (N) has a label."""
        known_N: BoolArray = truth_N >= 0
        return known_N

    def truth_shape(self, num_samples: int, num_classes: int) -> tuple[int, ...]:
        """Shape of the array of true labels: (N,)."""
        return (num_samples,)

    def outcome(self, truth_N: Truth, answers_N: Truth, probabilities_NK: Float32Array, units: Units) -> OneLabel:
        """Input of metrics; every sample must have a label."""
        return OneLabel(truth_N, answers_N, probabilities_NK, units, self.ordered)


@dataclass(frozen=True)
class LabelSet:
    """Any number of classes per sample, or none. Truth and answers are booleans for each class (N, K)."""

    thresholds: tuple[float, ...] | None = None
    """Probability from which each class belongs to the label set, in class order; None is 1/2 for all."""

    is_set: ClassVar[bool] = True
    truth_dtype: ClassVar[type] = np.bool_
    ordered: ClassVar[bool] = False

    def probabilities(self, class_logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (.., K), independent for each class."""
        return class_logits.sigmoid()

    def mean_logits(self, members: Sequence[torch.Tensor]) -> torch.Tensor:
        """Class logits (.., K) whose probabilities are the mean of those of several models.

        It is log p - log(1 - p); both logarithms are computed directly, so that the result is exact for p near 0 and 1.
        """
        class_logits = torch.stack(list(members))
        return logsigmoid(class_logits).logsumexp(0) - logsigmoid(-class_logits).logsumexp(0)

    def mean_of_present(self, class_logits_BVK: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """Class logits (B, K) whose probabilities are the mean of those of the present views."""
        if_there_BVK = _masked(logsigmoid(class_logits_BVK), present_BV)
        if_absent_BVK = _masked(logsigmoid(-class_logits_BVK), present_BV)
        return if_there_BVK.logsumexp(-2) - if_absent_BVK.logsumexp(-2)

    def decide(self, probabilities_NK: torch.Tensor) -> torch.Tensor:
        """The label set of each row (N, K): True where a class reaches its threshold. A row of NaN gives no class."""
        if self.thresholds is None:
            return probabilities_NK >= 0.5
        # In double precision, because a threshold may be between two neighbouring numbers of single precision.
        thresholds_K = torch.tensor(self.thresholds, dtype=torch.float64, device=probabilities_NK.device)
        return probabilities_NK.double() >= thresholds_K

    def confidence(self, probabilities_NK: torch.Tensor, answers_NK: torch.Tensor) -> torch.Tensor:
        """A score of each label set (N) that only ranks: the product over classes of the probability of its decision.

        Classes are not independent, so that it is not the probability of a right set.
        """
        return torch.where(answers_NK, probabilities_NK, 1 - probabilities_NK).prod(1).clamp(0.0, 1.0)

    def leading_class(self, class_logits_NK: torch.Tensor) -> torch.Tensor:
        """The class of each row (N) that represents its answer: the most probable one."""
        return class_logits_NK.argmax(1)

    def is_right(self, answers_NK: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
        """Whether each label set (N) agrees with its target in every class."""
        return (answers_NK == (targets_NK >= 0.5)).all(1)

    def known(self, truth_NK: Truth) -> BoolArray:
        """Whether each sample (N) has a label set: True for all, because an empty set is a label set."""
        return np.ones(len(truth_NK), np.bool_)

    def truth_shape(self, num_samples: int, num_classes: int) -> tuple[int, ...]:
        """Shape of the array of true labels: (N, K)."""
        return (num_samples, num_classes)

    def thresholds_of(self, num_classes: int) -> tuple[float, ...]:
        """The thresholds, in class order."""
        return (0.5,) * num_classes if self.thresholds is None else self.thresholds

    def outcome(self, truth_NK: Truth, answers_NK: Truth, probabilities_NK: Float32Array, units: Units) -> LabelSets:
        """Input of metrics."""
        return LabelSets(truth_NK, answers_NK, probabilities_NK, units)


def _masked(logs_BVK: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
    """Logarithms of probabilities, with (nearly) log 0 for views that are missing."""
    return logs_BVK.masked_fill(~present_BV.unsqueeze(-1), torch.finfo(logs_BVK.dtype).min)


Kind = OneClass | LabelSet
"""Either kind. Both have the same methods, so that most callers need not distinguish them."""


PLAIN = OneClass()
"""One class per sample, the most probable one, of unordered classes."""


def kind_of(output: OutputSpec, *, ordered: bool = False) -> Kind:
    """The kind of prediction that an output spec describes. ordered: whether the classes have an order."""
    return LabelSet(output.thresholds) if output.kind == "binary" else OneClass(output.decode, ordered)
