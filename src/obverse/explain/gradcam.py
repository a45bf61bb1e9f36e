"""Grad-CAM (Selvaraju et al. 2017): places in a network's last map that support one class.

Channels are weighted by the gradient of the class's score, and only positive values are kept. The map of a
convolutional network is its last feature map; that of a transformer, the normalised tokens before the last attention,
because only the class token gets a gradient after it.
"""

from __future__ import annotations

import torch

from .watch import Seen


def gradcam_maps(calls: list[Seen], score: torch.Tensor, num_features: int) -> list[torch.Tensor] | None:
    """Grad-CAM maps (B, h, w), one per call, for `score`, a sum of one value per sample; None if there is no map."""
    maps = [_last_map(seen) for seen in calls]
    known = [value for value in maps if value is not None and value.requires_grad]
    if not known or len(known) != len(calls):
        return None
    cams: list[torch.Tensor] = []
    # The graph is kept, because the members of an ensemble compute their gradients one after the other.
    gradients = torch.autograd.grad(score, known, allow_unused=True, retain_graph=True)
    for seen, value, gradient in zip(calls, known, gradients, strict=True):
        if gradient is None:
            return None
        values_BDhw, slopes_BDhw = (_channels_first(t.detach().float(), seen, num_features) for t in (value, gradient))
        # The sum instead of the paper's mean: maps of different sizes become comparable, and the scale is not drawn.
        weight_BD11 = slopes_BDhw.sum((2, 3), keepdim=True)
        cams.append((weight_BD11 * values_BDhw).sum(1).relu())
    return cams


def _last_map(seen: Seen) -> torch.Tensor | None:
    return seen.map if seen.num_prefix is None or seen.tokens_BND is None else seen.tokens_BND


def _channels_first(value: torch.Tensor, seen: Seen, num_features: int) -> torch.Tensor:
    """The map (B, D, h, w), from tokens or a feature map; some networks (timm's Swin) have the channels last."""
    if value.ndim == 3:
        return seen.on_grid(value).permute(0, 3, 1, 2)
    is_last = value.shape[3] == num_features and value.shape[1] != num_features
    return value.permute(0, 3, 1, 2) if is_last else value
