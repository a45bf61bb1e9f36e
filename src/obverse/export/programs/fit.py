"""The geometry in operators of torch, with torch's own antialiased kernel, for pictures of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import interpolate

from obverse.data import Geometry


def fitted_pixels(
    pixels_NHW3: torch.Tensor, geometry: Geometry, *, least: Callable[[Any, Any], Any], most: Callable[[Any, Any], Any]
) -> torch.Tensor:
    """Pictures uint8 (N, H, W, 3), fitted: uint8 (N, 3, canvas_height, canvas_width).

    least, most: minimum and maximum of two sizes, which stand for integers while a program is recorded.
    """
    size = geometry.resized_size(*pixels_NHW3.shape[1:3], least=least, most=most)
    levels = interpolate(pixels_NHW3.permute(0, 3, 1, 2), size, mode="bilinear", antialias=True, align_corners=False)
    targets = [(geometry.height, geometry.width)] if geometry.fit == "crop" else []
    for target in (*targets, geometry.shape[:2]):
        for axis, length, end in zip((2, 3), size, target, strict=True):
            levels = _centred(levels, axis, length, end, geometry.fill, least)
        size = target
    return levels


def _centred(
    levels: torch.Tensor, axis: int, length: Any, target: int, fill: int, least: Callable[[Any, Any], Any]
) -> torch.Tensor:
    """Levels (N, 3, H, W) cropped or padded around the centre along one axis, from a length to a target.

    By places and not by slices, so that the result's shape is known while a program is recorded.
    """
    kept = least(length, target)
    places = torch.arange(target) + ((length - kept) // 2 - (target - kept) // 2)
    is_inside = (places >= 0) & (places < length)
    levels = levels.index_select(axis, torch.where(is_inside, places, 0))
    return torch.where(is_inside if axis == 3 else is_inside[:, None], levels, fill).to(torch.uint8)
