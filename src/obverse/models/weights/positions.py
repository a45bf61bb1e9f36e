"""Resampling of position embeddings to another grid of patches, where the loader of the weights does not do it."""

from __future__ import annotations

import math

import torch
from timm.layers.pos_embed import resample_abs_pos_embed

Grid = tuple[int, int]


def regridded(positions_1ND: torch.Tensor, new: Grid, *, old: Grid | None = None, num_prefix: int = 1) -> torch.Tensor:
    """Position embeddings (1, N, D) resampled to the grid `new`, (height, width); unchanged if that is their own grid.

    old: the grid of training. If it is None or has another number of patches, a square grid is assumed; the number of
    patches alone is ambiguous (7x28 has as many as 14x14).
    num_prefix: number of tokens before those of patches.

    ValueError when their number fits no grid.
    """
    num = positions_1ND.shape[1] - num_prefix
    if old is None or math.prod(old) != num:
        side = math.isqrt(max(0, num))
        old = (side, side) if side * side == num else new
    if num < 1 or math.prod(old) != num:
        raise ValueError(f"its {num} position embeddings are those of no square")
    resampled: torch.Tensor = resample_abs_pos_embed(positions_1ND, list(new), list(old), num_prefix_tokens=num_prefix)
    return resampled
