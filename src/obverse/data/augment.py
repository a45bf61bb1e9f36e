"""Random changes of training pictures, from (seed, epoch, sample id, view) alone.

All that moves pixels (crop, stretch, mirror, rotation, shift) is one affine map on uint8, sampled once, and bicubic:
bilinear sampling blurs, and a model trained on blurred pictures fails on sharp ones (on generated coins it cost 30
points of accuracy). All that changes colour is three numbers, applied to the whole batch on the training device
(`preprocess.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from obverse.recipe import AugmentSpec

NUM_DRAWS = 17
Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Change:
    """One drawn change.

    affine: output pixel -> working pixel; None when the picture is only mirrored and moved by `shift` (rows, columns),
    which needs no resampling. color: brightness, contrast, saturation factors. erased: (top, left, bottom, right) in
    output pixels, or None.
    """

    affine: Affine | None
    mirrored: bool
    shift: tuple[int, int]
    color: tuple[float, float, float]
    erased: tuple[int, int, int, int] | None


def draw_change(spec: AugmentSpec, working: tuple[int, int], output: tuple[int, int], u: Sequence[float]) -> Change:
    """Turn `NUM_DRAWS` uniform numbers into a change; working, output: (height, width). The spec is `filled()`."""
    mirrored = u[6] < (spec.mirror or 0)
    shift = (_whole_shift(spec.shift, working[0], u[3]), _whole_shift(spec.shift, working[1], u[5]))
    resamples = spec.min_scale != 1 or spec.rotation_degrees or working != output
    affine = _draw_affine(spec, working, output, u, mirrored=mirrored, shift=shift) if resamples else None
    jitter = spec.jitter or 0.0
    brightness, contrast, saturation = (1 + jitter * (2 * x - 1) for x in u[7:10])
    if spec.gray and u[10] < spec.gray:
        saturation = 0.0
    erased = _draw_box(output, u[13:17]) if spec.erasing and u[11] < spec.erasing else None
    return Change(affine, mirrored, shift, (brightness, contrast, saturation), erased)


def apply_change(image_CHW: torch.Tensor, change: Change, output: tuple[int, int], fill: int) -> torch.Tensor:
    """Move and erase pixels of a uint8 (3, height, width) working picture; colour comes later, per batch."""
    height, width = output
    if change.affine is not None:
        picture = Image.fromarray(image_CHW.permute(1, 2, 0).contiguous().numpy())
        moved = picture.transform(
            (width, height), Image.Transform.AFFINE, change.affine, Image.Resampling.BICUBIC, fillcolor=(fill,) * 3
        )
        image_CHW = torch.from_numpy(np.array(moved)).permute(2, 0, 1)
    else:
        image_CHW = _moved(image_CHW, change)
    if change.erased is not None:
        top, left, bottom, right = change.erased
        image_CHW = image_CHW.clone()
        image_CHW[:, top:bottom, left:right] = fill
    return image_CHW


def _moved(image_CHW: torch.Tensor, change: Change) -> torch.Tensor:
    """Move by whole pixels and mirror; what is uncovered is reflected from inside, so that no border betrays it."""
    if change.shift == (0, 0) and not change.mirrored:
        return image_CHW
    rows = _reflected(image_CHW.shape[1], change.shift[0])
    columns = _reflected(image_CHW.shape[2], change.shift[1])
    columns = columns[::-1] if change.mirrored else columns
    return torch.from_numpy(image_CHW.numpy()[:, rows[:, None], columns])


def _reflected(length: int, offset: int) -> npt.NDArray[np.int64]:
    """Source places of a line that is moved by `offset`."""
    places = np.abs(np.arange(offset, length + offset))
    return np.where(places >= length, 2 * (length - 1) - places, places)


def _draw_affine(
    spec: AugmentSpec,
    working: tuple[int, int],
    output: tuple[int, int],
    u: Sequence[float],
    *,
    mirrored: bool,
    shift: tuple[int, int],
) -> Affine:
    (work_h, work_w), (out_h, out_w) = working, output
    scale = 1 - (1 - (spec.min_scale or 1)) * u[0]
    stretch = spec.max_stretch ** (u[1] - 0.5) if scale < 1 else 1.0
    crop_h = min(work_h, work_h * math.sqrt(scale) / stretch)
    crop_w = min(work_w, work_w * math.sqrt(scale) * stretch)
    center_y = crop_h / 2 + u[2] * (work_h - crop_h) + shift[0]
    center_x = crop_w / 2 + u[4] * (work_w - crop_w) + shift[1]
    angle = math.radians((spec.rotation_degrees or 0) * (2 * u[12] - 1))
    step_y, step_x = crop_h / out_h, crop_w / out_w * (-1 if mirrored else 1)
    cos, sin = math.cos(angle), math.sin(angle)
    a, b = cos * step_x, sin * step_y
    d, e = -sin * step_x, cos * step_y
    return (a, b, center_x - a * out_w / 2 - b * out_h / 2, d, e, center_y - d * out_w / 2 - e * out_h / 2)


def _whole_shift(share: float | None, side: int, u: float) -> int:
    """A shift by whole pixels, so that small pictures are moved without being blurred."""
    largest = int((share or 0) * side)
    return int(u * (2 * largest + 1)) - largest


def _draw_box(output: tuple[int, int], u: Sequence[float]) -> tuple[int, int, int, int]:
    """A rectangle of 2 to 33 % of the area and aspect 0.3 to 3.3 (Zhong et al. 2017, table 1), from four uniforms."""
    height, width = output
    area = (0.02 + 0.31 * u[0]) * height * width
    aspect = math.exp((2 * u[1] - 1) * math.log(3.3))
    box_h = min(height, max(1, round(math.sqrt(area * aspect))))
    box_w = min(width, max(1, round(math.sqrt(area / aspect))))
    top, left = int(u[2] * (height - box_h + 1)), int(u[3] * (width - box_w + 1))
    return top, left, top + box_h, left + box_w
