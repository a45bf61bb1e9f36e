"""Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019), from (seed, epoch, sample id) alone.

Neighbours of a batch, places 2i and 2i+1, are mixed with each other, each with its own share drawn from its own id.
Shards and micro-batches keep such pairs together (`runtime/sharding.py`), so that accumulation and ranks change no
result. With both kinds on, each sample takes one of them at random, as timm's element mode does.

What is drawn (`mix`, here, on numbers) travels with the batch; the pixels are mixed on the training device, after
their colour is changed (`preprocess.py`). All views of a sample have one drawn share; CutMix puts a box of one size at
another place in each view. The box lies inside the picture, unlike in the paper, where a cut off box gives every view
another share. A view that one of the two samples lacks stays as it is. A sample's target counts the pixels that are
really its own, over the views that it has. A sample without a neighbour, or beside one that is only padding, stays as
it is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from obverse.data.batch import Batch
from obverse.recipe import MixingSpec
from obverse.runtime import named_uniforms


def mix(batch: Batch, spec: MixingSpec, *, num_classes: int, seed: int, epoch: int) -> Batch:
    """The batch with mixed soft `targets_BK` and, for `blend`, `shares_BV5`; it must still be on the CPU.

    The batch's own soft targets are mixed where it has some, else its labels.
    """
    height, width = batch.images_BVCHW.shape[-2:]
    num_views = batch.present_BV.shape[1]
    drawn = [_draw(spec, name, seed, epoch, (num_views, height, width)) for name in batch.ids]
    shares_BV5 = torch.tensor(drawn, dtype=torch.float32).view(len(batch), num_views, 5)
    partner_B = partners(len(batch))
    is_paired_B = (partner_B != torch.arange(len(batch))) & batch.valid_B & batch.valid_B[partner_B]
    mixed_BV = batch.present_BV & batch.present_BV[partner_B] & is_paired_B[:, None]
    shares_BV5[~mixed_BV] = torch.tensor([1.0, 0, 0, 0, 0])
    share_B1 = _mean_share(shares_BV5, batch.present_BV, height * width).unsqueeze(1)
    own_BK = batch.loss_targets(num_classes)
    targets_BK = share_B1 * own_BK + (1 - share_B1) * own_BK[partner_B]
    return replace(batch, targets_BK=targets_BK, shares_BV5=shares_BV5)


def blend(images_BVCHW: torch.Tensor, shares_BV5: torch.Tensor) -> torch.Tensor:
    """Images of neighbours mixed by `shares_BV5`; a share of 1 keeps every bit.

    shares_BV5: the weight of a sample's own pixels, then the box (top, left, bottom, right) in which that weight is 0.
    """
    share, top, left, bottom, right = (column[..., None, None, None] for column in shares_BV5.unbind(-1))
    rows = torch.arange(images_BVCHW.shape[-2], device=images_BVCHW.device).view(-1, 1)
    columns = torch.arange(images_BVCHW.shape[-1], device=images_BVCHW.device)
    in_box = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    weight_BV1HW = torch.where(in_box, 0.0, share)
    others_BVCHW = images_BVCHW[partners(len(images_BVCHW)).to(images_BVCHW.device)]
    return images_BVCHW * weight_BV1HW + others_BVCHW * (1 - weight_BV1HW)


def partners(num_samples: int) -> torch.Tensor:
    """The index of each sample's neighbour in the batch; the last of an odd number is its own neighbour."""
    return (torch.arange(num_samples) ^ 1).clamp(max=num_samples - 1)


def _draw(
    spec: MixingSpec, name: str, seed: int, epoch: int, size: tuple[int, int, int]
) -> list[tuple[float, int, int, int, int]]:
    """For each view: the weight of a sample's own pixels outside the box, and the box. size: views, height, width."""
    num_views, height, width = size
    choice, u, *places = named_uniforms(2 + 2 * num_views, "mixing", seed, epoch, name)
    is_cut = spec.cutmix > 0 and (spec.mixup == 0 or choice < 0.5)
    alpha = spec.cutmix if is_cut else spec.mixup
    from scipy.special import betaincinv

    share = float(betaincinv(alpha, alpha, u))
    if not is_cut:
        return [(share, 0, 0, 0, 0)] * num_views
    box_h, box_w = round(height * math.sqrt(1 - share)), round(width * math.sqrt(1 - share))
    boxes = []
    for v in range(num_views):
        top, left = int(places[2 * v] * (height - box_h + 1)), int(places[2 * v + 1] * (width - box_w + 1))
        boxes.append((1.0, top, left, top + box_h, left + box_w))
    return boxes


def _mean_share(shares_BV5: torch.Tensor, present_BV: torch.Tensor, num_pixels: int) -> torch.Tensor:
    """The mean weight of a sample's own pixels over its views (B)."""
    share, top, left, bottom, right = shares_BV5.unbind(-1)
    own_BV = share * (1 - (bottom - top) * (right - left) / num_pixels)
    return (own_BV * present_BV).sum(1) / present_BV.sum(1).clamp(min=1)
