"""Grad-CAM (Selvaraju et al. 2017): where the last map of a convolutional network speaks for one class.

Each channel weighs what the class's logit gains from it; only what speaks for the class is shown.
"""

from __future__ import annotations

import torch

from .watch import Seen


def gradcam_maps(calls: list[Seen], score: torch.Tensor, num_features: int) -> list[torch.Tensor] | None:
    """One map (B, h, w) per call, of `score` (a sum over samples of one logit each); None where there is no map."""
    maps = [seen.map for seen in calls if seen.map is not None and seen.map.requires_grad]
    if not maps or len(maps) != len(calls):
        return None
    found: list[torch.Tensor] = []
    # The graph stays, because the members of an ensemble ask one after the other.
    gradients = torch.autograd.grad(score, maps, allow_unused=True, retain_graph=True)
    for map_BDhw, gradient in zip(maps, gradients, strict=True):
        if gradient is None:
            return None
        values_BDhw, slopes_BDhw = (_channels_first(t.detach().float(), num_features) for t in (map_BDhw, gradient))
        # The sum, where the paper has the mean: a map's scale is not shown, and maps of other sizes can be compared.
        weight_BD11 = slopes_BDhw.sum((2, 3), keepdim=True)
        found.append((weight_BD11 * values_BDhw).sum(1).relu())
    return found


def _channels_first(map_4: torch.Tensor, num_features: int) -> torch.Tensor:
    """Some networks (timm's Swin) keep channels last."""
    is_last = map_4.shape[3] == num_features and map_4.shape[1] != num_features
    return map_4.permute(0, 3, 1, 2) if is_last else map_4
