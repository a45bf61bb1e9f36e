"""Fusion by the mean or maximum over the present views, without parameters and independent of the views' order."""

from __future__ import annotations

import torch
from torch import nn


class MeanFusion(nn.Module):
    """(B, V, D) to the mean over the views that are present (B, D). A head without hidden layers adds the views up."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, D)."""
        return masked_mean(features_BVD, present_BV)


class MaxFusion(nn.Module):
    """(B, V, D) to the largest of each feature over the views that are present (B, D)."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, D)."""
        lowest = torch.finfo(features_BVD.dtype).min
        return features_BVD.masked_fill(~present_BV.unsqueeze(-1), lowest).amax(1)


def masked_mean(features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
    """The mean over the views that are present (B, D); zeros where there is none."""
    weight_BV1 = present_BV.unsqueeze(-1).to(features_BVD.dtype)
    return (features_BVD * weight_BV1).sum(1) / weight_BV1.sum(1).clamp(min=1)
