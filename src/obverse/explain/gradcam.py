"""Grad-CAM (Selvaraju et al. 2017): places in the last feature map of a convolutional network that support one class.

Channels are weighted by the gradient of the class's logit, and only positive values are kept.
"""

from __future__ import annotations

import torch

from .watch import Seen


def gradcam_maps(calls: list[Seen], score: torch.Tensor, num_features: int) -> list[torch.Tensor] | None:
    """Grad-CAM maps (B, h, w), one per call, for `score`, a sum of one logit per sample; None if there is no map."""
    maps = [seen.map for seen in calls if seen.map is not None and seen.map.requires_grad]
    if not maps or len(maps) != len(calls):
        return None
    cams: list[torch.Tensor] = []
    # The graph is kept, because the members of an ensemble compute their gradients one after the other.
    gradients = torch.autograd.grad(score, maps, allow_unused=True, retain_graph=True)
    for map_BDhw, gradient in zip(maps, gradients, strict=True):
        if gradient is None:
            return None
        values_BDhw, slopes_BDhw = (_channels_first(t.detach().float(), num_features) for t in (map_BDhw, gradient))
        # The sum instead of the paper's mean: maps of different sizes become comparable, and the scale is not drawn.
        weight_BD11 = slopes_BDhw.sum((2, 3), keepdim=True)
        cams.append((weight_BD11 * values_BDhw).sum(1).relu())
    return cams


def _channels_first(map_4: torch.Tensor, num_features: int) -> torch.Tensor:
    """The feature map with channels first; some networks (timm's Swin) have them last."""
    is_last = map_4.shape[3] == num_features and map_4.shape[1] != num_features
    return map_4.permute(0, 3, 1, 2) if is_last else map_4
