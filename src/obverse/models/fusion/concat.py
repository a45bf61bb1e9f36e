"""Fusion by concatenation: each view has its own section of the vector."""

from __future__ import annotations

import torch
from torch import nn


class ConcatFusion(nn.Module):
    """(B, V, D) to (B, V*D); a missing view is a learned vector. The identity for one view."""

    def __init__(self, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = num_views * num_features
        tokens = torch.zeros(num_views, num_features) if num_views > 1 else None
        self.missing_VD = None if tokens is None else nn.Parameter(tokens)

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, V*D)."""
        if self.missing_VD is None:
            # Not `flatten`, which torch.export records for the strides of its example, and so not for a batch of one.
            return features_BVD[:, 0]
        missing_VD = self.missing_VD.to(features_BVD.dtype)
        return torch.where(present_BV.unsqueeze(-1), features_BVD, missing_VD).flatten(1)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay: the vectors of missing views, which take the place of an input."""
        return {"missing_VD"}
