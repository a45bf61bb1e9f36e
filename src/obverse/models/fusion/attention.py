"""Fusion by attention over views, one vector each; a missing view is masked.

`AttentionFusion` is pooling by multihead attention (Set Transformer, Lee et al. 2019, arXiv:1810.00825): a learned
query attends to the views, followed by a small MLP. `CrossViewFusion` is a transformer encoder (pre-norm) over the
views and a class token. Attention is torch's fused one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from obverse.recipe import AttentionFusion as AttentionSpec
from obverse.recipe import CrossViewFusion as CrossViewSpec

from .projection import TOKEN_STD, Projection

EXPANSION = 2


class AttentionFusion(nn.Module):
    """(B, V, D) to (B, W)."""

    def __init__(self, spec: AttentionSpec, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = spec.width
        self.project = Projection(num_views, num_features, spec.width, view_embedding=spec.view_embedding)
        self.query_1W = nn.Parameter(TOKEN_STD * torch.randn(1, spec.width))
        self.block = _Block(spec.width, spec.num_heads)
        self.norm = nn.LayerNorm(spec.width)

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, W)."""
        views_BVW = self.project(features_BVD)
        query_B1W = self.query_1W.to(views_BVW.dtype).expand(len(views_BVW), 1, -1)
        fused_BW: torch.Tensor = self.norm(self.block(query_B1W, views_BVW, present_BV)).squeeze(1)
        return fused_BW

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay: the query, which takes the place of an input."""
        return {"query_1W"}


class CrossViewFusion(nn.Module):
    """(B, V, D) to (B, W)."""

    def __init__(self, spec: CrossViewSpec, num_views: int, num_features: int) -> None:
        super().__init__()
        self.num_features = spec.width
        self.project = Projection(num_views, num_features, spec.width, view_embedding=spec.view_embedding)
        self.class_1W = nn.Parameter(TOKEN_STD * torch.randn(1, spec.width))
        self.blocks = nn.ModuleList(_Block(spec.width, spec.num_heads) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.width)

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """(B, W)."""
        views_BVW = self.project(features_BVD)
        class_B1W = self.class_1W.to(views_BVW.dtype).expand(len(views_BVW), 1, -1)
        tokens_BNW = torch.cat([class_B1W, views_BVW], dim=1)
        seen_BN = functional.pad(present_BV, (1, 0), value=True)
        for block in self.blocks:
            tokens_BNW = block(tokens_BNW, tokens_BNW, seen_BN)
        fused_BW: torch.Tensor = self.norm(tokens_BNW[:, 0])
        return fused_BW

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay: the class token, which takes the place of an input."""
        return {"class_1W"}


class _Block(nn.Module):
    """Transformer block: attention of `asking_BQW` to `asked_BNW` where `seen_BN`, then an MLP, both residual."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, EXPANSION * width), nn.GELU(), nn.Linear(EXPANSION * width, width))

    def forward(self, asking_BQW: torch.Tensor, asked_BNW: torch.Tensor, seen_BN: torch.Tensor) -> torch.Tensor:
        """(B, Q, W)."""
        query = self._heads(self.query(self.norm(asking_BQW)))
        key, value = map(self._heads, self.key_value(self.norm(asked_BNW)).chunk(2, dim=-1))
        answer = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen_BN[:, None, None])
        mixed_BQW = asking_BQW + self.out(answer.transpose(1, 2).flatten(2))
        result_BQW: torch.Tensor = mixed_BQW + self.mlp(self.mlp_norm(mixed_BQW))
        return result_BQW

    def _heads(self, tokens_BNW: torch.Tensor) -> torch.Tensor:
        split: torch.Tensor = tokens_BNW.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
        return split
