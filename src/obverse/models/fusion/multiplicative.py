"""Multiplicative fusion: the product of the views' features, so that one view can suppress a feature of another.

It follows low-rank bilinear pooling (Kim et al. 2017, arXiv:1610.04325). A factor is 1 + tanh, and a missing view has
the neutral factor 1. A layer norm equalises the range of the products.
"""

from __future__ import annotations

import torch
from torch import nn

from obverse.recipe import MultiplicativeFusion as MultiplicativeSpec

from .projection import Projection


class MultiplicativeFusion(nn.Module):
    """(B, V, D) to (B, W)."""

    def __init__(self, spec: MultiplicativeSpec, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = spec.width
        self.project = Projection(num_views, num_features, spec.width, view_embedding=spec.view_embedding)
        self.norm = nn.LayerNorm(spec.width)

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, W)."""
        factors_BVW = 1 + torch.tanh(self.project(features_BVD))
        factors_BVW = torch.where(present_BV.unsqueeze(-1), factors_BVW, 1.0)
        fused_BW: torch.Tensor = self.norm(factors_BVW.prod(1))
        return fused_BW
