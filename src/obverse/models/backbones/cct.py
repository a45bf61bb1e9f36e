"""The compact convolutional transformer (Hassani et al. 2021, arXiv:2104.05704): small pictures, few of them.

Convolutions with max-pooling make the tokens, so that neighbours are mixed before attention; there is no class token:
the sequence is pooled by attention over itself. Block, initialisation and sizes follow the authors' code (pre-norm with
a second norm before the MLP whose output is also the residual; no bias on queries, keys and values). CCT-2/3x2 has
283,723 parameters and CCT-7/3x1 3,760,139 with the ten classes of CIFAR-10.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from timm.layers.drop import DropPath
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from obverse.recipe import CCTBackbone

from .network import Network

# Channels between the tokenizer's convolutions.
STEM_CHANNELS = 64


class CCT(nn.Module):
    """Pictures of one size (height, width), any size, to `num_features` features."""

    size_multiple = 1

    def __init__(self, spec: CCTBackbone, *, height: int, width: int) -> None:
        super().__init__()
        self.tokenizer = _tokenizer(spec)
        num_tokens = math.prod(_tokens_along(side, spec) for side in (height, width))
        self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, spec.width))
        rates = torch.linspace(0, spec.drop_path_rate, spec.depth, device="cpu").tolist()  # deeper, dropped more often
        self.blocks = nn.ModuleList(Block(spec, rate) for rate in rates)
        self.norm = nn.LayerNorm(spec.width)
        self.pool = nn.Linear(spec.width, 1)
        self.num_features = spec.width
        self._checkpointing = False
        self.apply(_start)
        nn.init.trunc_normal_(self.pos_embed, std=0.2)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only the input of each block for the backward pass (timm's convention)."""
        self._checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        """Parameter name -> stage: the tokenizer, one per block, and the pool with the last (timm's convention)."""

        def stage(name: str) -> int:
            first, _, rest = name.partition(".")
            if first == "blocks":
                return 1 + int(rest.partition(".")[0])
            return len(self.blocks) if first in ("norm", "pool") else 0

        return stage

    def no_weight_decay(self) -> set[str]:
        """The position embedding (timm's convention)."""
        return {"pos_embed"}

    def forward_features(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Tokens (B, N, D)."""
        tokens_BND: torch.Tensor = self.tokenizer(images_BCHW).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            if self._checkpointing and torch.is_grad_enabled():
                tokens_BND = checkpoint(block, tokens_BND, use_reentrant=False)
            else:
                tokens_BND = block(tokens_BND)
        normed_BND: torch.Tensor = self.norm(tokens_BND)
        return normed_BND

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Features (B, num_features): attention pooling, the mean of the tokens weighted by a learned score of each."""
        tokens_BND = self.forward_features(images_BCHW)
        weights_B1N = self.pool(tokens_BND).softmax(1).transpose(1, 2)
        features_BD: torch.Tensor = (weights_B1N @ tokens_BND).squeeze(1)
        return features_BD


class Block(nn.Module):
    """Attention, then MLP; the MLP's residual is the normed token, as in the authors' code."""

    def __init__(self, spec: CCTBackbone, drop_path_rate: float) -> None:
        super().__init__()
        hidden = round(spec.width * spec.mlp_ratio)
        self.norm1, self.norm2 = nn.LayerNorm(spec.width), nn.LayerNorm(spec.width)
        self.attn = Attention(spec.width, spec.heads)
        self.fc1, self.fc2 = nn.Linear(spec.width, hidden), nn.Linear(hidden, spec.width)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, tokens_BND: torch.Tensor) -> torch.Tensor:
        """(B, N, D) to (B, N, D)."""
        tokens_BND = self.norm2(tokens_BND + self.drop_path(self.attn(self.norm1(tokens_BND))))
        result: torch.Tensor = tokens_BND + self.drop_path(self.fc2(functional.gelu(self.fc1(tokens_BND))))
        return result


class Attention(nn.Module):
    """Multi-head self-attention; torch picks the fused kernel."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens_BND: torch.Tensor) -> torch.Tensor:
        """(B, N, D) to (B, N, D)."""
        qkv_3BSNd = self.qkv(tokens_BND).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed_BSNd = functional.scaled_dot_product_attention(*qkv_3BSNd.unbind(0))
        result: torch.Tensor = self.proj(mixed_BSNd.transpose(1, 2).flatten(2))
        return result


def _tokenizer(spec: CCTBackbone) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = [3, *[STEM_CHANNELS] * (spec.num_convs - 1), spec.width]
    for before, after in pairwise(channels):
        conv = nn.Conv2d(before, after, spec.kernel, _stride(spec), padding=spec.kernel // 2, bias=False)
        layers += [conv, nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)]
    return nn.Sequential(*layers)


def _stride(spec: CCTBackbone) -> int:
    # As in the authors' code: 1 for kernels of 3 and 5, 2 for one of 7.
    return max(1, spec.kernel // 2 - 1)


def _tokens_along(side: int, spec: CCTBackbone) -> int:
    for _ in range(spec.num_convs):
        side = -(-side // _stride(spec))
        side = -(-side // 2)
    return side


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)


def build(spec: CCTBackbone, /, *, height: int, width: int, load_weights: bool) -> nn.Module:
    """The network with random weights; there are no pretrained ones."""
    return CCT(spec, height=height, width=width)


NETWORK = Network(build)
