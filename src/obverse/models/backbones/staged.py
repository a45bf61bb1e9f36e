"""A plain network of layers in stages, to freeze, decay and checkpoint stage by stage (timm's conventions)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Staged(nn.Module):
    """Sequential network whose layers are grouped in stages."""

    layers: nn.Sequential

    stage_of: list[int]
    """Stage of each layer; layers beyond the list belong to the last stage."""

    size_multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self._checkpointing = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only the input of each stage for the backward pass."""
        self._checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        """Parameter name -> stage; not coarse: one per layer."""

        def stage(name: str) -> int:
            layer = int(name.split(".")[1])  # names are `layers.N.weight`
            return self.stage_of[layer] if coarse else layer

        return stage

    def forward_features(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Output of the last layer (B, C, H, W), or as it is pooled there."""
        if not (self._checkpointing and torch.is_grad_enabled()):
            result: torch.Tensor = self.layers(images_BCHW)
            return result
        numbers, last = range(len(self.layers)), len(self.stage_of) - 1
        for _, group in groupby(numbers, key=lambda number: self.stage_of[min(number, last)]):
            part = nn.Sequential(*(self.layers[number] for number in group))
            images_BCHW = checkpoint(part, images_BCHW, use_reentrant=False)
        return images_BCHW
