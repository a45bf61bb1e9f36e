"""Grad-CAM (Selvaraju et al. 2017) and LayerCAM (Jiang et al. 2021): places in a feature map that support one class.

Grad-CAM weights channels by the gradient of the class's score, and keeps only positive values. The map of a
convolutional network is its last feature map; that of a transformer, the normalised tokens before the last attention,
because only the class token gets a gradient after it. LayerCAM weights every place of a channel by its own gradient, as
far as that is positive, so it can use an earlier, finer map, where a mean gradient says little.
"""

from __future__ import annotations

import math

import torch

from .watch import Seen


def gradcam_maps(calls: list[Seen], score: torch.Tensor, num_features: int) -> list[torch.Tensor] | None:
    """Grad-CAM maps (B, h, w), one per call, for `score`, a sum of one value per sample; None if there is no map."""
    pairs = _with_gradients([_last_map(seen) for seen in calls], score)
    cams: list[torch.Tensor] = []
    for seen, (value, gradient) in zip(calls, pairs, strict=False):
        values_BDhw, slopes_BDhw = (_channels_first(t.detach().float(), seen, num_features) for t in (value, gradient))
        # The sum instead of the paper's mean: maps of different sizes become comparable, and the scale is not drawn.
        weight_BD11 = slopes_BDhw.sum((2, 3), keepdim=True)
        cams.append((weight_BD11 * values_BDhw).sum(1).relu())
    return cams or None


def layercam_maps(calls: list[Seen], score: torch.Tensor) -> list[torch.Tensor] | None:
    """LayerCAM maps (B, h, w) of convolutional networks, one per call, as `gradcam_maps`; None if there is no map."""
    if any(seen.has_attention for seen in calls):
        return None
    # Times the number of places: as in `gradcam_maps`, the mean over places is the gain of the score.
    return [
        math.prod(value.shape[2:]) * (gradient.float().relu() * value.detach().float()).sum(1).relu()
        for value, gradient in _with_gradients([seen.fine_map for seen in calls], score)
    ] or None


def _with_gradients(maps: list[torch.Tensor | None], score: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each map with the gradient of `score` for it; empty unless all have one."""
    known = [value for value in maps if value is not None and value.requires_grad]
    if not known or len(known) != len(maps):
        return []
    # The graph is kept, because the members of an ensemble compute their gradients one after the other.
    gradients = torch.autograd.grad(score, known, allow_unused=True, retain_graph=True)
    pairs = [(value, gradient) for value, gradient in zip(known, gradients, strict=True) if gradient is not None]
    return pairs if len(pairs) == len(maps) else []


def _last_map(seen: Seen) -> torch.Tensor | None:
    return seen.map if seen.num_prefix is None or seen.tokens_BND is None else seen.tokens_BND


def _channels_first(value: torch.Tensor, seen: Seen, num_features: int) -> torch.Tensor:
    """The map (B, D, h, w), from tokens or a feature map; some networks (timm's Swin) have the channels last."""
    if value.ndim == 3:
        return seen.on_grid(value).permute(0, 3, 1, 2)
    is_last = value.shape[3] == num_features and value.shape[1] != num_features
    return value.permute(0, 3, 1, 2) if is_last else value
