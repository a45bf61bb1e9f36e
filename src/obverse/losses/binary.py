"""Loss of multi-label models: binary cross entropy over sigmoids, for each class independently.

A target (B, K) is 1 or 0 for each class of a label set, and between them for mixed samples. The loss is linear in the
target, so mixup, cutmix and smoothing need no special case. Smoothing moves a target towards 1/2 before weights are
applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from obverse.recipe import ResolvedLoss

from .objective import LabelLosses, Objective


def build(spec: ResolvedLoss, counts: Sequence[int]) -> LabelLosses:
    """Binary cross entropy, which depends on no field of `spec`; `pos_weight` is applied by `BinaryObjective`."""
    return binary_cross_entropy


def binary_cross_entropy(logits_BK: torch.Tensor) -> torch.Tensor:
    """Loss of each class (2, B, K): -log p_k if the sample has class k, then -log(1 - p_k) if it does not."""
    return torch.stack([-functional.logsigmoid(logits_BK), -functional.logsigmoid(-logits_BK)])


@dataclass(frozen=True, eq=False)
class BinaryObjective(Objective):
    """Objective of multi-label models.

    Class weights (`weights_K`) apply to the sum over classes and to the divisor.
    """

    pos_weights_K: torch.Tensor | None = None
    """Weight of a class's presence relative to its absence, in the sum alone, as `pos_weight` of torch's
    `binary_cross_entropy_with_logits`; None is 1 for all."""

    def weights(self, targets_BK: torch.Tensor) -> torch.Tensor:
        """What each sample adds to the divisor (B): the sum of class weights, because the mean is over classes too."""
        return self.weights_K.sum().to(targets_BK.device).expand(len(targets_BK))

    def losses_of(self, logits: torch.Tensor, targets_BK: torch.Tensor) -> torch.Tensor:
        """The weighted loss of each sample (B), summed over classes, in fp32."""
        logits_BK = logits.float()
        smoothed_BK = (1 - self.label_smoothing) * targets_BK.float() + self.label_smoothing / 2
        if_there_BK, if_absent_BK = self.label_losses(logits_BK)
        there_BK = smoothed_BK * if_there_BK
        if self.pos_weights_K is not None:
            there_BK = there_BK * self.pos_weights_K.to(logits.device)
        losses_BK: torch.Tensor = there_BK + (1 - smoothed_BK) * if_absent_BK
        return (losses_BK * self.weights_K.to(logits.device)).sum(1)


def presence_weights(counts: Sequence[int], num_samples: int, kind: str) -> torch.Tensor | None:
    """Weight of each class's presence (K): samples without the class over samples with it.

    counts: samples with each class. kind: `none` gives None, `sqrt` the root of that ratio, any other kind the ratio.
    The weight is 1 for a class that no sample or every sample has.
    """
    if kind == "none":
        return None
    counts_K = torch.tensor(counts, dtype=torch.float64)
    odds_K = (num_samples - counts_K) / counts_K.clamp(min=1)
    odds_K = torch.where((counts_K > 0) & (counts_K < num_samples), odds_K, 1.0)
    return (odds_K.sqrt() if kind == "sqrt" else odds_K).float()
