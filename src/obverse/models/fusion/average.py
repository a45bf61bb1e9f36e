"""Late fusion: every view is classified by itself, and the probabilities are averaged (`HeadPerView`, decisions).

Each view has a classifier of its own, as the two streams of Simonyan & Zisserman 2014 (arXiv:1406.2199) have, whose
scores are averaged.
"""

from __future__ import annotations

import torch
from torch import nn


class AverageFusion(nn.Module):
    """(B, V, D) to (B, V*D + V): the views side by side, zeros for a missing one, then which views are present."""

    def __init__(self, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = num_views * num_features + num_views

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, V*D + V)."""
        known_BVD = features_BVD.masked_fill(~present_BV.unsqueeze(-1), 0.0)
        return torch.cat([known_BVD.flatten(1), present_BV.to(known_BVD.dtype)], dim=1)
