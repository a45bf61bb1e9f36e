"""Position embeddings of one grid of patches for another, where what loads the weights leaves them alone."""

from __future__ import annotations

import math

import torch
from timm.layers.pos_embed import resample_abs_pos_embed

Grid = tuple[int, int]


def regridded(positions_1ND: torch.Tensor, new: Grid, *, old: Grid | None = None, num_prefix: int = 1) -> torch.Tensor:
    """Resampled to the grid `new`, (height, width); as they are where it is theirs already.

    old: the grid they were trained on. Where it is not known or has another number of patches, a square is taken (7x28
    has as many patches as 14x14, so the number alone says nothing). ValueError when they are those of no grid.
    """
    num = positions_1ND.shape[1] - num_prefix
    if old is None or math.prod(old) != num:
        side = math.isqrt(max(0, num))
        old = (side, side) if side * side == num else new
    if num < 1 or math.prod(old) != num:
        raise ValueError(f"its {num} position embeddings are those of no square")
    resampled: torch.Tensor = resample_abs_pos_embed(positions_1ND, list(new), list(old), num_prefix_tokens=num_prefix)
    return resampled
