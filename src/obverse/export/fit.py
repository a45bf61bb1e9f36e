"""The geometry as one operator of torch, which exporters replace: by ONNX operators, or by torch's own kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from obverse.data import Geometry


@torch.library.custom_op("obverse::fit", mutates_args=())
def fit(
    pixels_NHW3: torch.Tensor, size: Sequence[int], canvas: Sequence[int], rule: str, fill: int, crop_fraction: float
) -> torch.Tensor:
    """Pictures uint8 (N, H, W, 3) fitted by a geometry: uint8 (N, 3, canvas height, canvas width).

    size, canvas: (height, width). Other arguments: fields of `Geometry`.
    """
    geometry = Geometry(size[0], size[1], canvas[0], canvas[1], rule, fill, crop_fraction=crop_fraction)
    return torch.stack([geometry.apply(pixels.numpy()) for pixels in pixels_NHW3.cpu()])


@fit.register_fake
def _(
    pixels_NHW3: torch.Tensor, size: Sequence[int], canvas: Sequence[int], rule: str, fill: int, crop_fraction: float
) -> torch.Tensor:
    return pixels_NHW3.new_empty(pixels_NHW3.shape[0], 3, canvas[0], canvas[1])


def fitted(pixels_NHW3: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Pictures uint8 (N, H, W, 3) of any size, fitted: uint8 (N, 3, canvas_height, canvas_width)."""
    g = geometry
    size, canvas = [g.height, g.width], [g.canvas_height, g.canvas_width]
    fitted_N3HW: torch.Tensor = fit(pixels_NHW3, size, canvas, g.fit, g.fill, g.crop_fraction)
    return fitted_N3HW
