"""Projection of features of any scale and number to one width, the first layer of every learned fusion."""

from __future__ import annotations

import torch
from torch import nn

TOKEN_STD = 0.02
"""Initial standard deviation of learned vectors, as in ViT (Dosovitskiy et al. 2021)."""


class Projection(nn.Module):
    """(B, V, D) to (B, V, W), the same for every view, plus a learned vector per view where `view_embedding`."""

    def __init__(self, num_views: int, num_features: int, width: int, *, view_embedding: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(num_features)
        self.linear = nn.Linear(num_features, width)
        self.view_VW = nn.Parameter(TOKEN_STD * torch.randn(num_views, width)) if view_embedding else None

    def forward(self, features_BVD: torch.Tensor) -> torch.Tensor:
        """(B, V, W)."""
        projected_BVW: torch.Tensor = self.linear(self.norm(features_BVD))
        return projected_BVW if self.view_VW is None else projected_BVW + self.view_VW.to(projected_BVW.dtype)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay: the view embeddings."""
        return {"view_VW"}
