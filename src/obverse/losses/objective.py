"""What a step minimises: a loss per label, what each sample weighs, and smoothing, once.

A target is a distribution over labels, and every loss here is linear in it: the loss of a soft target is the mean of
the losses of its labels, each with its class's weight. Mixup defines its loss that way (Zhang et al. 2017), so hard
labels, mixup, cutmix and smoothing are one case, and a weight always goes with the label that it belongs to.

Not the division: `weights` and `losses` are summed over micro-batches and ranks, and divided once (training/step.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from obverse.recipe import OutputSpec

LabelLosses = Callable[[torch.Tensor], torch.Tensor]
"""The head's logits -> losses_BK: what the sample costs if its label is k. Of label sets two of them, stacked: what
it costs if the sample has class k, and if it does not."""


@dataclass(frozen=True, eq=False)
class Objective:
    """weights_K: of a sample of each class, with mean 1 over the training set; 1 before `defer_fraction` of the run.

    terms_K: how many terms a sample of each class has, where the mean is over terms. view_weight: of the loss of the
    views' own heads, beside that of all views together; 0 where views have none. spread_K: what smoothing mixes a label
    with; None is the uniform distribution. tuned_counts: training samples of each class, where val is to choose the
    prior.
    """

    label_losses: LabelLosses
    weights_K: torch.Tensor
    terms_K: torch.Tensor
    output: OutputSpec
    label_smoothing: float = 0.0
    defer_fraction: float = 0.0
    view_weight: float = 0.0
    spread_K: torch.Tensor | None = None
    tuned_counts: tuple[int, ...] | None = None

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.weights_K)

    def at(self, fraction_done: float) -> Objective:
        """The objective at this point of the run: deferred weights have not begun, or have."""
        if fraction_done >= self.defer_fraction:
            return self
        return replace(self, weights_K=torch.ones_like(self.weights_K), defer_fraction=0.0)

    def weights(self, targets_BK: torch.Tensor) -> torch.Tensor:
        """What each sample adds to the divisor (B); it needs no forward pass."""
        return targets_BK.float() @ (self.weights_K * self.terms_K).to(targets_BK.device)

    def losses(self, logits: torch.Tensor, targets_BK: torch.Tensor) -> torch.Tensor:
        """The weighted loss of each sample (B), in fp32. logits: the head's, (B, K) or what the loss asks for.

        Smoothing mixes every label with the uniform distribution (Szegedy et al. 2016, section 7) before its weight is
        applied. torch's `cross_entropy(weight=, label_smoothing=)` does it after, so that the uniform part of a
        frequent class weighs what the rare classes weigh, and outweighs the label itself.
        """
        weighted_BK = targets_BK.float() * self.weights_K.to(targets_BK.device)
        total_B1 = weighted_BK.sum(1, keepdim=True)
        spread_BK = (
            total_B1 / self.num_classes if self.spread_K is None else total_B1 * self.spread_K.to(total_B1.device)
        )
        smoothed_BK = (1 - self.label_smoothing) * weighted_BK + self.label_smoothing * spread_BK
        return (smoothed_BK * self.label_losses(logits.float())).sum(1)

    def losses_with_views(
        self, logits: torch.Tensor, targets_BK: torch.Tensor, present_BV: torch.Tensor
    ) -> torch.Tensor:
        """`losses` plus the mean over the views that are there of what their own heads cost (B).

        logits (B, 1 + V, ...): of the sample, then of each view. A mean, so that the divisor stays the same.
        """
        own_BV = torch.stack([self.losses(of_view, targets_BK) for of_view in logits[:, 1:].unbind(1)], dim=1)
        mean_B = torch.where(present_BV, own_BV, 0.0).sum(1) / present_BV.sum(1).clamp(min=1)
        return self.losses(logits[:, 0], targets_BK) + self.view_weight * mean_B
