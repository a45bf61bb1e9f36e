"""What a step minimises: a loss per label, what each sample weighs, and smoothing, once.

A target is a distribution over labels, and every loss here is linear in it: the loss of a soft target is the mean of
the losses of its labels, each with its class's weight. Mixup defines its loss that way (Zhang et al. 2017), so hard
labels, mixup, cutmix and smoothing are one case, and a weight always goes with the label that it belongs to.

Not the division: `weights` and `losses` are summed over micro-batches and ranks, and divided once (training/step.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from obverse.recipe import LossSpec

from .weights import class_weights

LabelLosses = Callable[[torch.Tensor], torch.Tensor]
"""Logits -> losses_BK: what the sample costs if its label is k."""


@dataclass(frozen=True, eq=False)
class Objective:
    """weights_K: of a sample of each class, with mean 1 over the training set."""

    label_losses: LabelLosses
    weights_K: torch.Tensor
    label_smoothing: float = 0.0

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.weights_K)

    def weights(self, targets_BK: torch.Tensor) -> torch.Tensor:
        """What each sample adds to the divisor (B); it needs no forward pass."""
        return targets_BK.float() @ self.weights_K.to(targets_BK.device)

    def losses(self, logits_BK: torch.Tensor, targets_BK: torch.Tensor) -> torch.Tensor:
        """The weighted loss of each sample (B), in fp32.

        Smoothing mixes every label with the uniform distribution (Szegedy et al. 2016, section 7) before its weight is
        applied. torch's `cross_entropy(weight=, label_smoothing=)` does it after, so that the uniform part of a
        frequent class weighs what the rare classes weigh, and outweighs the label itself.
        """
        weighted_BK = targets_BK.float() * self.weights_K.to(targets_BK.device)
        spread_B1 = self.label_smoothing / self.num_classes * weighted_BK.sum(1, keepdim=True)
        return (((1 - self.label_smoothing) * weighted_BK + spread_B1) * self.label_losses(logits_BK.float())).sum(1)


def build_objective(spec: LossSpec, *, counts: Sequence[int]) -> Objective:
    """counts: training samples of each class, in class order."""
    weights_K = class_weights(counts, spec.class_weights, beta=spec.effective_beta)
    return Objective(_cross_entropy, torch.tensor(weights_K, dtype=torch.float32), spec.label_smoothing)


def hard_targets(labels_B: torch.Tensor, num_classes: int) -> torch.Tensor:
    """One-hot targets; a label that is unknown (-1) is a target of zeros and weighs nothing."""
    known_B1 = (labels_B >= 0).unsqueeze(1)
    return functional.one_hot(labels_B.clamp(min=0), num_classes).float() * known_B1


def _cross_entropy(logits_BK: torch.Tensor) -> torch.Tensor:
    return -logits_BK.log_softmax(1)
