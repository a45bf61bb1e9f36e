"""Objective: what a training step minimises, from a loss per label, class weights and label smoothing.

A target is a distribution over labels, and every loss is linear in it: the loss of a soft target is the weighted mean
of the losses of its labels, each with the weight of its class. Mixup defines its loss in this way (Zhang et al. 2017).
Hard labels, mixup, cutmix and smoothing are therefore one case.

`weights` and `losses` are summed over micro-batches and ranks, and divided once (training/step.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from obverse.decisions import split_views
from obverse.recipe import OutputSpec

LabelLosses = Callable[[torch.Tensor], torch.Tensor]
"""Function from the head's logits to losses_BK, the loss of a sample if its label were k. For label sets (2, B, K):
the loss if the sample has class k, then the loss if it does not."""


@dataclass(frozen=True, eq=False)
class Objective:
    """Objective of a run with one label per sample."""

    label_losses: LabelLosses
    """Loss of a sample for each possible label."""

    weights_K: torch.Tensor
    """Weight of a sample of each class, with mean 1 over the training set."""

    terms_K: torch.Tensor
    """Number of terms of a sample of each class in the mean: 1, or CORN's number of questions."""

    output: OutputSpec
    """Meaning of the head's outputs."""

    label_smoothing: float = 0.0
    """Share of `spread_K` in a smoothed label."""

    defer_fraction: float = 0.0
    """Fraction of the run before which all class weights are 1."""

    view_weight: float = 0.0
    """Weight of the loss of the views' own heads, added to the main loss; 0 if there are none."""

    spread_K: torch.Tensor | None = None
    """Distribution that label smoothing mixes in; None is the uniform one."""

    tuned_counts: tuple[int, ...] | None = None
    """Training samples of each class if the prior is tuned on val; else None."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.weights_K)

    def at(self, fraction_done: float) -> Objective:
        """The objective after this fraction of the run: with class weights 1 before `defer_fraction`."""
        if fraction_done >= self.defer_fraction:
            return self
        return replace(self, weights_K=torch.ones_like(self.weights_K), defer_fraction=0.0)

    def weights(self, targets_BK: torch.Tensor) -> torch.Tensor:
        """What each sample adds to the divisor (B). It depends on the targets alone and needs no forward pass."""
        return targets_BK.float() @ (self.weights_K * self.terms_K).to(targets_BK.device)

    def losses(self, logits: torch.Tensor, targets_BK: torch.Tensor) -> torch.Tensor:
        """The weighted loss of each sample (B), in fp32.

        logits: as the head gives them. With a head per view it is the mean over the present views of each view's loss,
        not the loss of their average, so that no view learns from another.
        """
        if not self.output.per_view:
            return self.losses_of(logits, targets_BK)
        present_BV, logits_BVK = split_views(logits)
        return self._mean_over_views(logits_BVK, targets_BK, present_BV)

    def losses_of(self, logits: torch.Tensor, targets_BK: torch.Tensor) -> torch.Tensor:
        """The weighted loss of each sample (B), in fp32. logits: (B, K), or (B, K - 1) for CORN and CORAL.

        Smoothing mixes each label with `spread_K`, by default uniform (Szegedy et al. 2016, section 7), and keeps the
        weight of the label. torch's `cross_entropy(weight=, label_smoothing=)` weights the uniform part by the classes
        that it falls on, so that for a frequent class it outweighs the label itself.
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
        """`losses` plus `view_weight` times the mean loss of the present views' own heads (B).

        logits: (B, 1 + V, ...), of the sample, then of each view. A mean over views leaves the divisor unchanged.
        """
        mean_B = self._mean_over_views(logits[:, 1:], targets_BK, present_BV)
        return self.losses(logits[:, 0], targets_BK) + self.view_weight * mean_B

    def _mean_over_views(
        self, logits_BVK: torch.Tensor, targets_BK: torch.Tensor, present_BV: torch.Tensor
    ) -> torch.Tensor:
        own_BV = torch.stack([self.losses_of(of_view, targets_BK) for of_view in logits_BVK.unbind(1)], dim=1)
        return torch.where(present_BV, own_BV, 0.0).sum(1) / present_BV.sum(1).clamp(min=1)
