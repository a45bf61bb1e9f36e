"""Heads: from fused features to the outputs that the loss needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from obverse.recipe import COSINE_SCALE, HeadSpec, OutputSpec


class Cosine(nn.Module):
    """Cosine layer: scaled cosines of features and one direction per class, for margin losses (Cao et al. 2019)."""

    def __init__(self, num_features: int, num_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_outputs, num_features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features_BD: torch.Tensor) -> torch.Tensor:
        """Scaled cosines (B, K), from -COSINE_SCALE to COSINE_SCALE."""
        directions_KD = functional.normalize(self.weight, dim=1)
        return COSINE_SCALE * functional.linear(functional.normalize(features_BD, dim=1), directions_KD)


class SharedRanks(nn.Module):
    """CORAL's last layer: one score per sample plus a bias per question, for consistent ranks (Cao et al. 2020)."""

    def __init__(self, num_features: int, num_outputs: int) -> None:
        super().__init__()
        self.score = nn.Linear(num_features, 1, bias=False)
        self.bias = nn.Parameter(torch.arange(num_outputs, 0, -1).float() / num_outputs)

    def forward(self, features_BD: torch.Tensor) -> torch.Tensor:
        """(B, K - 1)."""
        logits_BJ: torch.Tensor = self.score(features_BD) + self.bias
        return logits_BJ


LAST_LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "classes": nn.Linear,
    "binary": nn.Linear,
    "corn": nn.Linear,
    "coral": SharedRanks,
    "cosine": Cosine,
}


class HeadPerView(nn.Module):
    """A head of its own for every view, from what `AverageFusion` gives and the features of extra columns.

    Every head sees the columns. The result is (B, V, 1 + K): whether the view is present, then its logits.
    """

    def __init__(self, heads: Sequence[nn.Module], num_features: int) -> None:
        super().__init__()
        self.views = nn.ModuleList(heads)
        self.num_features = num_features

    def forward(self, fused_BD: torch.Tensor) -> torch.Tensor:
        """(B, V, 1 + K)."""
        num_views, size = len(self.views), len(self.views) * self.num_features
        features_BVD = fused_BD[:, :size].reshape(len(fused_BD), num_views, -1)
        present_BV1, columns_BE = fused_BD[:, size : size + num_views].unsqueeze(2), fused_BD[:, size + num_views :]
        seen = [torch.cat([features_BVD[:, view], columns_BE], dim=1) for view in range(num_views)]
        logits_BVK = torch.stack([head(seen_BD) for head, seen_BD in zip(self.views, seen, strict=True)], dim=1)
        return torch.cat([present_BV1.to(logits_BVK.dtype), logits_BVK], dim=2)


def build_head(spec: HeadSpec, num_features: int, num_classes: int, output: OutputSpec) -> nn.Sequential:
    """The head: linear, ReLU and dropout for each hidden size, then the last layer; without hidden layers dropout only
    precedes the last layer.
    """
    layers: list[nn.Module] = []
    for hidden in spec.hidden:
        layers += [nn.Linear(num_features, hidden), nn.ReLU(inplace=True), nn.Dropout(spec.dropout)]
        num_features = hidden
    if not spec.hidden and spec.dropout:
        layers.append(nn.Dropout(spec.dropout))
    last = LAST_LAYERS[output.kind](num_features, output.num_outputs(num_classes))
    return nn.Sequential(*layers, last)


@torch.no_grad()
def start_bias(head: nn.Module, values_K: Sequence[float] | float) -> None:
    """Set the bias of the last layer, for example to the log share of each class (Lin et al. 2017, section 4.1)."""
    for part in head.views if isinstance(head, HeadPerView) else [head]:
        assert isinstance(part, nn.Sequential)
        last = part[-1]
        assert isinstance(last, nn.Linear)
        last.bias.copy_(torch.tensor(values_K))
