"""The classifier: backbone(s) -> features -> fusion -> head -> logits, for any number of views."""

from __future__ import annotations

from typing import Self

import torch
from torch import nn


class Classifier(nn.Module):
    """One backbone shared by all views, or one per view in view order."""

    def __init__(self, backbones: list[nn.Module], fusion: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(backbones)
        self.fusion = fusion
        self.head = head

    def forward(self, images_BVCHW: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """Logits (B, K)."""
        logits_BK: torch.Tensor = self.head(self.embed(images_BVCHW, present_BV))
        return logits_BK

    def embed(self, images_BVCHW: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        """Fused features (B, D): the sample's embedding."""
        fused_BD: torch.Tensor = self.fusion(self.features(images_BVCHW), present_BV)
        return fused_BD

    def features(self, images_BVCHW: torch.Tensor) -> torch.Tensor:
        """Features of every view (B, V, D)."""
        batch, views = images_BVCHW.shape[:2]
        if len(self.backbones) == 1:
            features: torch.Tensor = self.backbones[0](images_BVCHW.flatten(0, 1))
            return features.view(batch, views, -1)
        return torch.stack([net(images_BVCHW[:, v]) for v, net in enumerate(self.backbones)], dim=1)

    def train(self, mode: bool = True) -> Self:
        """Training mode, except for frozen parts: their batch norm keeps its statistics and their dropout is off."""
        super().train(mode)
        for module in self.modules() if mode else ():
            parameters = list(module.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()
        return self

    def num_parameters(self) -> int:
        """Parameters, whether they train or not."""
        return sum(parameter.numel() for parameter in self.parameters())

    def num_trainable(self) -> int:
        """Parameters that train now."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)
