"""Gated fusion: for each feature, the weights of the views are computed from all views.

It is the gated multimodal unit (Arevalo et al. 2017, arXiv:1702.01992) for any number of views in any order: the gates
are a softmax over views, computed from the view itself and the mean of all. The gates of two features may favour
different views, so a linear head can distinguish "both" from "one of them".
"""

from __future__ import annotations

import torch
from torch import nn

from obverse.recipe import GatedFusion as GatedSpec

from .pooling import masked_mean
from .projection import Projection


class GatedFusion(nn.Module):
    """(B, V, D) to (B, W)."""

    def __init__(self, spec: GatedSpec, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = spec.width
        self.project = Projection(num_views, num_features, spec.width, view_embedding=spec.view_embedding)
        self.gate = nn.Linear(spec.width, spec.width)
        self.context = nn.Linear(spec.width, spec.width, bias=False)

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, W)."""
        own_BVW = torch.tanh(self.project(features_BVD))
        context_BW: torch.Tensor = self.context(masked_mean(own_BVW, present_BV))
        gates_BVW: torch.Tensor = self.gate(own_BVW) + context_BW.unsqueeze(1)
        gates_BVW = gates_BVW.masked_fill(~present_BV.unsqueeze(-1), torch.finfo(gates_BVW.dtype).min)
        return (gates_BVW.softmax(1) * own_BVW).sum(1)
