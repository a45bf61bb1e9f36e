"""The loss of label sets: for each class a yes or no of its own, binary cross entropy over sigmoids.

A target (B, K) is the share of each class, 1 and 0 for a set, between them where sets are mixed. The loss is linear in
it, so mixup, cutmix and smoothing need nothing else. Smoothing moves a target towards 1/2, once, before any weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from obverse.recipe import ResolvedLoss

from .objective import LabelLosses, Objective


def build(spec: ResolvedLoss, counts: Sequence[int]) -> LabelLosses:
    """Binary cross entropy; the fields of `spec` are in `presence_weights`."""
    return binary_cross_entropy


def binary_cross_entropy(logits_BK: torch.Tensor) -> torch.Tensor:
    """-log p_k, the cost of class k if the sample has it, and -log(1 - p_k) if not (2, B, K)."""
    return torch.stack([-functional.logsigmoid(logits_BK), -functional.logsigmoid(-logits_BK)])


@dataclass(frozen=True, eq=False)
class BinaryObjective(Objective):
    """weights_K: of a class, in the sum over classes and in the divisor. pos_weights_K: of its presence against its
    absence, in the sum alone, as in torch's `binary_cross_entropy_with_logits`.
    """

    pos_weights_K: torch.Tensor | None = None

    def weights(self, targets_BK: torch.Tensor) -> torch.Tensor:
        """Every sample answers every class: the mean is over both."""
        return self.weights_K.sum().to(targets_BK.device).expand(len(targets_BK))

    def losses(self, logits: torch.Tensor, targets_BK: torch.Tensor) -> torch.Tensor:
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
    """Samples without a class over samples with it, or the root of that; 1 for a class that none or all have."""
    if kind == "none":
        return None
    counts_K = torch.tensor(counts, dtype=torch.float64)
    odds_K = (num_samples - counts_K) / counts_K.clamp(min=1)
    odds_K = torch.where((counts_K > 0) & (counts_K < num_samples), odds_K, 1.0)
    return (odds_K.sqrt() if kind == "sqrt" else odds_K).float()
