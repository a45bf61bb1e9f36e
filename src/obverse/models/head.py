"""Fused features to logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from obverse.recipe import HeadSpec


def build_head(spec: HeadSpec, num_features: int, num_classes: int) -> nn.Sequential:
    """Linear-ReLU-dropout for every hidden size, then a linear layer; dropout comes first when nothing is hidden."""
    layers: list[nn.Module] = []
    for hidden in spec.hidden:
        layers += [nn.Linear(num_features, hidden), nn.ReLU(inplace=True), nn.Dropout(spec.dropout)]
        num_features = hidden
    if not spec.hidden and spec.dropout:
        layers.append(nn.Dropout(spec.dropout))
    return nn.Sequential(*layers, nn.Linear(num_features, num_classes))


@torch.no_grad()
def start_bias(head: nn.Module, values_K: Sequence[float]) -> None:
    """Set the bias of the last layer, for example to the log share of each class (Lin et al. 2017, section 4.1)."""
    assert isinstance(head, nn.Sequential)
    last = head[-1]
    assert isinstance(last, nn.Linear)
    last.bias.copy_(torch.tensor(values_K))
