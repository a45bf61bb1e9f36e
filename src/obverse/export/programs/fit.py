"""The geometry in operators of torch, with torch's own antialiased kernel, for pictures of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import interpolate, pad

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
        levels = _centred(levels, size, target, geometry.fill, least)
        size = target
    return levels


def _centred(
    levels: torch.Tensor, size: tuple[Any, Any], target: tuple[int, int], fill: int, least: Callable[[Any, Any], Any]
) -> torch.Tensor:
    """Levels (N, 3, H, W) of a size, cropped or padded around the centre to `target`."""
    pads: list[Any] = []
    for axis, length, end in zip((2, 3), size, target, strict=True):
        kept = least(length, end)
        levels = levels.narrow(axis, (length - kept) // 2, kept)
        before = (end - kept) // 2
        pads = [before, end - kept - before, *pads]
    return pad(levels, pads, value=fill)
