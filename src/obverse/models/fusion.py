"""Several views' features to one vector. With one view both fusions are the identity."""

from __future__ import annotations

import torch
from torch import nn


class ConcatFusion(nn.Module):
    """Features side by side (B, V*D); a missing view is a learned vector."""

    num_features: int

    def __init__(self, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = num_views * num_features
        tokens = torch.zeros(num_views, num_features) if num_views > 1 else None
        self.missing_VD = None if tokens is None else nn.Parameter(tokens)

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, V*D)."""
        if self.missing_VD is not None:
            missing_VD = self.missing_VD.to(features_BVD.dtype)
            features_BVD = torch.where(present_BV.unsqueeze(-1), features_BVD, missing_VD)
        return features_BVD.flatten(1)

    def no_weight_decay(self) -> set[str]:
        """The learned vectors stand for an input and are not decayed."""
        return {"missing_VD"}


class MeanFusion(nn.Module):
    """The mean over the views that are present (B, D)."""

    num_features: int

    def __init__(self, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, D)."""
        weight_BV1 = present_BV.unsqueeze(-1).to(features_BVD.dtype)
        return (features_BVD * weight_BV1).sum(1) / weight_BV1.sum(1).clamp(min=1)

    def no_weight_decay(self) -> set[str]:
        """Nothing is learned here."""
        return set()


FUSIONS: dict[str, type[ConcatFusion] | type[MeanFusion]] = {"concat": ConcatFusion, "mean": MeanFusion}
