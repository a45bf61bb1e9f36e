"""Geometric resampling of uint8 pictures (height, width, 3): integer shifts, resizing, affine transforms.

Copies are NumPy's, because a torch copy of this size would use torch's thread pool, which the model needs.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import grid_sample, interpolate

from obverse.imaging import Pixels

# Output pixel -> source pixel: x = a column + b row + c, y = d column + e row + f, in pixels from the upper left.
Affine = tuple[float, float, float, float, float, float]
Box = tuple[int, int, int, int]
Color = npt.NDArray[np.float32]


def resized(pixels: Pixels, height: int, width: int, *, mode: str = "bilinear") -> Pixels:
    """The picture resized with antialiasing; one that has that size already is returned unchanged."""
    if pixels.shape[:2] == (height, width):
        return pixels
    # Contiguous HWC seen as NCHW is what torch's vectorised uint8 kernel takes without repacking. It runs in this
    # thread alone. Pillow hands out read-only memory, which torch does not take without a warning.
    image_1CHW = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(2, 0, 1)[None]
    result_1CHW = interpolate(image_1CHW, (height, width), mode=mode, antialias=True, align_corners=False)
    return result_1CHW[0].permute(1, 2, 0).numpy()


def moved(pixels: Pixels, shift: tuple[int, int]) -> Pixels:
    """The picture shifted by whole pixels; uncovered pixels are reflected, so that no border reveals the shift."""
    pixels = _moved_rows(pixels, shift[0]) if shift[0] else pixels
    return _moved_rows(pixels.swapaxes(0, 1), shift[1]).swapaxes(0, 1) if shift[1] else pixels


def _moved_rows(pixels: Pixels, offset: int) -> Pixels:
    """Rows shifted by slices, because gathering pixels of three bytes is ten times slower."""
    result = np.empty_like(pixels)
    if offset > 0:
        result[:-offset] = pixels[offset:]
        result[-offset:] = pixels[-2 : -2 - offset : -1]
    else:
        result[-offset:] = pixels[:offset]
        result[:-offset] = pixels[-offset:0:-1]
    return result


def corner_color(pixels: Pixels) -> Color:
    """Median colour (3, 1, 1) of the picture's corners, which lie outside the largest ellipse in it."""
    # A corner of up to 0.146 of each side lies outside the ellipse.
    rows, columns = (-(-side // 8) for side in pixels.shape[:2])
    corners = [pixels[y, x] for y in (slice(rows), slice(-rows, None)) for x in (slice(columns), slice(-columns, None))]
    median_3: Color = np.median(np.concatenate([corner.reshape(-1, 3) for corner in corners]), axis=0)
    return median_3.astype(np.float32).reshape(3, 1, 1)


def turned(pixels: Pixels, affine: Affine, height: int, width: int, fill: int | Color) -> Pixels:
    """The picture under an affine transform, sampled bicubically; `fill` outside, a grey or a colour (3, 1, 1).

    A picture that gets smaller is first resized with antialiasing: sparse samples would skip pixels.
    """
    pixels, affine = _shrunk(pixels, affine)
    a, b, c, d, e, f = affine
    columns, rows = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    grid_1HW2 = np.empty((1, height, width, 2), np.float32)
    grid_1HW2[0, ..., 0] = (columns * a + c) * (2 / pixels.shape[1]) - 1 + rows * (b * 2 / pixels.shape[1])
    grid_1HW2[0, ..., 1] = (columns * d + f) * (2 / pixels.shape[0]) - 1 + rows * (e * 2 / pixels.shape[0])
    planes_1CHW = pixels.transpose(2, 0, 1)[None].astype(np.float32, order="C")
    planes_1CHW -= fill
    # A batch of one picture runs in this thread alone.
    sampled_1CHW = grid_sample(
        torch.from_numpy(planes_1CHW), torch.from_numpy(grid_1HW2), mode="bicubic", align_corners=False
    )
    values_CHW: npt.NDArray[np.float32] = sampled_1CHW[0].numpy()
    values_CHW += fill + 0.5
    return values_CHW.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def _shrunk(pixels: Pixels, affine: Affine) -> tuple[Pixels, Affine]:
    """The picture resized so that `affine` takes about one sample per pixel, and the transform adapted to it."""
    a, b, c, d, e, f = affine
    height, width = pixels.shape[:2]
    rows, columns = round(height / max(1, math.hypot(d, e))), round(width / max(1, math.hypot(a, b)))
    if (rows, columns) == (height, width):
        return pixels, affine
    x, y = columns / width, rows / height
    return resized(pixels, rows, columns, mode="bicubic"), (a * x, b * x, c * x, d * y, e * y, f * y)
